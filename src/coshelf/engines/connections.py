"""What engines that talk to a server have in common: addresses without secrets, and reads that are tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from coshelf.errors import Unavailable

__all__ = ["repeated", "without_secrets"]

T = TypeVar("T")

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 1.0


def without_secrets(url: str) -> str:
    """A URL as messages may show it: without user, password and query.

    >>> without_secrets("postgresql://ann:secret@db.example:5432/shelves?sslpassword=secret")
    'postgresql://db.example:5432/shelves'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def repeated(read: Callable[[], T], is_lost: Callable[[Exception], bool], *, where: str, timeout: float) -> T:
    """What a read returns, tried again while the server cannot be reached.

    Only for what can be repeated without harm: a write whose reply was lost may have happened.

    Args:
        read: does it once.
        is_lost: whether an error of its means that the server was not there, or went away.
        where: the address, for messages.
        timeout: seconds after which no further attempt is made.

    Raises:
        Unavailable: the server could not be reached.
    """
    began = time.monotonic()
    pause = _FIRST_PAUSE
    attempts = 0
    while True:
        attempts += 1
        try:
            return read()
        except Exception as error:
            if not is_lost(error):
                raise
            waited = time.monotonic() - began
            if waited + pause > timeout:
                raise Unavailable(
                    f"cannot reach {where}: {type(error).__name__}: {str(error).strip() or 'no reason given'}\n"
                    f"  tried {attempts} times in {waited:.1f} s (timeout {timeout:g} s)"
                ) from error
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, _LONGEST_PAUSE)
