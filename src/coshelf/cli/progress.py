"""Shows the progress of a command on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from coshelf.engines.urls import without_secrets
from coshelf.errors import MissingExtra
from coshelf.system.progress import showing

__all__ = ["Progress", "progress", "size_of_file"]

Progress = Callable[[int, int | None], object]


@contextmanager
def progress(what: str, unit: str = "entries", *, size: int | None = None) -> Iterator[Progress | None]:
    """A bar on standard error, after a second; None if standard error is not a terminal, or rich is not installed."""
    with ExitStack() as stack:
        try:
            tell = stack.enter_context(showing(True, without_secrets(what), unit, size=size))
        except MissingExtra:  # a command does its work without a bar
            tell = None
        yield tell


def size_of_file(path: str) -> int | None:
    """The bytes of a file; None if there is no such file, which the command itself finds out."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None
