"""huey on a shelf: its queue, its schedule, its results and its counters.

>>> from coshelf.contrib.huey import CoshelfHuey
>>> huey = CoshelfHuey("shop", target="memory:")
>>> @huey.task()
... def add(a, b):
...     return a + b
>>> result = add(2, 3)
>>> huey.execute(huey.dequeue())
5
>>> result.get()
5
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from queue import Empty
from typing import Any, Final

from huey import signals
from huey.api import Huey
from huey.constants import EmptyData
from huey.storage import BaseStorage

from coshelf.contrib.parts import Part, Target
from coshelf.coordination.items import Overtaken
from coshelf.coordination.queues import Queue
from coshelf.errors import WaitTimeout
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfHuey", "CoshelfStorage"]

Key = str | bytes


class CoshelfStorage(BaseStorage):
    """A storage for huey: ``Huey("shop", storage_class=CoshelfStorage, target="/var/lib/shop/tasks.shelf")``.

    Args:
        name: of the application. Each has a part of the shelf of its own.
        target: a path, a URL, or an open shelf.
        blocking: whether a worker waits for a task in the shelf, and wakes at once, or asks again and again.
        read_timeout: for how many seconds it waits at most. Then it looks whether the consumer is to stop.
        expire_time: after how many seconds results expire that nobody has read; None: never.
        redeliver: how often a task is given out again that a killed consumer had. It needs :class:`CoshelfHuey`.
        options: further arguments of :func:`coshelf.open`.

    Raises:
        CoshelfError: at the first use, what :func:`coshelf.open` raises.
    """

    priority = True

    def __init__(
        self,
        name: str = "huey",
        *,
        target: Target,
        blocking: bool = True,
        read_timeout: float = 1.0,
        expire_time: float | None = None,
        redeliver: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(name)
        self.blocking = blocking
        self.expire_time: Final = expire_time
        self.redeliver: Final = redeliver
        self._read_timeout = read_timeout if blocking else 0
        self._part = Part(target, f"huey/{name}", **options)
        self._taken = threading.local()

    def close(self) -> bool:
        """Close the shelf, if this opened it. The next use opens it again, as with huey's own storages."""
        self._part.close()
        self._part = self._part.again()
        return True

    # --- the queue ---------------------------------------------------------------------------------------------------

    @property
    def queue(self) -> Queue[bytes]:
        """The queue of the shelf that has the tasks. Its ``failed`` has those that were given out too often."""
        return self._part.shelf.queue("tasks", attempts=self.redeliver + 1)

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        self.queue.put(data, priority=-(priority or 0))  # huey begins with the largest, the shelf with the smallest

    def dequeue(self) -> bytes | None:
        with suppress(Empty):
            if not self.redeliver:
                return self.queue.get(timeout=self._read_timeout)
            self.finish()
            taking = self.queue.take(timeout=self._read_timeout)
            data = taking.__enter__()
            self._taken.item = taking
            return data
        return None

    def finish(self, error: BaseException | None = None) -> None:
        """Say that the task that this thread got last is done; or with an error, that it is to be given out again."""
        taking = getattr(self._taken, "item", None)
        if taking is not None:
            self._taken.item = None
            taking.__exit__(None if error is None else type(error), error, None)

    def queue_size(self) -> int:
        return self.queue.qsize()

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        queue, found = self.queue, list[bytes]()
        reader = queue.ground.reader()
        for item in queue.items.rows.items(reader, "available"):
            if len(found) == limit:
                break
            with suppress(Overtaken):  # another process has taken it meanwhile
                found.append(queue.items.value(item, reader))
        return found

    def flush_queue(self) -> None:
        self.queue.clear()
        self.queue.failed.clear()

    # --- the schedule ------------------------------------------------------------------------------------------------

    @property
    def _schedule(self) -> Shelf[Any, bytes]:
        return self._part.shelf.sub("schedule")

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        self._schedule[_seconds(ts), time.time_ns(), os.urandom(8)] = data

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove what is due, and return it: one step, so that of several consumers one gets each task."""
        after = (math.nextafter(_seconds(ts), math.inf),)

        def take(schedule: Transaction[Any, bytes]) -> list[bytes]:
            due = dict(schedule.items(stop=after))
            for key in due:
                del schedule[key]
            return list(due.values())

        # Most looks find nothing. They take no lock.
        is_due = next(iter(self._schedule.keys(stop=after)), None) is not None
        return self._schedule.transact(take) if is_due else []

    def schedule_size(self) -> int:
        return len(self._schedule)

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        return list(islice(self._schedule.values(), limit))

    def flush_schedule(self) -> None:
        self._schedule.clear()

    # --- results and other data --------------------------------------------------------------------------------------

    @property
    def _results(self) -> Shelf[Any, bytes]:
        return self._part.shelf.sub("results")

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        self._results.set(_text(key), value, expire=self.expire_time if is_result else None)

    def peek_data(self, key: Key) -> Any:
        return self._results.get(_text(key), EmptyData)

    def peek_many(self, keys: Iterable[Key]) -> dict[Key, bytes]:
        wanted = {_text(key): key for key in keys}
        return {wanted[found]: value for found, value in self._results.get_many(wanted).items()}

    def pop_data(self, key: Key) -> Any:
        return self._results.pop(_text(key), EmptyData)

    def delete_data(self, key: Key) -> bool:
        try:
            del self._results[_text(key)]
        except KeyError:
            return False
        return True

    def has_data_for_key(self, key: Key) -> bool:
        return _text(key) in self._results

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        return self._results.add(_text(key), value, expire=ttl)

    def wait_result(
        self, key: Key, timeout: float | None = None, backoff: float = 1.15, max_delay: float = 1.0
    ) -> bool:
        """Wait until a result is stored. It wakes at once, so ``backoff`` and ``max_delay`` do not matter."""
        try:
            self._results.wait(_text(key), timeout)
        except WaitTimeout:
            return False
        return True

    def result_store_size(self) -> int:
        return len(self._results)

    def result_items(self) -> dict[Key, bytes]:
        return dict(self._results.items())

    def flush_results(self) -> None:
        self._results.clear()

    # --- counters ----------------------------------------------------------------------------------------------------

    @property
    def _counters(self) -> Shelf[Any, int]:
        return self._part.shelf.sub("counters")

    def incr(self, key: Key, amount: int = 1) -> int:
        return int(self._counters.incr(_text(key), amount))

    def delete_counter(self, key: Key) -> None:
        self._counters.pop(_text(key), None)

    def flush_counters(self) -> None:
        self._counters.clear()


class CoshelfHuey(Huey):
    """A huey whose tasks are in a shelf: ``CoshelfHuey("shop", target="/var/lib/shop/tasks.shelf")``.

    It takes the arguments of ``huey.Huey`` and of :class:`CoshelfStorage`. With ``redeliver=3`` a task stays with its
    consumer until it has been executed. If the consumer is killed before, another one gets the task, up to three times.
    So the task may run twice. huey itself removes a task before it is executed: then a killed consumer loses it.
    """

    storage_class = CoshelfStorage

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._signal.connect(self._on_interrupt, signals.SIGNAL_INTERRUPTED)

    def dequeue(self) -> Any:
        try:
            return super().dequeue()
        except Exception:
            self._finish()  # it cannot be read: given out again, it would stop the next worker, too
            raise

    def execute(self, task: Any, timestamp: datetime | None = None) -> Any:
        try:
            value = super().execute(task, timestamp)
        except Exception:
            self._finish()
            raise
        self._finish()
        return value

    def _on_interrupt(self, signal: str, task: Any) -> None:
        self._finish(KeyboardInterrupt(f"{task.id} was interrupted"))

    def _finish(self, error: BaseException | None = None) -> None:
        if isinstance(self.storage, CoshelfStorage):  # in immediate mode it is another one
            self.storage.finish(error)


def _seconds(moment: datetime) -> float:
    """A number that orders moments. Those without a time zone are all of the same one, whichever that is."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _text(key: Key) -> Key:
    """The same key for text and its bytes, as in huey's own storages."""
    if isinstance(key, bytes):
        with suppress(UnicodeDecodeError):
            return key.decode()
    return key
