"""The trust mark: docs/format.md, "The trust mark"."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import lmdb
import pytest

import coshelf
from coshelf import records
from coshelf.engines.lmdb.shelf_row import ROW_KEY
from coshelf.trust import marks
from starting import as_user

SCRIPTS = Path(__file__).parent / "scripts" / "trust_mark"

SOURCE = str(Path(coshelf.__file__).parents[1])


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of this test's user, not made yet."""
    monkeypatch.delenv("COSHELF_SECRET_FILE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "coshelf"


def make(path: Path) -> Path:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    return path


def rows(path: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False, lib_version=0) as opened, opened.begin() as t:
        return dict(t.cursor())


def store_id(path: Path) -> bytes:
    return rows(path)[ROW_KEY][24:40]


def own_row(path: Path) -> bytes | None:
    """The body of the row of the mark."""
    record = rows(path).get(b"\x01trust")
    return None if record is None else record[: -records.TRAILER]


def is_marked(path: Path) -> bool:
    status = path.stat()
    return marks.is_marked(store_id(path), status.st_dev, status.st_ino, own_row(path))


def described(secret: bytes, path: Path) -> str:
    """The name of the mark, from the words of the document."""
    status = path.stat()
    text = b"coshelf trust 1\0" + store_id(path) + struct.pack("<QQ", status.st_dev, status.st_ino)
    return blake2b(text, key=secret, digest_size=32).hexdigest()


# --- in the state directory ------------------------------------------------------------------------------------------


def test_mark_is_the_file_that_the_format_describes(state: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "my.shelf")
    secret = (state / "secret").read_bytes()
    assert len(secret) == 32
    assert os.listdir(state / "trusted") == [described(secret, path)]
    assert (state / "trusted" / described(secret, path)).read_text() == f"{path}\n"
    assert is_marked(path)
    assert own_row(path) is None


def test_modes_are_for_the_user_alone_whatever_the_umask(state: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "my.shelf")
    finally:
        os.umask(before)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "trusted").stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "secret").stat().st_mode) == 0o600
    for mark in (state / "trusted").iterdir():
        assert stat.S_IMODE(mark.stat().st_mode) == 0o600


def test_secret_is_made_once(state: Path, tmp_path: Path) -> None:
    one = make(tmp_path / "one.shelf")
    secret = (state / "secret").read_bytes()
    other = make(tmp_path / "other.shelf")
    assert (state / "secret").read_bytes() == secret
    assert is_marked(one)
    assert is_marked(other)
    assert len(os.listdir(state / "trusted")) == 2
    assert sorted(os.listdir(state)) == ["secret", "trusted"]


_RACE = SCRIPTS / "first_shelf.py"


