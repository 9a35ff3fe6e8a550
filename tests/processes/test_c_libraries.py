"""Processes on two C libraries, such as those of a container with musl and of its host, never use one mutex.

A stand-in is a process that takes itself for one on the other C library. With ``COSHELF_MUSL_PYTHON=PATH`` in the
environment, a Python on musl that has coshelf plays the same part.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from support import Crew, Worker, beside, sidecars

import coshelf
from coshelf.engines.lmdb.delta.files import decide_kind
from coshelf.engines.lmdb.delta.state import LOG
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, state_path
from coshelf.system.memory.c_library import GLIBC, OTHER, c_library

OPENER = Path(__file__).parent / "scripts" / "c_libraries" / "opener.py"
MUSL_PYTHON = os.environ.get("COSHELF_MUSL_PYTHON", "")
# Of the command that would start this Python, the first word is replaced.
IN_MUSL_PYTHON = ("sh", "-c", f'shift; exec "{MUSL_PYTHON}" "$@"', "sh")

OTHERS = pytest.mark.parametrize(
    "other",
    [
        "stand-in",
        pytest.param("musl", marks=pytest.mark.skipif(not MUSL_PYTHON, reason="COSHELF_MUSL_PYTHON names no Python")),
    ],
)
_LIBRARY_IN_STATE_PAGE = 40
_MUTEX_IN_LOG = 8


def _start(crew: Crew, path: str, kind: str, timeout: float = 60) -> Worker:
    return crew.start(OPENER, path, kind, timeout, within=IN_MUSL_PYTHON if kind == "musl" else ())


def _refuse(crew: Crew, path: str, kind: str) -> None:
    worker = _start(crew, path, kind, timeout=0.1)
    said = worker.hear()
    assert said.startswith("refused")
    assert "is open in a process that runs on" in said
    assert "glibc" in said
    assert "hint: sqlite:PATH works for both" in said
    worker.finish()


@OTHERS
@pytest.mark.parametrize("first_is_other", [False, True])
def test_a_process_on_another_c_library_is_refused_and_nothing_is_lost(
    crew: Crew, path: str, other: str, first_is_other: bool
) -> None:
    first, second = (other, "ours") if first_is_other else ("ours", other)
    holder = _start(crew, path, first)
    holder.expect("open 1")
    _refuse(crew, path, second)
    holder.tell()
    holder.expect("count 2")
    _refuse(crew, path, second)
    beside_it = _start(crew, path, first)
    beside_it.expect("open 3")
    for worker in (beside_it, holder):
        worker.kill()
    assert beside(path) == ["a.shelf", *sidecars(path)]
    after = _start(crew, path, second)  # it is alone, and takes over what the others left
    after.expect("open 4")
    _refuse(crew, path, first)
    after.tell()
    after.expect("count 5")
    after.tell()
    after.finish()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"count": 5}


def test_a_log_with_the_mutex_of_another_c_library_is_taken_over(crew: Crew, path: str) -> None:
    victim = _start(crew, path, "ours")
    victim.expect("open 1")
    victim.kill()
    other = OTHER if c_library() == GLIBC else GLIBC
    _overwrite(state_path(path), _LIBRARY_IN_STATE_PAGE, struct.pack("=I", other))
    if decide_kind(path, os.stat(path)) == LOG:
        _overwrite(delta_path(path, 0), _MUTEX_IN_LOG, struct.pack("=II", 56, other))
        _overwrite(delta_path(path, 0), 64, b"\xff" * 64)
    with coshelf.open(path) as shelf:
        assert shelf["count"] == 1
        shelf["count"] = 2
        beside_it = _start(crew, path, "ours")
        beside_it.expect("open 3")
        beside_it.tell()
        beside_it.expect("count 4")
        assert shelf["count"] == 4
        beside_it.tell()
        beside_it.finish()
    assert beside(path) == ["a.shelf"]


def _overwrite(name: str, place: int, content: bytes) -> None:
    with open(name, "r+b") as file:
        file.seek(place)
        file.write(content)
