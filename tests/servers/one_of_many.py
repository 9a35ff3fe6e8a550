"""An engine with many buckets of which one has all entries, for tests that commit any entries together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coshelf.contract import Batch, OpenOptions
from coshelf.engines.redis.engine import RedisEngine, open_engine
from coshelf.engines.redis.layout import Layout


class _Focused(Layout):
    def index(self, key: bytes) -> int:
        return 0


class OneOfMany(RedisEngine):
    """All entries lie in one bucket. All other work goes through all buckets."""

    @classmethod
    def of(cls, engine: Any) -> OneOfMany:
        engine.__class__ = cls
        buckets, middle = engine._layout.buckets, len(engine._layout.buckets) // 2
        # The first one has the rows of coshelf itself, and is not that of the shelf's beginning.
        engine._layout = _Focused(engine._layout.meta, (*buckets[middle:], *buckets[:middle]))
        return engine  # type: ignore[no-any-return]

    def commit(self, batch: Batch) -> int:
        if batch.clears and (batch.checks or batch.puts or batch.deletes):  # a range lies in all buckets
            gone = {key for start, stop in batch.clears for key, _ in self.scan(start, stop, keys_only=True)}
            batch = replace(batch, clears=(), deletes=batch.deletes | (gone - batch.puts.keys()))
        return super().commit(batch)


def open_one_of_many(target: str, options: OpenOptions) -> OneOfMany:
    """Open an engine so that all entries lie in one of its buckets."""
    return OneOfMany.of(open_engine(target, options))
