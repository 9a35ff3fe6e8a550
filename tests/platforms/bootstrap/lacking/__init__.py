"""Takes facilities away in this process, as the environment says. Children take over the environment.

The variable :data:`LACKING` names what is lacking. What the kernel or the C library refuses is refused before Python
begins (``kernel.py``, ``refuse.c``). This package takes away what Python itself has: modules, functions and flags.
"""

from __future__ import annotations

import os

__all__ = ["LACKING", "PROC", "install"]

LACKING = "COSHELF_TESTS_LACKING"
"""The variable with the names of facilities and profiles, separated by commas."""
PROC = "COSHELF_TESTS_PROC"
"""The variable with a directory where ``/proc`` can be read though it is empty."""


def install() -> None:
    """Take away what the environment names, before the first module of coshelf is imported."""
    names = os.environ.get(LACKING)
    if names:
        from lacking.hiding import hide
        from lacking.tables import lacking

        hide(lacking(names))
