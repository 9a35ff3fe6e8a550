"""The contract of engines on object stores, and a shelf on them against a dict."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import objects
import pytest

from coshelf.contract import Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.testing import EngineContract

# What an object store has to grant: a test that is skipped for want of one of these is a failure.
EXPECTED = (
    *("ordered=True", "snapshots=None", "atomic=none", "checks=entry", "exclusive=None", "watch=poll"),
    *("shared=processes", "persistent", "acknowledged=server", "consistency=strict", "largest_batch=None"),
    *("largest_key", "largest_value=5368709108", "cheap_count=False", "expiry", "changes=latest", "blobs=False"),
)


class _OnObjects(EngineContract):
    demands = EXPECTED
    kind: ClassVar[str]
    deletes_conditionally: ClassVar[bool] = True

    @pytest.fixture
    def engine(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
        self.server: objects.Server = request.getfixturevalue(self.kind)
        self.run = uuid.uuid4().hex
        with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as engine:
            yield engine

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        engine: Any = open_engine(self.server.url(f"{self.run}/{place.name}"), options)
        if options.flag != "r":
            assert engine._deletes_conditionally
            engine._deletes_conditionally = self.deletes_conditionally
        return engine

    def moving_clock(self) -> objects.MovedClock:
        return objects.MovedClock()


@pytest.mark.variant  # of the same engine as on weed, which is a server of its own
class TestMoto(_OnObjects):
    kind = "moto"
    share = 0.02

    def test_scan_costs_what_is_taken_from_it(self, engine: Engine) -> None:
        pytest.skip("the server's memory is that of this process")


class TestWeed(_OnObjects):
    kind = "weed"
    share = 0.05


@pytest.mark.variant
class TestWeedWithTombstones(_OnObjects):
    """As on servers that delete whatever the condition is."""

    kind = "weed"
    share = 0.02
    deletes_conditionally = False
