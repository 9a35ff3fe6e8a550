"""Shared by the engines that talk to a server: they log long waits, and repeat reads that failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from coshelf.engines.urls import without_secrets
from coshelf.errors import Unavailable
from coshelf.screen import plain
from coshelf.system.threads.cooperation import ServiceThread, Wakeup, can_start_threads
from coshelf.system.waiting.backoff import Backoff

__all__ = ["pauses", "repeated", "told_if_slow"]

T = TypeVar("T")

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 1.0
_SILENCE = 2.0  # seconds after which a wait is logged


@contextmanager
def told_if_slow(target: str, timeout: float) -> Iterator[None]:
    """If the block takes more than two seconds, log to ``coshelf`` that it waits for a server."""
    if timeout <= _SILENCE or not can_start_threads():
        yield
        return
    ended = Wakeup()

    def tell() -> None:
        if not ended.wait(_SILENCE):
            _tell_waiting(without_secrets(target), timeout)

    with suppress(RuntimeError):  # no thread can be started
        ServiceThread("coshelf-slow", tell).start()
    try:
        yield
    finally:
        ended.ring()


def _tell_waiting(where: str, timeout: float, reason: str = "it has not answered yet") -> None:
    import logging  # here, because the import is slow

    logging.getLogger("coshelf").warning(
        "%s", plain(f"waiting for {where}: {reason}; gives up after {timeout:g} s in all")
    )


def pauses() -> Backoff:
    """The pauses between attempts to reach a server."""
    return Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, spread=0.5)


def repeated(read: Callable[[], T], is_lost: Callable[[Exception], bool], *, where: str, timeout: float) -> T:
    """Call ``read`` until the server can be reached; return its result.

    Only for calls that can be repeated without harm. A write whose reply was lost may have happened.

    Args:
        read: reads once.
        is_lost: whether an error of ``read`` means that the server could not be reached, or closed the connection.
        where: the address, for messages.
        timeout: seconds after which no further attempt is made.

    Raises:
        Unavailable: the server could not be reached.
    """
    began = time.monotonic()
    backoff = pauses()
    attempts = 0
    is_told = False
    while True:
        attempts += 1
        try:
            return read()
        except Exception as error:
            if not is_lost(error):
                raise
            waited = time.monotonic() - began
            if waited + backoff.pause > timeout:
                raise Unavailable(
                    f"cannot reach {where}: {type(error).__name__}: {str(error).strip() or 'no reason given'}\n"
                    f"  tried {attempts} times in {waited:.1f} s (timeout {timeout:g} s)"
                ) from error
            if waited > _SILENCE and not is_told:
                is_told = True
                _tell_waiting(where, timeout, f"{type(error).__name__}: {str(error).strip() or 'no reason given'}")
        backoff.sleep()
