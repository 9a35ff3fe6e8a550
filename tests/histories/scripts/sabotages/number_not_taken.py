"""A large commit that does not take its number."""

from contextlib import contextmanager

from coshelf.engines.lmdb.delta.log import LogDelta
from coshelf.engines.lmdb.delta.table import TableDelta


@contextmanager
def numbering(self):
    yield self.last_number() + 1


LogDelta.numbering = TableDelta.numbering = numbering
