"""What coshelf knows about the C library is so: the mutexes that this one makes are compared with the layout."""

from __future__ import annotations

import os
import platform
import struct
import threading
from collections.abc import Iterator

import pytest

from coshelf.engines.turn_table.mutex import SharedMutex, make_mutex, mutex_kind
from coshelf.system.memory import c_library as module
from coshelf.system.memory.c_library import GLIBC, OTHER, c_library, mutex_layout

_THREAD = 0x3FFFFFFF


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    """The answer is remembered. A test that changes what is asked begins without it, and leaves none."""
    module.c_library.cache_clear()
    yield
    module.c_library.cache_clear()


def test_the_c_library_is_the_one_that_the_interpreter_is_linked_with() -> None:
    assert (c_library() == GLIBC) == (platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize("refusal", [OSError(22, "Invalid argument"), ValueError("unrecognized configuration name")])
def test_a_c_library_that_does_not_know_the_name_of_glibc_is_another_one(
    monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def refuse(_: str) -> str:
        raise refusal

    monkeypatch.setattr(os, "confstr", refuse)
    assert c_library() == OTHER


def test_a_system_that_cannot_be_asked_has_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "confstr")
    assert c_library() == OTHER


def test_a_mutex_is_laid_out_as_coshelf_expects() -> None:
    layout = mutex_layout()
    if layout is None:
        pytest.skip("the layout of this machine's mutexes is not known")
    assert mutex_kind() == (layout.size, c_library())
    memory = memoryview(bytearray(192))
    make_mutex(memory, 64)
    assert bytes(memory[64 + layout.size :]) == bytes(128 - layout.size)
    assert struct.unpack_from("I", memory, 64 + layout.kind_at) == (layout.kind,)
    mutex = SharedMutex(memory, 64, lambda: None, None)
    assert _word(memory, layout.word_at) == 0
    assert mutex.do(lambda: _word(memory, layout.word_at) & _THREAD) == threading.get_native_id()
    assert _word(memory, layout.word_at) == 0


def _word(memory: memoryview, place: int) -> int:
    found: int = struct.unpack_from("I", memory, 64 + place)[0]
    return found
