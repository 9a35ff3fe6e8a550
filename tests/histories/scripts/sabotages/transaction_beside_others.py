"""A transaction beside which others write."""

from coshelf.engines.lmdb.files.state_page import StatePage

StatePage.is_claimed = lambda self: False
