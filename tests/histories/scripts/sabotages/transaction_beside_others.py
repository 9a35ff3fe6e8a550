"""A transaction beside which others write."""

from coshelf.engines.lmdb.delta import log
from coshelf.engines.lmdb.files.state_page import StatePage

log.CLAIM = 1_000  # type: ignore[attr-defined]  # the number of a word that is always 0
StatePage.is_claimed = lambda self: False
