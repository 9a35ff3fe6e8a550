"""Turns on the sqlite engine where processes share no memory: the contract, and what is left of processes that died."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import coshelf
from coshelf.contract import Engine, OpenOptions
from coshelf.engines import open_engine
from coshelf.engines.leases.held import MemberFolder
from coshelf.engines.sqlite.lines import SqliteLines
from coshelf.system.locks import whole_file
from coshelf.testing.contract.turns import TurnTests


@pytest.fixture(autouse=True)
def _without_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_file, "has_flock", False)


class TestSqliteLines(TurnTests):
    demands = ("turns=processes",)

    def open_engine(self, place: Path, options: OpenOptions) -> Engine:
        engine = open_engine(f"sqlite:{place / 'under.test'}", options)
        assert isinstance(engine.turns(), SqliteLines)
        return engine


# --- what processes leave behind -------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:{path}", OpenOptions())
    yield engine
    engine.close()


def members(path: Path) -> list[str]:
    return sorted(os.listdir(path.with_name(".a.db.coshelf-members")))


def test_nothing_is_made_before_the_first_use(engine: Engine, path: Path) -> None:
    assert list(engine.turns().lines()) == []
    assert engine.turns().line(b"door").holders == ()
    engine.turns().ring(b"door")
    assert sorted(each.name for each in path.parent.iterdir()) == [
        ".a.db.coshelf-lock", "a.db", "a.db-shm", "a.db-wal",
    ]  # fmt: skip


def test_closed_handle_leaves_no_member(engine: Engine, path: Path) -> None:
    place = engine.turns().join(b"door")
    assert len(members(path)) == 1
    assert place.wait(0)
    engine.close()
    assert members(path) == []


def test_files_of_members_that_died_are_removed_by_the_next_one(engine: Engine, path: Path) -> None:
    folder = path.with_name(".a.db.coshelf-members")
    folder.mkdir()
    (folder / "0123456789abcdef").touch()  # made, and killed before it had a row
    place = engine.turns().join(b"door")
    assert place.wait(0)
    assert len(members(path)) == 1
    assert "0123456789abcdef" not in members(path)


def test_member_whose_file_was_removed_before_it_was_locked_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = MemberFolder(str(tmp_path / "members"))
    take = whole_file.take

    def late(descriptor: int, kind: whole_file.Kind) -> None:
        monkeypatch.setattr(whole_file, "take", take)
        folder.remove("me")
        take(descriptor, kind)

    monkeypatch.setattr(whole_file, "take", late)
    descriptor = folder.hold("me")
    assert folder.lives("me")
    folder.let_go("me", descriptor)
    assert not folder.lives("me")
    assert folder.ids() == []


def test_turns_go_on_while_a_transaction_keeps_the_shelf(engine: Engine, path: Path) -> None:
    second = open_engine(f"sqlite:{path}", OpenOptions(timeout=0))
    try:
        with engine.exclusive():
            place = second.turns().join(b"door")
            assert place.wait(0)
            mine = engine.turns().join(b"door")
            place.leave()
            assert mine.wait(None)
    finally:
        second.close()


def test_reader_sees_who_holds_a_lock(engine: Engine, path: Path) -> None:
    mine = engine.turns().join(b"door")
    reader = open_engine(f"sqlite:{path}", OpenOptions(flag="r"))
    try:
        assert [who.token for who in reader.turns().line(b"door").holders] == [mine.token]
        with pytest.raises(coshelf.ReadOnlyShelf):
            reader.turns().join(b"door")
    finally:
        reader.close()


def test_link_in_the_place_of_a_member_is_not_followed(path: Path, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    path.with_name(".a.db.coshelf-bells").symlink_to(tmp_path / "victim")
    with pytest.raises(coshelf.StorageError):
        engine.turns().bell(b"door")
    assert (tmp_path / "victim").read_text() == "kept"
