"""Without the look that a wait takes every second in any case, a wake that is missed is a test that hangs."""

import talking  # noqa: F401 (it has an alarm)

import coshelf.mapping.watching

assert coshelf.mapping.watching._LONGEST_SLEEP
coshelf.mapping.watching._LONGEST_SLEEP = 1000.0
