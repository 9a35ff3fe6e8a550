import sys

from coshelf.transfer import exporting


def fail(*arguments):
    raise OSError(28, "No space left on device")


exporting.sync_directory = exporting._JsonLines.put = exporting._PickleShare.put = exporting._Shelve.put = fail  # type: ignore[attr-defined]
try:
    exporting.export_entries(sys.argv[1], sys.argv[2], kind=sys.argv[3])
except OSError:
    print("failed")
