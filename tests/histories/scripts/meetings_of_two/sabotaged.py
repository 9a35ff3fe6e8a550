"""A flush that empties the delta of what came meanwhile."""

from scripts.meetings_of_two.meeting import meet
from scripts.sabotages import flush_that_copies_nothing  # noqa: F401 (it is the sabotage)

# The second time is in sync(); the first, in the background, may be long over for the thread that commits.
meet("flush-committed", "pause", "interval", 10.0, False, turn=2, stays=True)
