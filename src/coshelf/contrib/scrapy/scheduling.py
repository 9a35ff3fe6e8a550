"""The scheduler: for SCHEDULER and SCHEDULER_PRIORITY_QUEUE."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from scrapy.core.scheduler import Scheduler as ScrapyScheduler
from scrapy.crawler import Crawler
from scrapy.http import Request
from scrapy.pqueues import DownloaderAwarePriorityQueue, QueueProtocol, ScrapyPriorityQueue
from scrapy.spiders import Spider
from twisted.internet.defer import Deferred

from coshelf.contrib.scrapy.crawl_shelf import CrawlShelf
from coshelf.contrib.scrapy.queues import DiskQueue
from coshelf.coordination.turn import Turn
from coshelf.system.threads.participants import TaskOwner, acting_as

__all__ = ["PriorityQueue", "Scheduler"]

_logger = logging.getLogger(__name__)
_LEASE = 60.0
"""Seconds to wait for a crawl on a server, whose lease lasts for a while after it was killed."""


@dataclass(frozen=True, eq=False)
class _Holder:
    """Has the lock of a crawl. The name is in the error of another crawl."""

    name: str


class Scheduler(ScrapyScheduler):
    """Scrapy's scheduler, with one commit for each request that it takes or gives.

    - A request that is scheduled is queued and noted as seen in one commit.
    - A request that is given out stays in the shelf until Scrapy is done with it: until its callback has ended, the
      requests that came from it are scheduled, and the pipelines are done with its items. After a kill it is given out
      again.
    - One crawl at a time uses a shelf. A second one is refused with the error ``TurnTimeout``, which names the first.

    Without JOBDIR it is Scrapy's own, in memory.
    """

    _crawl: CrawlShelf | None = None
    _turn: Turn | None = None

    def open(self, spider: Spider) -> Deferred[None] | None:
        """Open the shelf, and put requests that were in progress at a kill back into their queues.

        Raises:
            TurnTimeout: another crawl uses the shelf.
            CoshelfError: what :func:`coshelf.open` raises.
        """
        assert self.crawler is not None
        self._crawl = CrawlShelf.of(self.crawler)
        if self._crawl is not None:
            self._begin(self._crawl, spider)
        opened = super().open(spider)
        if self._crawl is not None and self.dqs is not None:
            self._warn_of_unknown(self._crawl, len(self.dqs))
        return opened

    def _begin(self, crawl: CrawlShelf, spider: Spider) -> None:
        shelf = crawl.acquire()
        wait = _LEASE if shelf.capabilities.turns == "lease" else 0.0
        try:
            # Not the turn of the task that opens the spider: that task ends long before the crawl.
            with acting_as(TaskOwner(_Holder(f"crawl of {spider.name}"))):
                self._turn = shelf.lock("crawl", timeout=wait).__enter__()
        except BaseException:
            crawl.release()
            raise
        crawl.keeps_started = True
        crawl.put_back_started()
        # The engine tells of the end of a request in no other way.
        slot = self.crawler.engine._slot  # type: ignore[union-attr]  # noqa: SLF001
        slot.remove_request = partial(self._done, slot.remove_request)  # type: ignore[union-attr, method-assign]

    def _warn_of_unknown(self, crawl: CrawlShelf, known: int) -> None:
        stored = len(crawl.queues)
        if stored != known:
            _logger.warning(
                "%d of the %d requests in %s are in queues that %s does not open. They stay in the shelf. The setting"
                " SCHEDULER_PRIORITY_QUEUE must be coshelf.contrib.scrapy.PriorityQueue for them to be crawled.",
                *(stored - known, stored, crawl.target, self.pqclass),
            )

    def enqueue_request(self, request: Request) -> bool:
        """Queue a request, and note that it was seen, in one commit. False if it had been seen before."""
        if self._crawl is None:
            return super().enqueue_request(request)
        with self._crawl.shelf.transaction():
            return super().enqueue_request(request)

    def _done(self, remove: Callable[[Request], None], request: Request) -> None:
        """Forget a request, and have the engine remove it."""
        try:
            if self._crawl is not None and request in self._crawl.started:
                self._crawl.forget(request)
        finally:
            remove(request)

    def close(self, reason: str) -> Deferred[None] | None:
        """Stop using the shelf. Requests that wait stay in it."""
        closed = super().close(reason)
        crawl, self._crawl = self._crawl, None
        if crawl is not None:
            assert self._turn is not None
            try:
                self._turn.release()
            finally:
                crawl.release()
        return closed


class PriorityQueue(DownloaderAwarePriorityQueue):
    """Scrapy's queue of download slots and priorities. It finds them in the shelf, also after a kill.

    Scrapy's own learns them from a file that is written when a crawl is closed.
    """

    _crawl: CrawlShelf | None = None

    def __init__(
        self,
        crawler: Crawler,
        downstream_queue_cls: type[QueueProtocol],
        key: str,
        slot_startprios: dict[str, Iterable[int]] | None = None,
        *,
        start_queue_cls: type[QueueProtocol] | None = None,
    ) -> None:
        if key and issubclass(downstream_queue_cls, DiskQueue):
            self._crawl = CrawlShelf.of(crawler)
        if self._crawl is not None:
            self._crawl.acquire()
            slot_startprios = _in_shelf(self._crawl, self._crawl.queue_name(key))
        super().__init__(crawler, downstream_queue_cls, key, slot_startprios, start_queue_cls=start_queue_cls)

    def pqfactory(self, slot: str, startprios: Iterable[int] = ()) -> ScrapyPriorityQueue:
        """The queue of a download slot. The name of its directory is noted, because it does not tell the slot."""
        queue = super().pqfactory(slot, startprios)
        if self._crawl is not None:
            self._crawl.slots.add(self._crawl.queue_name(queue.key), slot, expire=None)
        return queue

    def close(self) -> dict[str, list[int]]:
        """Stop using the shelf."""
        active = super().close()
        if self._crawl is not None:
            self._crawl.release()
        return active


def _in_shelf(crawl: CrawlShelf, place: str) -> dict[str, Iterable[int]]:
    """The download slots that have requests, with their priorities. A start request's queue ends with an "s"."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for name in crawl.queue_names():
        directory, _, priority = name.rpartition("/")
        if directory.startswith(f"{place}/"):
            found[crawl.slots[directory]].add(int(priority.removesuffix("s")))
    return {slot: sorted(priorities) for slot, priorities in found.items()}
