"""Computing a result again in the last part of its life, in the background, while callers get the old one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from coshelf.errors import ShelfClosed
from coshelf.memo.calls import Call
from coshelf.memo.claims import Claim, Patience
from coshelf.memo.results import Results
from coshelf.memo.waiting import holding
from coshelf.system.threads.cooperation import start_unwaited

__all__ = ["Refresh"]


class Refresh:
    """Says whether the result of a call is to be computed again, and does so.

    Args:
        results: where the results are kept.
        length: the last part of a result's life, in microseconds.
    """

    def __init__(self, results: Results, length: int) -> None:
        self._results = results
        self._length = length
        self._tasks: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks

    def in_thread(self, call: Call, compute: Callable[[], Any]) -> None:
        """Compute in a thread, if it is time, and if no other thread or process does so."""
        claim = self.claim(call)
        if claim is None:
            return

        def run() -> None:
            with _computing(claim):
                call.finish(compute())

        thread = threading.Thread(target=run, name="coshelf-refresh", daemon=True)
        # If the interpreter ends, or if there are too many threads, a later call computes.
        start_unwaited(thread, partial(claim.claims.drop, claim))

    def in_task(self, call: Call, compute: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """The same in a task of the running loop."""
        claim = self.claim(call)
        if claim is None:
            return

        async def run() -> None:
            with _computing(claim):
                call.finish(await compute())

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def claim(self, call: Call) -> Claim | None:
        """The claim to compute again; None if this call does not."""
        if not self._results.is_due(call.key, self._length):
            return None
        claims = self._results.claims()
        claim = claims.take(claims.row(self._results.encoded(call.key)), Patience())
        if claim is not None and not self._results.is_due(call.key, self._length):
            claims.drop(claim)  # another call has just stored the new result
            return None
        return claim


@contextmanager
def _computing(claim: Claim) -> Iterator[None]:
    """The block computes the result of a claim. If the shelf is closed meanwhile, nobody needs the result."""
    try:
        with suppress(ShelfClosed), holding(claim):
            yield
    finally:
        with suppress(ShelfClosed):
            claim.claims.drop(claim)
