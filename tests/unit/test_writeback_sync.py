"""``writeback=True``: what is written back, and when. docs/reference/rules.md."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from unit_support import Pair

import coshelf
from coshelf.keys import encode


def test_only_changed_entries_are_written(pair: Pair) -> None:
    pair.theirs.update({n: [n] for n in range(20)})
    before = {n: pair.version(n) for n in range(20)}
    for n in range(20):
        assert pair.mine[n] == [n]
    pair.mine[3].append("changed")
    pair.mine[7].append("and back")
    pair.mine[7].pop()
    pair.mine.sync()
    after = {n: pair.version(n) for n in range(20)}
    assert [n for n in range(20) if after[n] != before[n]] == [3]


def test_all_changes_are_one_commit(pair: Pair) -> None:
    pair.theirs.update({n: [n] for n in range(5)})
    for n in range(5):
        pair.mine[n].append("changed")
    pair.mine.sync()
    assert len({pair.version(n) for n in range(5)}) == 1


def test_sync_without_changes_commits_nothing(pair: Pair) -> None:
    pair.mine.update({n: [n] for n in range(5)})
    before = {n: pair.version(n) for n in range(5)}
    pair.mine.sync()
    pair.mine.sync()
    assert {n: pair.version(n) for n in range(5)} == before


def test_sync_empties_the_cache(pair: Pair) -> None:
    pair.mine["a"] = value = [1]
    value.append(2)
    pair.mine.sync()
    assert pair.mine["a"] == [1, 2]
    assert pair.mine["a"] is not value
    pair.mine.sync()
    pair.theirs["a"] = ["theirs"]
    assert pair.mine["a"] == ["theirs"]
    value.append("too late")
    pair.mine.sync()
    assert pair.theirs["a"] == ["theirs"]


def test_close_writes_back(pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    engine, codec = pair.mine._handle.engine, pair.mine._handle.codec
    records: list[bytes] = []
    close = engine.close
    engine.close = lambda: (records.append(engine.get(encode("a")).record), close())
    pair.mine.close()
    assert [codec.load("a", encode("a"), record) for record in records] == [[1, 2]]


def test_close_by_with_writes_back(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "my.shelf", writeback=True) as shelf:
        shelf["a"] = {}
        shelf["a"]["b"] = 1
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert shelf["a"] == {"b": 1}


def test_close_of_a_namespace_writes_nothing_and_closes_nothing(pair: Pair) -> None:
    users = pair.mine.sub("users")
    users["ann"] = []
    users["ann"].append(1)
    users.close()
    assert pair.theirs["users/ann"] == []
    pair.mine.sync()
    assert pair.theirs["users/ann"] == [1]


def test_sync_inside_a_transaction_is_refused_if_there_is_something_to_write(pair: Pair) -> None:
    pair.mine["a"] = [1]
    with pair.mine.transaction() as t:
        t["b"] = 1
        pair.mine.sync()
        other = threading.Thread(target=lambda: pair.mine["a"].append(2))  # here it would be refused
        other.start()
        other.join()
        with pytest.raises(coshelf.TransactionInProgress):
            pair.mine.sync()
    pair.mine.sync()
    assert dict(pair.theirs) == {"a": [1, 2], "b": 1}


def test_failed_commit_keeps_what_was_to_be_written(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)

    def full(batch: object) -> int:
        raise coshelf.StorageFull("no space")

    with monkeypatch.context() as patch:
        patch.setattr(pair.mine._handle.engine, "commit", full)
        with pytest.raises(coshelf.StorageFull):
            pair.mine.sync()
    assert pair.mine["a"] == [1, 2]
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2]
