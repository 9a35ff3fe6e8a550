"""The permissions of the files, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import coshelf
from coshelf.engines.lmdb.files import creation


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o644, 0o660, 0o666])
def test_mode_is_what_was_asked_for_whatever_the_umask(
    mode: int | None, mask: int, path: Path, umask: Callable[[int], int]
) -> None:
    path.parent.chmod(0o700)
    state = Path(os.environ["XDG_STATE_HOME"])
    (state / "coshelf" / "trusted").mkdir(parents=True)
    umask(mask)
    options = {} if mode is None else {"mode": mode}
    expected = 0o600 if mode is None else mode
    beside = path.parent / ".my.shelf.coshelf"
    with coshelf.open(path, **options) as shelf:  # type: ignore[arg-type]
        shelf["a"] = 1
        assert {"base-lock", "state", "delta"} <= set(os.listdir(beside))
        for name in os.listdir(beside):
            assert stat.S_IMODE((beside / name).stat().st_mode) == expected, name
        assert stat.S_IMODE(beside.stat().st_mode) == expected | (expected & 0o444) >> 2
    assert stat.S_IMODE(path.stat().st_mode) == expected
    with coshelf.open(path, mode=0o666) as shelf:
        assert stat.S_IMODE((beside / "base-lock").stat().st_mode) == expected
    assert stat.S_IMODE(path.stat().st_mode) == expected
    assert os.listdir(path.parent) == ["my.shelf"]


def test_mode_holds_when_another_maker_sweeps_at_the_wrong_moment(
    path: Path, umask: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the temporary file and locking it, another process may take it for a dead one's."""
    make = creation.tempfile.mkstemp

    def swept(suffix: str, prefix: str, directory: str) -> tuple[int, str]:
        made = make(suffix, prefix, directory)
        monkeypatch.setattr(creation.tempfile, "mkstemp", make)
        creation.sweep(str(path))
        return made

    umask(0)
    monkeypatch.setattr(creation.tempfile, "mkstemp", swept)
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with coshelf.open(path, "r") as shelf:
        assert shelf == {"a": 1}
    assert os.listdir(path.parent) == ["my.shelf"]
