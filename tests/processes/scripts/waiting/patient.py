"""Without the look that a wait takes every second in any case, a wake that is missed is a test that hangs."""

import talking  # noqa: F401 (it has an alarm)

import coshelf.mapping.shelf

assert coshelf.mapping.shelf._LONGEST_SLEEP
coshelf.mapping.shelf._LONGEST_SLEEP = 1000.0
