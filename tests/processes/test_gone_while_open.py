"""A shelf's file, or its directory, that is deleted, replaced or moved by something else while it is open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import Crew, beside

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "gone_while_open"


@pytest.fixture
def path(path: str) -> str:
    """In a directory of its own, so that this can be removed."""
    folder = os.path.join(os.path.dirname(path), "folder")
    os.mkdir(folder)
    return os.path.join(folder, "a.shelf")


def delete(path: str) -> None:
    os.unlink(path)


def delete_directory(path: str) -> None:
    shutil.rmtree(os.path.dirname(path))


def clear_directory(path: str) -> None:
    delete_directory(path)
    os.mkdir(os.path.dirname(path))


def replace(path: str) -> None:
    shutil.copy(path, path + ".copy")
    os.replace(path + ".copy", path)


def rename(path: str) -> None:
    os.rename(path, path + ".moved")


def rename_directory(path: str) -> None:
    os.rename(os.path.dirname(path), os.path.dirname(path) + "-moved")


LOST = {"deleted": [delete, delete_directory, clear_directory], "replaced": [replace]}
MOVED = [rename, rename_directory]
each_loss = pytest.mark.parametrize(
    ("what", "lose"), [(what, lose) for what, ways in LOST.items() for lose in ways],
    ids=lambda each: getattr(each, "__name__", each),
)  # fmt: skip
each_move = pytest.mark.parametrize("move", MOVED)


@pytest.fixture(params=["interval", "commit", "no delta"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], coshelf.Shelf]:
    if request.param == "no delta":
        monkeypatch.setattr("coshelf.engines.lmdb.files.sidecars.boot_id", lambda: None)
    options = {"durability": "commit"} if request.param == "commit" else {"flush_interval": 1000}
    return lambda path: coshelf.open(path, **options)  # type: ignore[arg-type]


@each_loss
def test_no_commit_sync_or_close_returns_as_if_it_had_stored_anything(
    what: str, lose: Callable[[str], None], opened: Callable[[str], coshelf.Shelf], path: str
) -> None:
    shelf = opened(path)
    shelf["a"] = 1
    shelf.sync()
    lose(path)
    with pytest.raises(coshelf.ShelfGone, match=what) as caught:
        shelf["b"] = 2
        shelf.sync()
    assert caught.value.is_lost
    with pytest.raises(coshelf.ShelfGone, match=what):
        shelf["c"] = 3
    with pytest.raises(coshelf.ShelfGone, match=what):
        shelf.update({number: number for number in range(2000)})
    with pytest.raises(coshelf.ShelfGone, match=what):
        shelf.modify("a", lambda number: number + 1)
    with pytest.raises(coshelf.ShelfGone, match=what):
        shelf.sync()
    with pytest.raises(coshelf.ShelfGone, match=what):
        shelf.close()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is flushed in the background."""
    for step in ("notice", "start"):
        monkeypatch.setattr(f"coshelf.engines.lmdb.delta.flusher.Flusher.{step}", lambda self: None)


@each_loss
@pytest.mark.usefixtures("quiet")
def test_what_is_lost_can_still_be_read_and_backed_up(what: str, lose: Callable[[str], None], path: str) -> None:
    shelf = coshelf.open(path, flush_interval=1000)
    shelf["a"] = 1
    shelf.sync()
    shelf["b"] = 2
    lose(path)
    with pytest.raises(coshelf.ShelfGone, match="backup"):
        shelf.sync()
    assert dict(shelf) == {"a": 1, "b": 2}
    copy = os.path.join(os.path.dirname(os.path.dirname(path)), "copy.shelf")
    shelf.backup(copy)
    with pytest.raises(coshelf.ShelfGone):
        shelf.close()
    with coshelf.open(copy) as saved:
        assert dict(saved) == {"a": 1, "b": 2}


@each_loss
def test_the_flush_in_the_background_tells_the_next_commit(crew: Crew, path: str, what: str, lose: object) -> None:
    crew.run(SCRIPTS / "flush_in_the_background.py", path, lose.__name__, what)


