"""What a shelf and its parts share: the open engine, and who is in a transaction of it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import get_ident
from typing import Any

from coshelf.codecs.pickled import PickleCodec
from coshelf.ending import finalizer
from coshelf.engines.closed import ClosedEngine
from coshelf.engines.contract import Batch, Engine, Flag
from coshelf.errors import ReadOnlyShelf, ShelfClosed, TransactionInProgress

__all__ = ["Commit", "Handle"]

Commit = Callable[[Batch], "int | str"]


class Handle:
    """What a shelf and its subs share: the open engine, and how values are encoded.

    ``reopen`` is the function that a pickled shelf calls in another process. ``before_close`` is called with the
    engine's ``commit`` when the shelf is closed, or when it never is: when it is collected, and at exit.
    """

    def __init__(
        self,
        engine: Engine,
        codec: PickleCodec,
        flag: Flag,
        reopen: Callable[..., Any],
        before_close: Callable[[Commit], None] | None = None,
    ) -> None:
        self.engine = engine
        self.codec = codec
        self.flag: Flag = flag
        self.reopen = reopen
        self.inside: set[tuple[int, int]] = set()
        """Threads, by pid and number, in a transaction that no lock of the engine's tells of."""
        self._rests = False
        self._finish = partial(_finish, engine, before_close)
        self._finalizer = finalizer(self, self._finish, partial(_rest, weakref.ref(self), engine, before_close))

    @property
    def closed(self) -> bool:
        return isinstance(self.engine, ClosedEngine)

    def commit(self, batch: Batch) -> int | str:
        """Commit for the whole shelf; refused inside a transaction of this thread."""
        self.refuse_in_transaction()
        return self.engine.commit(batch)

    def refuse_in_transaction(self) -> None:
        if self.engine.owns_exclusive() or (self.inside and _this_thread() in self.inside):
            raise TransactionInProgress(
                f"this thread is inside a transaction or edit of {self.engine.where}\n"
                "  hint: write through the transaction (with shelf.transaction() as t: t[key] = value)"
            )
        if self.flag == "r":
            raise ReadOnlyShelf(f"{self.engine.where} was opened with flag 'r' and cannot be written")

    @contextmanager
    def optimistically(self) -> Iterator[None]:
        """This thread is in a transaction that keeps nobody out."""
        thread = _this_thread()
        self.inside.add(thread)
        try:
            yield
        finally:
            self.inside.discard(thread)

    def refuse_closed(self) -> None:
        if self.closed:
            raise ShelfClosed(f"the shelf {self.engine.where} has been closed")

    def close(self) -> None:
        engine = self.engine
        if isinstance(engine, ClosedEngine):
            return
        if engine.owns_exclusive() or (self.inside and _this_thread() in self.inside):
            raise TransactionInProgress(f"{engine.where} cannot be closed by a thread that is inside its transaction")
        self.engine = ClosedEngine(engine)
        self._finalizer.detach()
        self._finish()

    def __del__(self) -> None:
        if self._rests and not self.closed:  # the interpreter's end: finalizers are not called any more
            # Names may be gone by now. All is durable; the next opener tidies up.
            with suppress(ImportError, NameError, AttributeError, TypeError):
                self._finish()


def _this_thread() -> tuple[int, int]:
    return os.getpid(), get_ident()  # in a forked child the one that forked has the same number


def _finish(engine: Engine, before_close: Callable[[Commit], None] | None) -> None:
    try:
        if before_close is not None:
            before_close(engine.commit)
    finally:
        engine.close()


def _rest(reference: weakref.ref[Handle], engine: Engine, before_close: Callable[[Commit], None] | None) -> None:
    handle = reference()
    assert handle is not None
    handle._rests = True
    try:
        if before_close is not None:
            before_close(engine.commit)
    finally:
        engine.rest()
