"""What engines that talk to a server have in common: addresses without secrets, and reads that are tried again."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from coshelf.errors import Unavailable
from coshelf.screen import plain

__all__ = ["OF_PATHS", "has_credentials", "repeated", "without_secrets"]

T = TypeVar("T")

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 1.0
_SILENCE = 2.0  # seconds after which a wait is told

OF_PATHS = ("files", "lmdb", "memory", "sqlite")
"""Schemes that a path follows."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # of two characters at least, so that a drive letter is no scheme
_QUERY = re.compile("[?#]")
_CREDENTIALS = re.compile("//[^/]*@|:.*@|^//[^/].*[?]", re.DOTALL)
_HOST = r"(?:[A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
_PLACE = re.compile(rf"{_HOST}(?:,{_HOST})*(?:/[^\s]*)?")


def without_secrets(target: str) -> str:
    """A path or URL as messages may show it: of a URL neither user, password and query, nor what may be part of them.

    Where it cannot be told what is a password, as in a URL that is malformed, nothing is shown but the scheme.

    >>> without_secrets("postgresql://ann:secret@db.example:5432/shelves?sslpassword=secret")
    'postgresql://db.example:5432/shelves'
    >>> without_secrets("redis://ann:se/cr@et@host/0"), without_secrets("redis://ann:secret")
    ('redis://host/0', 'redis:...')
    >>> without_secrets("recipes.shelf")
    'recipes.shelf'
    """
    found = _URL.match(target)
    if found is None:
        return "(a URL without a scheme)" if has_credentials(target) else target
    scheme, rest = found.group(1), target[found.end() :]
    if scheme.lower() in OF_PATHS:
        return f"{scheme}:..." if has_credentials(rest) else target
    credentials, _, place = rest.rpartition("@")
    place = _QUERY.split(place, maxsplit=1)[0].removeprefix("//")
    # With an "@" behind a "?", either may belong to a password.
    if _QUERY.search(credentials) or not _PLACE.fullmatch(place):
        return f"{scheme}:..."
    return f"{scheme}://{place}"


def has_credentials(path: str) -> bool:
    """Whether what should be a path is rather what follows the scheme of a URL, with a user and a password in it.

    >>> [has_credentials(path) for path in ("//ann:secret@host/0", "ann:secret@host", "/data/a:b@c", "./a:b@c")]
    [True, True, False, False]
    """
    if path.startswith((".", "/", "~")) and not path.startswith("//"):
        return False
    return _CREDENTIALS.search(path) is not None or "://" in path


@contextmanager
def told_if_slow(target: str, timeout: float) -> Iterator[None]:
    """Say after two seconds that the block waits for a server, to the logger ``coshelf``: on a terminal, by default."""
    if timeout <= _SILENCE:
        yield
        return
    timer = threading.Timer(_SILENCE, _tell_waiting, (without_secrets(target), timeout))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell_waiting(where: str, timeout: float, reason: str = "it has not answered yet") -> None:
    import logging  # which takes its time

    logging.getLogger("coshelf").warning(
        "%s", plain(f"waiting for {where}: {reason}; gives up after {timeout:g} s in all")
    )


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
    is_told = False
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
            if waited > _SILENCE and not is_told:
                is_told = True
                _tell_waiting(where, timeout, f"{type(error).__name__}: {str(error).strip() or 'no reason given'}")
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, _LONGEST_PAUSE)