@each_loss
@pytest.mark.usefixtures("quiet")
def test_another_shelf_of_that_name_is_not_opened_silently(what: str, lose: Callable[[str], None], path: str) -> None:
    """As long as the first one is open; then it is, and nothing of the first one is in its way."""
    shelf = coshelf.open(path, flush_interval=1000)
    shelf["a"] = 1
    shelf.sync()
    shelf["b"] = 2  # which waits in the delta
    lose(path)
    for flag in ("c", "w", "r", "n"):
        with pytest.raises(coshelf.ShelfGone, match=what):
            coshelf.open(path, flag)  # type: ignore[call-overload]
    with pytest.raises(coshelf.ShelfGone, match=what):
        shelf.close()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with coshelf.open(path) as other:
        assert dict(other) == ({"a": 1} if what == "replaced" else {})
        other["new"] = 1
        other.sync()
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("flag", ["c", "r"])
def test_who_has_written_nothing_since_closes_in_peace(path: str, flag: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    shelf = coshelf.open(path, flag)  # type: ignore[call-overload]
    assert shelf["a"] == 1
    delete_directory(path)
    assert shelf["a"] == 1
    shelf.close()


def descriptors(path: str) -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if name.startswith(os.path.dirname(path)):
            yield name


@each_loss
@pytest.mark.usefixtures("quiet")
def test_closing_frees_everything_all_the_same(what: str, lose: Callable[[str], None], path: str) -> None:
    shelf = coshelf.open(path, flush_interval=1000)
    shelf["a"] = 1
    shelf.sync()
    shelf["b"] = 2  # which waits in the delta
    lose(path)
    with pytest.raises(coshelf.ShelfGone):
        shelf.close()
    shelf.close()
    assert list(descriptors(path)) == []
    with open("/proc/self/maps") as maps:
        assert os.path.dirname(path) + "/" not in maps.read()


@each_move
@pytest.mark.usefixtures("quiet")
def test_moved_file_is_told_and_has_everything(
    move: Callable[[str], None], opened: Callable[[str], coshelf.Shelf], path: str
) -> None:
    shelf = opened(path)
    shelf["a"] = 1
    move(path)
    with pytest.raises(coshelf.ShelfGone, match="moved") as caught:
        shelf["b"] = 2
        shelf.sync()
    assert not caught.value.is_lost
    with pytest.raises(coshelf.ShelfGone, match="moved"):
        shelf["c"] = 3
    with pytest.raises(coshelf.ShelfGone):
        shelf.close()
    new = path + ".moved" if move is rename else os.path.join(os.path.dirname(path) + "-moved", "a.shelf")
    assert new in str(caught.value)
    with coshelf.open(new) as shelf:
        assert dict(shelf) == {"a": 1, "b": 2}


@each_move
@pytest.mark.usefixtures("quiet")
def test_file_that_is_moved_back_goes_on(move: Callable[[str], None], path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["a"] = 1
        move(path)
        with pytest.raises(coshelf.ShelfGone):
            shelf.sync()
        if move is rename:
            os.rename(path + ".moved", path)
        else:
            os.rename(os.path.dirname(path) + "-moved", os.path.dirname(path))
        shelf["b"] = 2
        shelf.sync()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1, "b": 2}


def test_compacting_is_no_replacement(path: str) -> None:
    with coshelf.open(path, durability="commit") as shelf:
        shelf["a"] = 1
        for number in range(3):
            shelf.compact()
            shelf["number"] = number
            with coshelf.open(path) as again:
                assert again["number"] == number
        shelf.sync()
    assert beside(path) == ["a.shelf"]


@each_loss
@pytest.mark.parametrize("options", [{"flush_interval": 1000}, {"durability": "commit"}])
def test_sqlite_tells_it_likewise(
    what: str, lose: Callable[[str], None], options: dict[str, object], path: str
) -> None:
    shelf = coshelf.open(f"sqlite:{path}", **options)  # type: ignore[arg-type]
    shelf["a"] = 1
    shelf.sync()
    shelf["b"] = 2
    lose(path)
    for write in (
        lambda: shelf.update(c=3),
        lambda: shelf.modify("a", lambda number: number + 1),
        shelf.sync,
    ):
        with pytest.raises(coshelf.ShelfGone, match=what):
            write()
    if "durability" in options:
        shelf.close()
    else:
        with pytest.raises(coshelf.ShelfGone, match=what):
            shelf.close()
