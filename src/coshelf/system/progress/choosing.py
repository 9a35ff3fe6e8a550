"""Decides where progress is shown, and when."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from coshelf.system.progress.amounts import Amount

if TYPE_CHECKING:
    from coshelf.system.progress.bars import Bar

__all__ = ["showing"]

F = TypeVar("F", bound=Callable[..., object])

_PATIENCE = 1.0  # seconds before a bar appears
_INTERVAL = 0.1  # seconds between two states of it


@contextmanager
def showing(
    progress: F | bool | None, what: str, unit: str, *, size: int | None = None
) -> Iterator[F | Callable[[int, int | None], object] | None]:
    """For a block that takes long: the function that it tells its progress, or None if nobody wants to know.

    Args:
        progress: a function of the caller; or True for a bar in the notebook that runs this, or on the terminal that
            standard error is. It appears if the block takes longer than a second.
        what: the name of what is worked on. Of a path the last part is shown.
        unit: what is counted.
        size: the bytes of all of it, if they are known.

    Raises:
        MissingExtra: True, on a terminal without rich.

    >>> told = []
    >>> with showing(lambda done, total: told.append((done, total)), "a.shelf", "pages") as tell:
    ...     _ = tell(1, 2)
    >>> told
    [(1, 2)]
    """
    if progress is None or isinstance(progress, bool):
        bar = _bar(what.rstrip("/").rpartition("/")[2]) if progress else None  # a line has no space for a path
        if bar is None:
            yield None
            return
        shown = _Delayed(bar, unit, size)
        try:
            yield shown.tell
        except BaseException:
            shown.end(is_whole=False)
            raise
        shown.end(is_whole=True)
        return
    yield progress


def _bar(what: str) -> Bar | None:
    """The bar for where this runs; None if nobody would see it."""
    from coshelf.system.progress.bars import NotebookBar, TerminalBar  # which most programs never need

    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    if get_shell is not None and getattr(get_shell(), "kernel", None) is not None:
        return NotebookBar(what)
    is_terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
    return TerminalBar(what) if is_terminal else None


class _Delayed:
    """A bar that appears after a second, and changes a few times a second."""

    def __init__(self, bar: Bar, unit: str, size: int | None) -> None:
        self._bar = bar
        self._unit = unit
        self._size = size
        self._began = time.monotonic()
        self._next = self._began + _PATIENCE
        self._done = 0
        self._total: int | None = None

    def tell(self, done: int, total: int | None) -> None:
        self._done, self._total = done, total
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            with suppress(OSError):  # the terminal has gone: the work goes on
                self._bar.show(self._amount(now))

    def end(self, *, is_whole: bool) -> None:
        with suppress(OSError):
            self._bar.end(self._amount(time.monotonic()), is_whole=is_whole)

    def _amount(self, now: float) -> Amount:
        return Amount(self._done, self._total, self._unit, self._size, now - self._began)
