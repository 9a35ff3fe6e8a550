"""A flush that leaves nothing in the delta, not even the commits that came meanwhile."""

from coshelf.engines.lmdb.delta.log import LogDelta
from coshelf.engines.lmdb.delta.table import TableDelta


def remove(self, *_):
    number = self.last_number()
    self.log.swap(number)
    self.log.remove(number)


TableDelta._newer = lambda *_: []
LogDelta.remove = remove
