"""A flush that empties a segment of the log before the base has its commits."""

from contextlib import contextmanager

from coshelf.engines.lmdb.delta.log import LogDelta


@contextmanager
def taking(self, flushed, _taking=LogDelta.taking):
    with _taking(self, flushed) as taken:
        self.log.remove(taken.last)
        yield taken


LogDelta.taking = taking
