"""Chooses what does the steps of a table: the module in C, or Python. Both use one table.

Python does them if the module is not in use, or was built where there are no robust mutexes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coshelf import native
from coshelf.engines.turn_table.step_lock import StepLock
from coshelf.system.memory import mutexes

__all__ = ["fits_lines", "lines_of", "make_lines", "needs_steps"]


def lines_of(
    memory: memoryview,
    unusual: Callable[..., Any],
    watch: Callable[[Any, list[tuple[int, int, int, int, int]]], object],
    wait: Callable[[Any, float | None], bool],
    tell: Callable[[Any, Callable[[], object]], object],
    steps: StepLock | None,
) -> Any:
    """As :func:`coshelf.native.lines`. ``steps`` takes the place of the table's mutex where there is none."""
    if native.shares_memory and steps is None:
        return native.lines(memory, unusual, watch, wait, tell)
    from coshelf.engines.turn_table.python_lines import PythonLines

    return PythonLines(memory, unusual, watch, wait, tell, steps)


def needs_steps() -> bool:
    """Whether a lock on a file takes the place of the table's mutex."""
    return not native.shares_memory and mutexes.kind() is None


def make_lines(memory: memoryview, boot: bytes, token: int) -> None:
    """As :func:`coshelf.native.make_lines`."""
    if native.shares_memory:
        native.make_lines(memory, boot, token)
        return
    from coshelf.engines.turn_table import python_lines

    python_lines.make_lines(memory, boot, token)


def fits_lines(mutex_size: int, library: int) -> bool:
    """As :func:`coshelf.native.fits_lines`."""
    if native.shares_memory:
        return native.fits_lines(mutex_size, library)
    from coshelf.engines.turn_table.mutex import fits

    return fits(mutex_size, library)
