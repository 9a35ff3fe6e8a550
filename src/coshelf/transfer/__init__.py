"""Moving entries from what others keep into a shelf, and from a shelf into what others read.

The commands ``coshelf import``, ``coshelf export`` and ``coshelf copy`` are these functions. No value is unpickled,
unless that is asked for: values move as the pickles that they are.
"""

from coshelf.transfer.copying import copy_entries
from coshelf.transfer.exporting import export_entries
from coshelf.transfer.importing import import_entries
from coshelf.transfer.report import Left, Report

__all__ = ["Left", "Report", "copy_entries", "export_entries", "import_entries"]
