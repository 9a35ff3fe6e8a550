"""A log that came with a folder of somebody else's is looked at before it is used."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from left_logs import FIELDS, SEGMENT, LeftLog, lay_out, leave_log

import coshelf
from coshelf import native
from coshelf.engines.lmdb.delta.log_file import INDEXES_END
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, state_path

pytestmark = pytest.mark.skipif(not native.in_use, reason="only the module in C makes logs")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> LeftLog:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("maker")))
        return leave_log(str(tmp_path_factory.mktemp("shelves") / "a.shelf"))


@pytest.fixture
def strangers(left: LeftLog, tmp_path: Path) -> str:
    path = str(tmp_path / "a.shelf")
    lay_out(left, path)
    return path


def is_all_there(shelf: coshelf.Shelf[object, object]) -> bool:
    return (
        shelf["new", 149] == "n" * 149
        and shelf["k" * 700] == 1
        and ("new", 3) not in shelf
        and shelf["user/99"] == "x" * 99
        and len(shelf) == 202
    )


def test_whole_log_is_taken_up(strangers: str) -> None:
    with coshelf.open(strangers) as shelf:
        assert is_all_there(shelf)
        shelf["more"] = 1
    with coshelf.open(strangers, "r") as shelf:
        assert shelf["large"] == bytes(20_000)
        assert shelf["more"] == 1


@pytest.mark.parametrize("flag", ["w", "r"])
def test_whole_log_is_taken_up_without_the_module(flag: str, strangers: str) -> None:
    program = (
        "import sys, coshelf; sys.path.insert(0, sys.argv[3]); from test_left_log import is_all_there\n"
        "with coshelf.open(*sys.argv[1:3]) as shelf: assert is_all_there(shelf)"
    )
    subprocess.run(
        [sys.executable, "-c", program, strangers, flag, str(HERE)],
        check=True,
        env={**os.environ, "COSHELF_NATIVE": "0"},
    )
    with coshelf.open(strangers, "r") as shelf:
        assert is_all_there(shelf)


def write(path: str, at: int, content: bytes) -> None:
    with open(delta_path(path, 0), "r+b") as log:
        os.pwrite(log.fileno(), content, at)


CHANGES = {
    "another beginning": (FIELDS["magic"][0], b"coshelf\1"),
    "segments of another size": (FIELDS["segment size"][0], struct.pack("=Q", 1 << 40)),
    "numbers before those of the base": (FIELDS["number"][0], bytes(8)),
    "numbers that end": (FIELDS["number"][0], struct.pack("=Q", (1 << 63) - 1)),
    "head beyond what is reserved": (SEGMENT + 8, struct.pack("=Q", 1 << 40)),
    "more on the disk than there is": (SEGMENT + 24, struct.pack("=Q", 32 << 20)),
    "record without an end": (INDEXES_END + 64, struct.pack("=I", 4)),
    "record with a long key": (INDEXES_END + 68, struct.pack("=I", 1 << 30)),
    "record of another key": (INDEXES_END + 64 + 26, b"?"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_with_a_log_of_somebody_else_s_is_told(change: str, strangers: str) -> None:
    with open(delta_path(strangers, 0), "rb") as log:
        active = os.pread(log.fileno(), 1, FIELDS["active"][0])[0]
        half = (os.fstat(log.fileno()).st_size - INDEXES_END) // 2
    at, content = CHANGES[change]
    write(strangers, at + (active * half if at >= INDEXES_END else active * 64 if at >= SEGMENT else 0), content)
    before = Path(strangers).read_bytes(), Path(state_path(strangers)).read_bytes()
    for flag in ("w", "r"):
        with pytest.raises(coshelf.DamagedShelf, match="delta"):
            coshelf.open(strangers, flag)  # type: ignore[arg-type]
    assert (Path(strangers).read_bytes(), Path(state_path(strangers)).read_bytes()) == before
    os.unlink(delta_path(strangers, 0))  # as the error says
    with coshelf.open(strangers) as shelf:
        assert ("new", 149) not in shelf
        assert shelf["user/99"] == "x" * 99


def test_mutex_and_index_of_somebody_else_are_not_used(strangers: str) -> None:
    """They are made anew: a mutex may name any holder, and an index may lead anywhere."""
    write(strangers, FIELDS["mutex"][0], b"\xff" * 40)
    write(strangers, 4096, b"\xff" * (INDEXES_END - 4096))
    with coshelf.open(strangers) as shelf:
        assert is_all_there(shelf)
        shelf["more"] = 1
        assert shelf["more"] == 1


@pytest.mark.parametrize("module", ["1", "0"])
def test_no_change_of_a_left_log_ends_the_process(module: str, left: LeftLog, tmp_path: Path) -> None:
    """Each opening succeeds or raises one of our errors, with either twin."""
    lay_out(left, str(tmp_path / "a.shelf"))
    done = subprocess.run(
        [sys.executable, HERE / "scripts" / "changed_logs.py", tmp_path, "150"],
        env={**os.environ, "COSHELF_NATIVE": module, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    opened, refused = map(int, done.stdout.split())
    assert opened > 10
    assert refused > 10
