"""The files engine in places that refuse: clear errors of ours, and nothing is lost or touched outside."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.errors import CoshelfError, NotAShelf, ShelfNotFound, StorageError
from coshelf.pickleshare import PickleShareDB
from starting import as_user

SCRIPTS = Path(__file__).parent / "scripts" / "files_in_bad_places"

_REFUSALS = SCRIPTS / "refusals.py"


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


@pytest.fixture
def root(place: Path) -> Path:
    """A directory with two values, in one that others may enter."""
    (place / "inside").mkdir()
    with coshelf.open(f"files:{place}/inside/db", mode=0o644) as shelf:
        shelf.update({"a": 1, "b/c": [2]})
    return place / "inside/db"


def test_read_only_directory_is_read_and_each_write_is_refused(root: Path, powerless: Any, unchanged: Any) -> None:
    for path in (root, root / "b", root.parent):
        path.chmod(0o555)
    with unchanged(root.parent):
        powerless(_REFUSALS, root, "writes")


def test_file_that_may_not_be_read_is_no_missing_key(root: Path, powerless: Any) -> None:
    (root / "a").chmod(0)
    powerless(_REFUSALS, root, "reads")


def test_directory_that_may_not_be_entered(root: Path, powerless: Any) -> None:
    root.chmod(0)
    try:
        powerless(_REFUSALS, root, "opening")
    finally:
        root.chmod(0o755)


def test_planted_staging_directory_is_not_written_to(root: Path, tmp_path: Path, unchanged: Any) -> None:
    staging = root.parent / ".db.coshelf-staging"
    shutil.rmtree(staging)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("kept")
    staging.symlink_to(tmp_path / "outside")
    with coshelf.open(f"files:{root}") as shelf:
        with unchanged(tmp_path), pytest.raises(CoshelfError, match="db"):
            shelf["a"] = 2
        assert dict(shelf) == {"a": 1, "b/c": [2]}
    staging.unlink()
    staging.write_text("a file in its place")
    with coshelf.open(f"files:{root}") as shelf, unchanged(tmp_path), pytest.raises(CoshelfError, match="db"):
        shelf["a"] = 2
    staging.unlink()
    os.mkfifo(staging)
    with coshelf.open(f"files:{root}") as shelf:
        with pytest.raises(CoshelfError, match="db"):
            shelf["a"] = 2
        assert dict(shelf) == {"a": 1, "b/c": [2]}


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), socket_at, Path.mkdir])
def test_what_lies_where_a_lock_file_is_expected_neither_hangs_nor_is_followed(
    root: Path, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coshelf.engines.files.engine.shared", lambda path: "on a network file system (nfs4)")
    staging = root.parent / ".db.coshelf-staging"
    for name in ("writers.lock", "batch.lock"):
        make(staging / name)
        with coshelf.open(f"files:{root}", timeout=5) as shelf:
            with pytest.raises(NotAShelf, match="not a regular file"):
                shelf["a"] = 2
            assert dict(shelf) == {"a": 1, "b/c": [2]}
            assert shelf.get_many(["a"]) == {"a": 1}
        (staging / name).rmdir() if (staging / name).is_dir() else (staging / name).unlink()
    with coshelf.open(f"files:{root}") as shelf:
        shelf["a"] = 3


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), socket_at])
@pytest.mark.parametrize("name", ["value", ".coshelf", ".coshelf/keys", ".coshelf/keys/0x%2f%2fy"])
def test_what_lies_where_a_value_is_expected_neither_hangs_nor_is_followed(
    root: Path, make: Callable[[Path], object], name: str
) -> None:
    if name == ".coshelf":
        shutil.rmtree(root / ".coshelf")
    (root / name).parent.mkdir(exist_ok=True)
    make(root / name)
    with coshelf.open(f"files:{root}") as shelf:
        for key in ("value", "x//y"):
            assert key not in shelf
            assert shelf.get(key) is None
        assert dict(shelf) == {"a": 1, "b/c": [2]}
        assert len(shelf) == 2
        key = "value" if name == "value" else "x//y"
        with pytest.raises(CoshelfError):
            shelf[key] = 1
        shelf["other"] = 1
    assert not stat.S_ISREG((root / name).lstat().st_mode)


def test_root_that_is_moved_or_deleted_while_it_is_open_is_told(root: Path) -> None:
    shelf = coshelf.open(f"files:{root}")
    shelf["a"] = 2
    root.rename(root.parent / "moved")
    for work in (lambda: shelf.__setitem__("a", 3), shelf.sync, shelf.close):
        with pytest.raises(StorageError, match="moved or replaced"):
            work()
    assert pickle.loads((root.parent / "moved/a").read_bytes()) == 2
    (root.parent / "moved").rename(root)
    shelf = coshelf.open(f"files:{root}")
    shelf["a"] = 4
    shutil.rmtree(root)
    assert dict(shelf) == {}
    for work in (lambda: shelf.__setitem__("a", 3), lambda: shelf.modify("n", int, default=0), shelf.sync):
        with pytest.raises(StorageError, match="there is nothing now"):
            work()
    with pytest.raises(StorageError), shelf.transaction() as t:
        t["a"] = 5
    with pytest.raises(StorageError):
        shelf.close()
    shelf.close()
    with pytest.raises(ShelfNotFound):
        coshelf.open(f"files:{root}", "r")
    assert not root.exists()


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_nothing_is_written_to_a_directory_that_took_the_place_of_the_root(root: Path, durability: Any) -> None:
    shelf = coshelf.open(f"files:{root}", durability=durability)
    shelf["a"] = 2
    shutil.rmtree(root)
    with coshelf.open(f"files:{root}") as other:
        other["theirs"] = 1
        for work in (lambda: shelf.__setitem__("a", 3), shelf.clear, shelf.sync, shelf.close):
            with pytest.raises(StorageError, match="another one lies there now"):
                work()
        assert dict(other) == {"theirs": 1}


def test_reader_of_a_root_that_goes_closes_in_peace(root: Path) -> None:
    for flag in ("r", "c"):
        with coshelf.open(f"files:{root}", flag) as shelf:  # type: ignore[arg-type]
            assert shelf["a"] == 1
            root.rename(root.parent / "moved")
            assert shelf["a"] == 1
        (root.parent / "moved").rename(root)


@pytest.mark.parametrize("umask", [0, 0o077])
def test_directories_below_the_root_have_the_mode_that_was_asked_for(place: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        for mode, expected in ((0o600, 0o700), (0o640, 0o750), (0o664, 0o775)):
            with coshelf.open(f"files:{place}/{mode:o}", mode=mode) as shelf:
                shelf["d/e/f"] = shelf["https://x"] = 1
            for path in (place / f"{mode:o}", *(place / f"{mode:o}").rglob("*")):
                assert path.stat().st_mode & 0o777 == (expected if path.is_dir() else mode), path
    finally:
        os.umask(before)


def test_group_that_a_directory_hands_down_is_handed_down(place: Path) -> None:
    place.chmod(0o2755)
    with coshelf.open(f"files:{place}/db", mode=0o660) as shelf:
        shelf["d/e"] = 1
    assert (place / "db").stat().st_mode & 0o7777 == (place / "db/d").stat().st_mode & 0o7777 == 0o2770


# --- directories of other programs -----------------------------------------------------------------------------------


@pytest.fixture
def models(place: Path) -> Path:
    """A directory of another program, which keeps pickles and other things in it."""
    (place / "models/old").mkdir(parents=True)
    (place / "models/best.pkl").write_bytes(pickle.dumps({"weights": [1, 2]}, 2))
    (place / "models/old/first.pkl").write_bytes(pickle.dumps("first", 0))
    (place / "models/README.txt").write_text("not a pickle")
    for path in (place / "models").rglob("*"):
        os.utime(path, (1, 1))
    return place / "models"


@pytest.mark.parametrize("target", ["{}/", "files:{}"])
def test_pickles_of_another_program_are_not_deleted(models: Path, unchanged: Any, target: str) -> None:
    with unchanged(models.parent):
        with pytest.raises(NotAShelf, match="not made by coshelf"):
            coshelf.open(target.format(models), "n")
        for flag in ("w", "c"):
            with coshelf.open(target.format(models), flag) as shelf:  # type: ignore[arg-type]
                with pytest.raises(NotAShelf, match="not made by coshelf"):
                    shelf.clear()
                with pytest.raises(NotAShelf, match="not made by coshelf"):
                    shelf.sub("old").clear()


def test_directory_of_another_program_has_the_entries_that_it_could_have_from_here(models: Path) -> None:
    with coshelf.open(f"files:{models}", trust=True) as shelf:
        assert dict(shelf) == {"best.pkl": {"weights": [1, 2]}, "old/first.pkl": "first"}
        assert len(shelf) == 2
        assert "README.txt" not in shelf
        assert shelf.get("README.txt") is None
        shelf["more"] = shelf["https://x"] = 1
        del shelf["best.pkl"]
        with pytest.raises(NotAShelf):
            shelf["README.txt"] = 1
        with pytest.raises(NotAShelf):
            shelf.clear()
        assert set(shelf) == {"more", "https://x", "old/first.pkl"}
    with pytest.raises(NotAShelf):
        coshelf.open(f"files:{models}", "n")


@pytest.mark.parametrize("made", ["by the shelf", "empty before"])
@pytest.mark.parametrize("flag", ["c", "n", "w"])
def test_directory_that_a_shelf_made_or_found_empty_is_emptied(place: Path, made: str, flag: Any) -> None:
    if made == "empty before" or flag == "w":
        (place / "db").mkdir()
    with coshelf.open(f"files:{place}/db", flag) as shelf:
        shelf.update({"a": 1, "b/c": 2, "https://x": 3, "k" * 300: 4})
    shutil.copytree(place / "db", place / "copy")  # as backups do: the marker is no attribute of a file system's own
    for name in ("db", "copy"):
        with coshelf.open(f"files:{place}/{name}") as shelf:
            assert len(shelf) == 4
        with coshelf.open(f"files:{place}/{name}", "n") as shelf:
            assert len(shelf) == 0
            shelf["a"] = 1
            shelf.clear()
        assert [path for path in (place / name).rglob("*") if path.is_file()] == []


def test_pickleshare_face_empties_what_it_was_given_and_reads_what_a_shelf_put_there(models: Path) -> None:
    with coshelf.open(f"files:{models}") as shelf:
        shelf["https://x"] = "odd"
    db = PickleShareDB(models)
    odd = ".coshelf/keys/0https%3a%2f%2fx"
    assert sorted(db.keys()) == [odd, "README.txt", "best.pkl", "old/first.pkl"]
    assert db[odd] == "odd"
    db.clear()
    assert db.keys() == ["README.txt"]
    assert not (models / ".coshelf/made").exists()


def test_unusual_keys_that_are_paths_are_keys(root: Path) -> None:
    keys = [
        "A",
        "a ",
        ".hidden",
        "...",
        "-",
        "~",
        "*",
        "a.b",
        "é",
        "e\u0301",
        "\n",
        "con",
        "k" * 255,
        "x" + "/y" * 500,
        "\x7f",
    ]
    with coshelf.open(f"files:{root}") as shelf:
        for number, key in enumerate(keys):
            shelf[key] = number
        assert [shelf[key] for key in keys] == list(range(len(keys)))
        assert shelf["a"] == 1
        assert set(shelf) == {*keys, "a", "b/c"}
        shelf["/".join("k" * 200 for _ in range(3)) + "/.."] = 1
        assert set(shelf) == {*keys, "a", "b/c", "/".join("k" * 200 for _ in range(3)) + "/.."}


def test_key_that_is_longer_than_any_path_is_a_key(root: Path) -> None:
    key = "/".join("k" * 250 for _ in range(40))  # longer than any path that can be given to the system
    with coshelf.open(f"files:{root}") as shelf:
        shelf[key] = 1
        assert shelf[key] == 1
        assert key in list(shelf)
        shelf.clear()
        assert dict(shelf) == {}
    shutil.rmtree(root)  # what looks at whole paths cannot


def test_old_pickles_of_no_process_at_work_are_damage_at_once(root: Path) -> None:
    for name, data in {
        "empty": b"",
        "cut": pickle.dumps([1] * 100, 2)[:-7],
        "text": b"hello",
        "zeros": bytes(50),
    }.items():
        (root / name).write_bytes(data)
        os.utime(root / name, (1, 1))
        with coshelf.open(f"files:{root}") as shelf:
            assert name in shelf
            with pytest.raises(coshelf.DamagedRecord, match=name):
                shelf[name]
            with pytest.raises(coshelf.DamagedRecord, match=name):
                dict(shelf)
            assert shelf["a"] == 1
            assert len(shelf) == 3
        (root / name).unlink()


def test_value_whose_class_is_gone_is_neither_missing_nor_damaged(root: Path) -> None:
    (root / "gone").write_bytes(b"\x80\x02cnowhere\nGone\n)\x81.")
    with coshelf.open(f"files:{root}", trust=True) as shelf, pytest.raises(coshelf.UnreadableValue, match="gone"):
        shelf["gone"]


_SWAP = SCRIPTS / "swaps.py"


def test_directory_that_becomes_a_link_leads_nobody_out(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_bytes(pickle.dumps("precious"))
    with coshelf.open(f"files:{root}") as shelf:
        shelf["swap/key"] = 0
        command = [sys.executable, _SWAP, str(root), str(outside)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as swapper:
            assert swapper.stdout is not None
            swapper.stdout.readline()
            writes = 0
            while swapper.poll() is None:
                try:
                    shelf["swap/key"] = writes
                    shelf["swap/new"] = writes
                    writes += 1
                    assert shelf.get("swap/key") != "precious"
                    if writes % 10 == 0:
                        shelf.clear()
                except CoshelfError:
                    continue
        assert writes > 10
    assert os.listdir(outside) == ["key"]
    assert pickle.loads((outside / "key").read_bytes()) == "precious"


def test_full_disk_is_told_and_loses_nothing(mounted: Any) -> None:
    place = mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    with coshelf.open(f"files:{place}/db") as shelf:
        shelf["a"] = "old"
        with pytest.raises(coshelf.StorageFull):
            shelf.update({"a": "new", "b": "x" * 3_000_000})
        assert dict(shelf) == {"a": "old"}
        shelf["b"] = "x" * 500_000  # what the refused batch took is free again
        assert [path for path in (place / ".db.coshelf-staging").rglob("*") if not path.is_dir()] == []


# --- beside another user ---------------------------------------------------------------------------------------------


_STAGING_OF_ANOTHER = SCRIPTS / "staging_of_another.py"


@pytest.mark.parametrize("part", ["whole", "the user's own"])
def test_staging_directory_that_another_user_made_beforehand_is_not_used(
    place: Path, another_user: Any, part: str
) -> None:
    place.chmod(0o1777)
    (place / "db").mkdir()
    staging = place / ".db.coshelf-staging"
    if part != "whole":
        staging.mkdir()
        staging.chmod(0o777)
    another_user(_STAGING_OF_ANOTHER, staging, part)
    with coshelf.open(f"files:{place}/db") as shelf:
        for number in range(20):
            with pytest.raises(NotAShelf, match=r"others|belongs to the user"):
                shelf["a"] = number
        assert dict(shelf) == {}
    assert list((staging / "0").iterdir()) == []
    shutil.rmtree(staging)
    with coshelf.open(f"files:{place}/db") as shelf:
        shelf["a"] = 1
        assert dict(shelf) == {"a": 1}
    assert (staging / "0").stat().st_mode & 0o777 == 0o700


_EXCHANGE = SCRIPTS / "exchanges.py"


def test_no_value_is_exchanged_before_it_is_renamed(place: Path, another_user: Any) -> None:
    """The other user made the staging directory first, and puts a value of theirs over each file that appears there."""
    place.chmod(0o1777)
    staging, taken = place / ".db.coshelf-staging", place / "taken"
    taken.mkdir()
    taken.chmod(0o777)
    another_user(_STAGING_OF_ANOTHER, staging, "whole")
    with coshelf.open(f"files:{place}/db", trust=False) as shelf:
        command = [sys.executable, *as_user(65534, _EXCHANGE), str(staging), str(taken)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            try:
                for number in range(100):
                    with suppress(NotAShelf):
                        shelf["a"] = [number]
                        assert shelf["a"] == [number]
                    assert shelf.get("a") != "evil"
            finally:
                other.kill()
    assert list(taken.iterdir()) == []


def test_users_who_share_a_directory_write_it_in_turns(place: Path, another_user: Any) -> None:
    place.chmod(0o777)
    (place / "db").mkdir()
    (place / "db").chmod(0o777)
    script = SCRIPTS / "shares.py"
    another_user(script, place / "db", "theirs", "")
    with coshelf.open(f"files:{place}/db", mode=0o666, trust=False) as shelf:
        shelf["ours"] = shelf["//ours"] = [2]
        assert shelf["theirs"] == shelf["//theirs"] == [1]
    another_user(script, place / "db", "more", "clear")
    with coshelf.open(f"files:{place}/db") as shelf:
        assert dict(shelf) == {}


def test_mount_point_is_read_though_nothing_can_be_renamed_into_it(place: Path, mounted: Any) -> None:
    (place / "db").mkdir()
    mounted("-t", "tmpfs", "tmpfs", at=place / "db")
    (place / "db/a").write_bytes(pickle.dumps(1))
    with coshelf.open(f"files:{place}/db", trust=True) as shelf:
        for _ in range(2):
            assert dict(shelf) == {"a": 1}
            with pytest.raises(coshelf.Unsupported, match="another file system"):
                shelf["b"] = 2
