"""Moving entries from what others keep into a shelf, and from a shelf into what others read.

The commands ``coshelf import`` and ``coshelf export`` are these two functions. No value is unpickled, unless that is
asked for: values move as the pickles that they are.
"""

from coshelf.transfer.exporting import export_entries
from coshelf.transfer.importing import import_entries
from coshelf.transfer.report import Left, Report

__all__ = ["Left", "Report", "export_entries", "import_entries"]
