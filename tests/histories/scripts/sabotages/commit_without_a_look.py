"""A commit that does not look whether what it read has changed."""

from coshelf.contract import Batch

Batch.refuse_conflicts = lambda *_: None
