"""A flush that removes the entries of all rows whose time has come, even if they were stored again since."""

from coshelf.engines.lmdb import base_writer, long_keys
from coshelf.system import clock
from coshelf.values.expiry import row_of, until


def sweep(self, number, written):
    for row, _ in list(long_keys.walk(self._transaction, *until(clock.now()), False, True)):
        self._delete(row_of(row)[1])
        self._delete(row)


base_writer.BaseWriter.sweep = sweep
