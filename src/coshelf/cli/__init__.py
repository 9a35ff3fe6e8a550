"""The command line, ``coshelf`` or ``python -m coshelf``. It needs the extra ``cli``, except for ``trust PATH``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and exit: 0 done, 1 something is absent or differs, 2 wrong usage, 3 a store's error."""
    try:
        import click
    except ImportError:
        if sys.argv[1:2] == ["trust"] and len(sys.argv) == 3 and not sys.argv[2].startswith("-"):
            from coshelf.cli.errors import reported
            from coshelf.trust.granting import trust_shelf

            with reported():
                trust_shelf(sys.argv[2])
            return
        sys.stderr.write("error: the command line needs click\n  hint: pip install 'coshelf[cli]'\n")
        sys.exit(2)
    from coshelf.cli.commands import coshelf
    from coshelf.cli.errors import reported

    del click
    with reported():
        coshelf(prog_name="coshelf")
