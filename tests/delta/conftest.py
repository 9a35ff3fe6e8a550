"""Fixtures for tests of base and delta: the same as for tests with several processes."""

from __future__ import annotations

import pytest
from fixtures import armed, crew, own_state, path
from insides import use_tables

from coshelf import native
from coshelf.engines.lmdb.delta import files

__all__ = ["armed", "crew", "each_kind", "own_state", "path", "tables"]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process make tables, and have its workers do without the module in C, so that they make tables, too."""
    monkeypatch.setattr(files, "native", files.native)  # put back at the end of the test
    use_tables()
    monkeypatch.setenv("COSHELF_NATIVE", "0")


@pytest.fixture(params=["log", "table"] if native.in_use else ["table"])
def each_kind(request: pytest.FixtureRequest) -> None:
    """Run a test over both kinds of delta that are written through a map, as far as this process can have them."""
    if request.param == "table":
        request.getfixturevalue("tables")
