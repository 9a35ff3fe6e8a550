"""A flush that empties the delta of what came meanwhile."""

from coshelf.engines.lmdb.delta.rows import Delta
from scripts.meetings_of_two.meeting import meet

Delta.newer = lambda *_: []
# The second time is in sync(); the first, in the background, may be long over for the thread that commits.
meet("flush-committed", "pause", "interval", 10.0, False, turn=2, stays=True)
