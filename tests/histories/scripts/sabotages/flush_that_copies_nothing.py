"""A flush that leaves nothing in the delta."""

from coshelf.engines.lmdb.delta.rows import Delta

Delta.newer = lambda *_: []
