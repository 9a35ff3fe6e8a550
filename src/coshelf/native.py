"""Uses the module in C for hot paths, if coshelf was installed with it. Otherwise these paths are in Python.

Both do the same: the module makes coshelf faster, and changes nothing else. With ``COSHELF_NATIVE=0`` in the
environment the module is not used.

>>> import coshelf.native
>>> coshelf.native.in_use or bool(coshelf.native.reason)
True
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from coshelf.system.threads import interpreter_lock

if TYPE_CHECKING:
    import threading

    from coshelf import _native
    from coshelf._native import BaseReader, Hold, LinePlace, Lines, Log, PageItems, ProcessLock
    from coshelf.system.threads.participants import Party

__all__ = [
    "base_reader",
    "behind",
    "faster",
    "faster_under",
    "fits_lines",
    "gather",
    "hold",
    "in_use",
    "instead",
    "lines",
    "log",
    "make_lines",
    "page_items",
    "process_lock",
    "reason",
    "shares_memory",
]

_F = TypeVar("_F", bound=Callable[..., Any])


reason = ""
"""Why the module, or a part of it, is not in use; empty if all of it is."""
if os.environ.get("COSHELF_NATIVE") == "0":
    reason = "COSHELF_NATIVE is 0"
elif not interpreter_lock.is_on():  # the import would switch it on
    reason = "this is free-threaded Python without the interpreter's lock, which the module needs"
else:
    try:
        import coshelf._native as _native  # noqa: PLR0402  # the other form suspects a circular import if there is none
    except ImportError as error:
        reason = f"it was not built: {error}"
in_use = not reason
"""Whether the module is in use."""
shares_memory: bool = in_use and not _native.lacks
"""Whether its parts are in use that change shared memory under a mutex: the log, and the lines of turns."""
if in_use and not shares_memory:
    reason = f"its log and its lines of turns are not in use: {_native.lacks}"


def faster(name: str, function: _F) -> _F:
    """The function, with most of its work in C if the module is in use. ``name`` is its name in the module."""
    made: _F = _native.either(name, function) if in_use else function
    return made


def faster_under(name: str, start: bytes, function: _F) -> _F:
    """As :func:`faster`, for the keys of a namespace. ``start`` is what the bytes of its str keys begin with."""
    made: _F = _native.either_under(name, start, function) if in_use else function
    return made


def behind(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in Python behind a function of :func:`faster`; any other function itself."""
    found: Callable[..., Any] = getattr(function, "fallback", function)
    return found


def instead(name: str, function: _F) -> _F:
    """The module's function of this name, which does what ``function`` does; ``function`` without the module."""
    found: _F = getattr(_native, name) if in_use else function
    return found


def gather(into: dict[bytes, bytes], items: Iterator[Any], store: Callable[[Any], int], most: int) -> bool:
    """Encode and pickle the plain data among pairs from an iterator, and add it to a dict, up to ``most`` bytes.

    ``store`` does this for all other items, and returns their size. Returns whether there may be more items. Only to be
    called while the module is in use.
    """
    return _native.gather(into, items, store, most)


page_items: type[PageItems] | None = _native.PageItems if in_use else None
"""Iterates over the items of pages of rows; None without the module."""


def base_reader(file: int, ends: int, lock: int, state: memoryview, dirty: int) -> BaseReader | None:
    """The reader of the base without LMDB; None if that is impossible.

    Args:
        file: a descriptor of the base.
        ends: a descriptor of the base whose position may be moved, to find the end.
        lock: the descriptor of its lock file.
        state: the state page.
        dirty: the place in the state page that says whether the delta is dirty.
    """
    if not in_use:
        return None
    try:
        return _native.BaseReader(file, ends, lock, state, dirty)
    except (OSError, ValueError):  # no address space, or an LMDB that was built in another way
        return None


def log(
    descriptor: int,
    size: int,
    state: memoryview | bytearray,
    claim: int,
    generation: int,
    dirty: int,
    bell: int,
    mine: int,
) -> Log:
    """The delta as a log, in an open file of ``size`` bytes. Only if the module is in use.

    Args:
        descriptor: of the log's file; it stays the caller's.
        size: bytes of the file.
        state: the state page. The next four are places of words in it, in bytes.
        claim: the word of the exclusive lock.
        generation: the word with the delta's generation.
        dirty: the word that says whether the delta is dirty.
        bell: the doorbell's word, which the word about waiters follows.
        mine: the generation of this log.

    Raises OSError if there is no address space, ValueError if the file has another size.
    """
    return _native.Log(descriptor, size, state, claim, generation, dirty, bell, mine)


def process_lock(page: memoryview, file: int, command: bytes) -> ProcessLock | None:
    """The exclusive lock between processes by compare-and-swap; None without the module.

    Args:
        page: the state page.
        file: the descriptor of the lock file.
        command: the command line that names this process in errors.
    """
    return _native.ProcessLock(page, file, command) if in_use else None


def hold(
    lock: ProcessLock,
    log: Log,
    owners: dict[int, Party],
    waiting: list[threading.Lock],
    wake: Callable[[], None],
) -> Callable[[Party], Hold]:
    """A function that makes context managers, which hold the exclusive lock for a block if nothing is unusual.

    The function takes the owner. The block gets whether it has the lock. Only if the module is in use.

    Args:
        lock: between processes.
        log: the delta.
        owners: the owner among the threads of this process is entered here, under 0.
        waiting: is not empty while threads wait for that.
        wake: wakes them.
    """
    return _native.Hold(lock, log, owners, waiting, wake).by


def lines(
    memory: memoryview,
    unusual: Callable[..., object],
    watch: Callable[[LinePlace, list[tuple[int, int, int, int, int]]], object],
    wait: Callable[[LinePlace, float | None], bool],
    tell: Callable[[LinePlace, Callable[[], object]], object],
) -> Lines:
    """The lines of a table of turns, for one open shelf. Only if the module is in use.

    Args:
        memory: the table.
        unusual: joins a line in a forked child, for a barrier, or if every place is in use.
        watch: has the places of processes end when these end. It gets a place that waits, and for each process its row,
            the use of the row, pid, start and pid namespace.
        wait: waits at a place.
        tell: has a function called when a place is called.
    """
    return _native.Lines(memory, _native.LinePlace, unusual, watch, wait, tell)


def make_lines(memory: memoryview, boot: bytes, token: int) -> None:
    """Make an empty table of turns in zeros. Only if the module is in use."""
    _native.make_lines(memory, boot, token)


def fits_lines(mutex_size: int, library: int) -> bool:
    """Whether this process can use a mutex that another one made."""
    return (mutex_size, library) == _native.mutex_kind
