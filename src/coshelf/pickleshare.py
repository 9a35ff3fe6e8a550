"""``pickleshare`` with the same names and the same directories, correct between processes.

What it opens it trusts, as pickleshare does: reading a value runs what its pickle says. Files are 0666 less the umask.
Running pickleshare processes may share the directory.
"""

from __future__ import annotations

import sys

from coshelf.dropin.pickleshare_database import PickleShareDB, PickleShareLink, gethashfile

__all__ = ["PickleShareDB", "PickleShareLink", "gethashfile"]

if __name__ == "__main__":
    from coshelf.dropin.pickleshare_commands import main

    sys.exit(main(sys.argv[1:]))
