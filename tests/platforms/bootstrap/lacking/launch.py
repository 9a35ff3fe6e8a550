"""Starts a command where something is lacking: ``python launch.py COMMAND ARGUMENT ...``, with the variables set.

What the kernel refuses begins here, before the command's own interpreter.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from lacking import LACKING, PROC
from lacking.kernel import empty_proc, refuse
from lacking.tables import lacking

PRELOADED = "COSHELF_TESTS_PRELOAD"


def main() -> None:
    """Have the kernel refuse what it is to refuse, and take the place of this process by the command."""
    found = lacking(os.environ[LACKING])
    if found.without_proc:
        empty_proc(os.environ[PROC])
    if found.calls:
        refuse(found.calls)
    if PRELOADED in os.environ:
        os.environ["LD_PRELOAD"] = os.environ[PRELOADED]
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