def test_processes_that_make_the_first_shelf_at_once_agree_on_one_secret(state: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.shelf" for n in range(6)]
    environment = os.environ | {"PYTHONPATH": SOURCE}
    makers = [
        subprocess.Popen(
            [sys.executable, _RACE, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for path in paths
    ]
    for maker in makers:
        assert maker.stdout
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        maker.communicate("go\n", timeout=300)
        assert maker.returncode == 0
    assert all(is_marked(path) for path in paths)
    assert len(os.listdir(state / "trusted")) == len(paths)
    assert sorted(os.listdir(state)) == ["secret", "trusted"]


def test_copy_has_no_mark(state: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "my.shelf")
    shutil.copy(path, tmp_path / "copy.shelf")
    assert is_marked(path)
    assert not is_marked(tmp_path / "copy.shelf")
    with coshelf.open(tmp_path / "copy.shelf") as shelf:
        assert dict(shelf) == {"a": 1}
    assert not is_marked(tmp_path / "copy.shelf")
    assert len(os.listdir(state / "trusted")) == 1


def test_mark_survives_a_rename(state: Path, tmp_path: Path) -> None:
    make(tmp_path / "my.shelf").rename(tmp_path / "other.shelf")
    assert is_marked(tmp_path / "other.shelf")


def test_only_who_makes_a_shelf_marks_it(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "my.shelf")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "somebody-else"))
    for flag in ("r", "w", "c", "n"):
        coshelf.open(path, flag).close()  # type: ignore[arg-type]
    assert not is_marked(path)
    assert not (tmp_path / "somebody-else").exists()
    make(tmp_path / "theirs.shelf")
    assert is_marked(tmp_path / "theirs.shelf")
    assert not is_marked(path)
    monkeypatch.setenv("XDG_STATE_HOME", str(state.parent))
    assert is_marked(path)
    assert not is_marked(tmp_path / "theirs.shelf")


def test_without_xdg_state_home_the_state_is_below_home(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unset in (None, "", "relative/path"):
        if unset is None:
            monkeypatch.delenv("XDG_STATE_HOME")
        else:
            monkeypatch.setenv("XDG_STATE_HOME", unset)
        path = make(tmp_path / f"my-{unset is None}-{len(unset or '')}.shelf")
        assert is_marked(path)
    assert len(os.listdir(tmp_path / "home" / ".local" / "state" / "coshelf" / "trusted")) == 3
    assert not state.exists()


@pytest.mark.parametrize("secret", [b"", b"x" * 31, b"x" * 33])
def test_secret_of_a_wrong_length_gives_no_mark_and_stays(secret: bytes, state: Path, tmp_path: Path) -> None:
    state.mkdir(parents=True)
    (state / "secret").write_bytes(secret)
    path = make(tmp_path / "my.shelf")
    assert not is_marked(path)
    assert (state / "secret").read_bytes() == secret


def test_without_a_place_for_state_there_is_no_mark_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    path = make(tmp_path / "my.shelf")
    assert not is_marked(path)
    assert (tmp_path / "file").read_text() == "not a directory"
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1}


_NO_HOME = SCRIPTS / "no_home.py"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without an entry in passwd")
def test_user_without_a_home_is_told_and_stores_what_can_be_read_again(tmp_path: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        done = subprocess.run(
            [sys.executable, "-W", "error", *as_user(54321, _NO_HOME), f"{place}/my.shelf"],
            env=os.environ | {"PYTHONPATH": SOURCE},
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert os.listdir(place) == ["my.shelf"]


# --- in the shelf ----------------------------------------------------------------------------------------------------


@pytest.fixture
def secret_file(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secret given by COSHELF_SECRET_FILE."""
    path = tmp_path / "secret"
    path.write_bytes(b"sixteen bytes ok")
    monkeypatch.setenv("COSHELF_SECRET_FILE", str(path))
    return path


@pytest.mark.parametrize("secret", [b"sixteen bytes ok", b"x" * 32, b"y" * 64, bytes(range(16))])
def test_mark_in_the_shelf_is_the_row_that_the_format_describes(
    secret: bytes, secret_file: Path, state: Path, tmp_path: Path
) -> None:
    secret_file.write_bytes(secret)
    path = make(tmp_path / "my.shelf")
    digest = blake2b(b"coshelf trust 1\0" + store_id(path), key=secret, digest_size=32).digest()
    body = own_row(path)
    assert body is not None
    assert body.endswith(digest)
    assert records.is_intact(b"\x01trust", rows(path)[b"\x01trust"])
    assert is_marked(path)
    assert not state.exists()


def test_mark_in_the_shelf_is_no_entry(secret_file: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "my.shelf")
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1}
        assert len(shelf) == len(list(shelf)) == len(shelf.keys()) == 1
        assert shelf.cursor().first() == ("a", 1)
        shelf.clear()
        assert len(shelf) == 0
    assert is_marked(path)
    with coshelf.open(path, "n") as shelf:
        assert not shelf
    assert is_marked(path)


def test_mark_in_the_shelf_goes_with_a_copy(secret_file: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "my.shelf")
    shutil.copy(path, tmp_path / "copy.shelf")
    assert is_marked(tmp_path / "copy.shelf")


def test_mark_in_the_shelf_needs_the_same_secret(
    secret_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "my.shelf")
    secret_file.write_bytes(b"another secret of sorts")
    assert not is_marked(path)
    monkeypatch.delenv("COSHELF_SECRET_FILE")
    assert not is_marked(path)


def test_long_secret_is_used_whole(secret_file: Path, tmp_path: Path) -> None:
    secret_file.write_bytes(b"x" * 1000)
    path = make(tmp_path / "my.shelf")
    assert is_marked(path)
    secret_file.write_bytes(b"x" * 999 + b"y")
    assert not is_marked(path)


@pytest.mark.parametrize("length", [0, 1, 15])
def test_short_secret_is_a_clear_error_and_makes_nothing(length: int, secret_file: Path, tmp_path: Path) -> None:
    secret_file.write_bytes(b"x" * length)
    with pytest.raises(ValueError, match=f"COSHELF_SECRET_FILE.* {length} bytes.*16"):
        coshelf.open(tmp_path / "my.shelf")
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_secret_file_that_cannot_be_read_is_a_clear_error_and_makes_nothing(
    kind: str, secret_file: Path, tmp_path: Path
) -> None:
    secret_file.unlink()
    if kind == "directory":
        secret_file.mkdir()
    with pytest.raises((coshelf.CoshelfError, ValueError), match="COSHELF_SECRET_FILE"):
        coshelf.open(tmp_path / "my.shelf")
    assert set(os.listdir(tmp_path)) <= {"secret"}


def test_bad_secret_does_not_keep_existing_shelves_from_opening(secret_file: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "my.shelf")
    secret_file.write_bytes(b"short")
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1}
    with pytest.raises(ValueError, match="COSHELF_SECRET_FILE"):
        coshelf.open(tmp_path / "new.shelf")
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 1}
