"""Shows progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coshelf.engines.urls import without_secrets
from coshelf.screen import plain

__all__ = ["Progress", "progress"]

Progress = Callable[[int, int | None], object]


@contextmanager
def progress(what: str) -> Iterator[Progress | None]:
    """A bar on a terminal; None if standard error is not a terminal."""
    try:
        if not sys.stderr.isatty():
            raise ImportError
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(plain(without_secrets(what))), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
