"""Lines in rows, whose turns end with leases, on an engine that needs no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from lease_engines import lease_on_sqlite
from lease_stories import LeaseStories

from coshelf.contract import Engine, OpenOptions
from coshelf.testing.contract.turns import TurnTests


class TestContract(TurnTests):
    demands = ("turns=lease",)
    share = 0.3

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        return lease_on_sqlite(f"sqlite:{place / 'under.test'}", options, 60.0)


class TestStories(LeaseStories):
    @pytest.fixture
    def lease_url(self, path: str) -> str:
        return f"sqlite:{path}"
