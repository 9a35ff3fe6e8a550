import sys

import coshelf

assert "coshelf.transfer" not in sys.modules
assert "coshelf.shelve" not in sys.modules
assert coshelf.transfer.import_entries
assert coshelf.trust.trust_shelf
assert coshelf.shelve.open
assert coshelf.dbm.whichdb
assert coshelf.pickleshare.PickleShareDB
assert coshelf.errors.CoshelfError
try:
    coshelf.nothing
except AttributeError as error:
    print(error)
