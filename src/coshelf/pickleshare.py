"""``pickleshare`` with the same names and the same directories, correct between processes.

As pickleshare, it trusts the directory: reading a value runs the code that its pickle names. Files have mode 0666 less
the umask. Processes that use pickleshare may share the directory.
"""

from __future__ import annotations

import sys

from coshelf.dropin.pickleshare_database import PickleShareDB, PickleShareLink, gethashfile

__all__ = ["PickleShareDB", "PickleShareLink", "gethashfile"]

if __name__ == "__main__":
    from coshelf.dropin.pickleshare_commands import main

    sys.exit(main(sys.argv[1:]))
