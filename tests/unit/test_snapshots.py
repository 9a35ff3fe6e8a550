"""Snapshots that are held for long warn."""

from __future__ import annotations

import time
import warnings
from typing import Any

import pytest
from unit_support import ENTRIES


def test_long_held_snapshot_warns_once(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with shelf.snapshot() as snapshot:
        now += 599
        assert snapshot["a"] == "A"
        now += 2
        with pytest.warns(ResourceWarning, match="more than 10 minutes") as caught:
            assert snapshot["a"] == "A"
        assert any(shelf.name in str(warning.message) for warning in caught)
        now += 10_000
        assert snapshot["a"] == "A"
        assert snapshot == ENTRIES


def test_part_of_a_long_held_snapshot_warns(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with shelf.snapshot() as snapshot:
        part = snapshot.sub("a")
        now += 601
        with pytest.warns(ResourceWarning):
            assert list(part) == ["1", "2"]


def test_snapshot_is_released_after_ten_minutes_without_a_warning(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    snapshot = shelf.snapshot()
    now += 10_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snapshot.close()
