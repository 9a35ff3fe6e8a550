"""Calls that may take long, such as those that ask a server, for callers that cannot wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["within"]

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call, made in another thread. It raises what the call raises.

    A call that takes longer goes on in its thread, which does not keep the process from ending.

    Raises:
        TimeoutError: it takes longer.

    >>> within(60, lambda: 1 + 1)
    2
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="coshelf-bounded-wait")
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer for {seconds:g} s")
    return results[0]
