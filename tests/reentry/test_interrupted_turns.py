"""An interrupt beside the block of a write transaction leaves no transaction open, which would keep all writers out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import flush_all

import coshelf
from coshelf.engines.lmdb.locks import turns
from coshelf.engines.lmdb.locks.writer_mutex import WriterMutex
from coshelf.system.threads.cooperation import this_thread

WRITES: dict[str, Callable[[Any], object]] = {
    "set": lambda shelf: shelf.__setitem__("a", 1),
    "first": lambda shelf: shelf.__setitem__("a", 1),
    "update": lambda shelf: shelf.update(a=1, b=2),
    "large": lambda shelf: shelf.update((f"k{number}", bytes(1000)) for number in range(30_000)),
    "modify": lambda shelf: shelf.modify("a", lambda value: 1, default=0),
    "sync": lambda shelf: shelf.sync(),
    "del": lambda shelf: shelf.__delitem__("there"),
}


def open_transactions(shelf: Any) -> list[object]:
    """The write transactions of this thread. The thread that flushes may have one, too."""
    files = shelf._handle.engine._environment.lmdb_files()
    return [file.turns.own[this_thread()] for file in files if this_thread() in file.turns.own]


@pytest.mark.parametrize("method", ["__enter__", "__exit__"])
@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("write", WRITES)
def test_interrupt_beside_the_block_of_a_transaction_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str, turn: int, method: str
) -> None:
    with coshelf.open(tmp_path / "a.shelf", flush_interval=60) as shelf:
        if write != "first":
            shelf["there"] = 1
        original = getattr(turns._Ending, method)
        calls, thread = [], this_thread()

        def interrupted(self: Any, *arguments: Any) -> Any:
            if this_thread() == thread:
                calls.append(method)
                if len(calls) == turn:
                    raise KeyboardInterrupt
            return original(self, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(turns._Ending, method, interrupted)
            try:
                WRITES[write](shelf)
            except KeyboardInterrupt:
                assert len(calls) >= turn
        assert open_transactions(shelf) == []
        shelf["after"] = 2
        assert shelf["after"] == 2


def test_interrupt_after_the_wait_for_a_writer_ends_what_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(tmp_path / "a.shelf", flush_interval=60) as shelf:
        shelf["there"] = 1
        flush_all(shelf)  # the interrupt is for this thread, and would end the one that flushes
        delta = shelf._handle.engine._environment.lmdb_files()[-1]
        transaction = delta.begin_write()

        class Interrupting:
            def __enter__(self) -> None:
                pass

            def __exit__(self, *_: object) -> None:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(WriterMutex, "watched", lambda _: Interrupting())
            with pytest.raises(KeyboardInterrupt):
                delta.begin_write()
        assert open_transactions(shelf) == []
        transaction.abort()
        shelf["after"] = 2
        assert shelf["after"] == 2
