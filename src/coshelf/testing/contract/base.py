"""The base of all tests of engines: how the engine is opened, and which tests are skipped."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from coshelf.contract import Engine, OpenOptions
from coshelf.testing.contract.requirements import grants
from coshelf.testing.moving_clock import MovingClock

__all__ = ["EngineTests"]


class EngineTests:
    """Holds the engine under test. The tests of each subject inherit from it."""

    demands: ClassVar[tuple[str, ...]] = ()
    share: ClassVar[float] = 1.0

    def some(self, usual: int) -> int:
        """The number of entries or rounds, in place of the usual number."""
        return max(2, int(usual * self.share))

    def sparse(self, step: int = 1) -> int:
        """The step for taking some of many, in place of the usual step."""
        return int(step / self.share)

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        """Open the engine. ``place`` is an empty directory for this test. The same place means the same entries."""
        raise NotImplementedError("a subclass of EngineContract overrides open_engine()")

    def reopen(self, engine: Engine, place: Path, options: OpenOptions) -> Engine:
        """Close the engine and open it again with the same entries. Called only if entries persist."""
        engine.close()
        return self.open_engine(place, options)

    def moving_clock(self) -> MovingClock:
        """A clock by which the entries of the engine expire. An engine that asks a server has one of its own."""
        return MovingClock()

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        """The engine under test, empty."""
        with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as engine:
            yield engine

    @pytest.fixture
    def eager_threads(self) -> Iterator[None]:
        """Make threads interrupt each other often, so that a race shows within few rounds."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(usual)

    @pytest.fixture(autouse=True)
    def _only_what_is_granted(self, request: pytest.FixtureRequest, engine: Engine) -> None:
        for requirement in getattr(request.function, "needs", ()):
            if not grants(engine.capabilities, requirement):
                pytest.skip(f"the {engine.name} engine does not grant {requirement}")
