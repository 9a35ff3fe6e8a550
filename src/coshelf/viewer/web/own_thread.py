"""Runs the code of a value, which may never end, in a thread that nothing waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

__all__ = ["in_own_thread"]

T = TypeVar("T")


async def in_own_thread(function: Callable[[], T]) -> T:
    """The result of a function, which runs in a daemon thread.

    The threads of a pool are not daemons, and Python waits for them at its end. After Ctrl-C, a value whose class
    loops would keep the program.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def tell(what: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the viewer has ended, and nothing waits for the result
            loop.call_soon_threadsafe(lambda: None if result.done() else what())

    def run() -> None:
        try:
            found = function()
        except Exception as error:
            failure = error
            tell(lambda: result.set_exception(failure))
        else:
            tell(lambda: result.set_result(found))

    threading.Thread(target=run, name="coshelf-viewer-load", daemon=True).start()
    return await result
