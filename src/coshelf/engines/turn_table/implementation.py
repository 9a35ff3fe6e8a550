"""Chooses what does the steps of a table: the module in C, or Python if that is not in use. Both use one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coshelf import native

__all__ = ["fits_lines", "lines_of", "make_lines"]


def lines_of(
    memory: memoryview,
    unusual: Callable[..., Any],
    watch: Callable[[Any, list[tuple[int, int, int, int, int]]], object],
    wait: Callable[[Any, float | None], bool],
    tell: Callable[[Any, Callable[[], object]], object],
) -> Any:
    """As :func:`coshelf.native.lines`."""
    if native.in_use:
        return native.lines(memory, unusual, watch, wait, tell)
    from coshelf.engines.turn_table.python_lines import PythonLines

    return PythonLines(memory, unusual, watch, wait, tell)


def make_lines(memory: memoryview, boot: bytes, token: int) -> None:
    """As :func:`coshelf.native.make_lines`."""
    if native.in_use:
        native.make_lines(memory, boot, token)
        return
    from coshelf.engines.turn_table import python_lines

    python_lines.make_lines(memory, boot, token)


def fits_lines(mutex_size: int, library: int) -> bool:
    """As :func:`coshelf.native.fits_lines`."""
    if native.in_use:
        return native.fits_lines(mutex_size, library)
    from coshelf.engines.turn_table.mutex import fits

    return fits(mutex_size, library)
