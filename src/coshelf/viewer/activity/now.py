"""What a shelf is doing at this moment: processes, locks, queues, and the figures of its file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from coshelf.contract import BARRIER, QUEUES, Engine, Line, Measured, Snapshot, Who
from coshelf.coordination.names import kind_of, shown_line
from coshelf.coordination.queue_rows import Kind, QueueRows, names_of
from coshelf.errors import CoshelfError
from coshelf.inspection.reports import Figures
from coshelf.screen import plain
from coshelf.values.expiry import until

__all__ = ["KINDS", "Expiry", "LockNow", "Now", "Part", "QueueNow", "look"]

KINDS: Final[tuple[Kind, ...]] = ("available", "delayed", "taken", "failed")
"""The states of the items of a queue, in the order in which they are shown."""

_MOST_LINES = 200
_MOST_PEOPLE = 50
_MOST_QUEUES = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """One part of what is shown. ``value`` is None if it cannot be told, and ``reason`` says why."""

    value: T | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LockNow:
    """A lock, semaphore or barrier with places.

    Attributes:
        kind: "lock", "semaphore", "barrier", or "queue": those that wait for an item.
        name: its name as text.
        most: how many have the turn at once; None for a barrier.
        holders: who has it, each as a text.
        waiting: who waits, the next one first, each as a text.
    """

    kind: str
    name: str
    most: int | None
    holders: tuple[str, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueueNow:
    """A queue that has items, and how many are in each of the states :data:`KINDS`."""

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Expiry:
    """Entries that expire.

    Attributes:
        seconds: until the next entry expires; not positive if its time has come; None if no entry expires.
        due: how many have expired and are not removed yet.
    """

    seconds: float | None
    due: int


@dataclass(frozen=True, slots=True)
class Now:
    """A shelf at one moment. Each part is there, or has the reason why it is not.

    Attributes:
        locks: lines with places.
        queues: queues with items.
        file: the figures of the file: readers, writer, what waits to be flushed, evictions, hits and misses.
        commits: the number of the last commit. It grows by one with each.
        expiry: entries that expire.
        took: seconds that the look took.
    """

    locks: Part[tuple[LockNow, ...]]
    queues: Part[tuple[QueueNow, ...]]
    file: Part[Figures]
    commits: Part[int]
    expiry: Part[Expiry]
    took: float = field(default=0.0, compare=False)


def look(engine: Engine) -> Now:
    """What the engine tells now. No value is read. A part that fails does not keep the others from being told.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> with shelf.lock("deploy"):
    ...     now = look(shelf.engine_for("look"))
    >>> [(lock.kind, lock.name) for lock in now.locks.value], now.file.reason
    ([('lock', "'deploy'")], 'the memory engine has no file of its own')
    """
    begin = time.monotonic()
    locks = _part(_locks, engine)
    queues = _part(_queues, engine)
    file = _part(_file, engine)
    commits = _part(_commits, engine)
    expiry = _part(_expiry, engine)
    return Now(locks, queues, file, commits, expiry, time.monotonic() - begin)


def _part(tell: Callable[[Engine], Part[T]], engine: Engine) -> Part[T]:
    try:
        return tell(engine)
    except (CoshelfError, OSError, NotImplementedError) as error:
        return Part(None, plain(str(error).partition("\n")[0]) or type(error).__name__)


def _locks(engine: Engine) -> Part[tuple[LockNow, ...]]:
    if engine.capabilities.turns is None:
        return Part(None, f"the {engine.name} engine has no locks")
    lines = sorted(engine.turns().lines(), key=lambda line: line.name)[:_MOST_LINES]
    now = time.time()
    return Part(tuple(_lock(line, now) for line in lines))


def _lock(line: Line, now: float) -> LockNow:
    holders, waiting = (
        tuple(_named(who, now) for who in people[:_MOST_PEOPLE]) for people in (line.holders, line.waiting)
    )
    most = None if line.most == BARRIER else line.most
    return LockNow(kind_of(line.name), plain(shown_line(line.name)), most, holders, waiting)


def _named(who: Who, now: float) -> str:
    token = "" if who.token is None else f", token {who.token:,}"
    since = f"for {max(now - who.since, 0):,.0f} s"
    return plain(f"pid {who.pid} on {who.host} ({who.program}), {who.task}, {since}{token}")


def _queues(engine: Engine) -> Part[tuple[QueueNow, ...]]:
    found = []
    for name in names_of(engine, QUEUES):
        rows = QueueRows(name, engine.capabilities)
        counts = tuple(rows.count(engine, kind) for kind in KINDS)
        if any(counts):
            found.append(QueueNow(plain(name), counts))
        if len(found) == _MOST_QUEUES:
            break
    return Part(tuple(found))


def _file(engine: Engine) -> Part[Figures]:
    if not isinstance(engine, Measured):
        return Part(None, f"the {engine.name} engine has no file of its own")
    return Part(engine.figures())


def _commits(engine: Engine) -> Part[int]:
    with engine.instant() as instant:
        number = instant.last_commit() if isinstance(instant, Snapshot) else None
    if number is not None:
        return Part(number)
    if engine.capabilities.changes == "all":
        position = engine.position()
        if isinstance(position, int):
            return Part(position)
    return Part(None, f"the {engine.name} engine does not number the commits of a shelf")


def _expiry(engine: Engine) -> Part[Expiry]:
    if not engine.capabilities.expiry:
        return Part(None, f"the {engine.name} engine has no entries that expire")
    first = engine.first_expiry()
    if first is None:
        return Part(Expiry(None, 0))
    now = engine.now()
    due = engine.count(*until(now)) if first <= now else 0
    return Part(Expiry((first - now) / 1_000_000, due))
