"""Disk queues of requests: for SCHEDULER_DISK_QUEUE and SCHEDULER_START_DISK_QUEUE."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self, TypeVar

from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Request
from scrapy.utils.request import request_from_dict

from coshelf.contrib.scrapy.crawl_shelf import CrawlShelf, Ticket
from coshelf.errors import DamagedRecord, UnwritableValue

__all__ = ["DiskQueue", "FifoDiskQueue", "FifoObjectQueue", "LifoDiskQueue", "LifoObjectQueue", "ObjectQueue"]


_logger = logging.getLogger(__name__)
_CANNOT_LOAD = (ValueError, TypeError, AttributeError, ImportError, NameError, DamagedRecord)
"""Raised for a value that is untrusted or damaged, and for a class or callback that does not exist any more."""

R = TypeVar("R")


class ObjectQueue:
    """A queue of objects in the shelf of a crawl. Each push and each pop is one commit, or part of one.

    Args:
        crawl: the shelf, which the queue keeps open until it is closed.
        name: the queue's name in it.
    """

    newest_first: ClassVar[bool]

    def __init__(self, crawl: CrawlShelf, name: str) -> None:
        self.name = name
        self._crawl = crawl
        crawl.acquire()
        self._count = len(crawl.queues.keys(prefix=(name,)))
        self._is_open = True
        self._left: set[int] = set()
        # Places before and after these are empty. Scans do not look at what was there.
        self._start, self._stop = -1, sys.maxsize

    def push(self, item: Any) -> None:
        """Add an object.

        Raises:
            ValueError: it cannot be pickled. The scheduler then keeps the request in memory.
        """
        with self._crawl.shelf.transaction():
            place = self._crawl.new_place()
            try:
                self._crawl.queues.set((self.name, place), item, expire=None)
            except UnwritableValue as error:
                unwritable = error
            else:
                self._stop = place + 1
                self._count += 1
                return
        raise _not_serializable(unwritable)

    def pop(self) -> Any | None:
        """Remove the object whose turn it is, and return it. None from an empty queue."""
        with self._crawl.shelf.transaction():
            found = self.take(_as_it_is)
        return None if found is None else found[1][2]

    def take(self, load: Callable[[Any], R]) -> tuple[R, Ticket] | None:
        """Remove the object whose turn it is. Return what ``load`` makes of it, and where it was.

        An object that cannot be loaded stays in the shelf. The log says so, and the next one is taken.
        """
        for place in self._places():
            try:
                item = self._crawl.queues[self.name, place]
                loaded = load(item)
            except _CANNOT_LOAD as error:
                self._leave(place, error)
                continue
            del self._crawl.queues[self.name, place]
            self._count -= 1
            if self.newest_first:
                self._stop = place
            else:
                self._start = place
            return loaded, (self.name, place, item)
        self._count = 0
        return None

    def _leave(self, place: int, error: Exception) -> None:
        self._count -= 1
        self._left.add(place)
        _logger.error(
            "Request %d of %s in %s cannot be loaded, and stays there: %s", place, self.name, self._crawl.target, error
        )

    def peek(self) -> Any | None:
        """The object that :meth:`pop` would return, which stays. None from an empty queue."""
        place = next(self._places(), None)
        return None if place is None else self._crawl.queues[self.name, place]

    def _places(self) -> Iterator[int]:
        """The places of the objects, in the order in which they are taken."""
        start, stop = (self.name, self._start), (self.name, self._stop)
        for _, place in self._crawl.queues.keys(start=start, stop=stop, reverse=self.newest_first):
            if place not in self._left:
                yield place

    def clear(self) -> None:
        """Remove all objects."""
        with self._crawl.shelf.transaction():
            for key in list(self._crawl.queues.keys(prefix=(self.name,))):
                del self._crawl.queues[key]
        self._count = 0

    def close(self) -> None:
        """Stop using the shelf. The objects stay. Closing twice is fine."""
        if self._is_open:
            self._is_open = False
            self._crawl.release()

    def __len__(self) -> int:
        return self._count


class FifoObjectQueue(ObjectQueue):
    """The oldest object first."""

    newest_first = False


class LifoObjectQueue(ObjectQueue):
    """The newest object first."""

    newest_first = True


class DiskQueue:
    """A queue of requests in the shelf of a crawl. Scrapy has one for each download slot and priority."""

    kind: ClassVar[type[ObjectQueue]]

    def __init__(self, crawler: Crawler, key: str) -> None:
        crawl = CrawlShelf.of(crawler)
        if crawl is None:
            raise NotConfigured("a disk queue needs the setting JOBDIR")
        self._spider = crawler.spider
        self._crawl = crawl
        self._objects = self.kind(crawl, crawl.queue_name(key))

    @classmethod
    def from_crawler(cls, crawler: Crawler, key: str) -> Self:
        """Open the queue of a crawler for which Scrapy has this path."""
        return cls(crawler, key)

    def push(self, request: Request) -> None:
        """Add a request. It is safe from the death of the process when this returns.

        Raises:
            ValueError: its callback is not a method of the spider, or what it carries cannot be pickled.
        """
        self._objects.push(request.to_dict(spider=self._spider))

    def pop(self) -> Request | None:
        """Take the request whose turn it is. None from an empty queue.

        With coshelf's scheduler it stays in the shelf as a request in progress, until Scrapy is done with it.
        """
        with self._crawl.shelf.transaction():
            found = self._objects.take(self._request)
            if found is None:
                return None
            request, ticket = found
            if self._crawl.keeps_started:
                self._crawl.note_started(request, ticket)
        return request

    def peek(self) -> Request | None:
        """The request that :meth:`pop` would return, which stays. None from an empty queue."""
        found = self._objects.peek()
        return None if found is None else self._request(found)

    def _request(self, found: dict[str, Any]) -> Request:
        return request_from_dict(found, spider=self._spider)

    def close(self) -> None:
        """Stop using the shelf. The requests stay."""
        self._objects.close()

    def __len__(self) -> int:
        return len(self._objects)


class FifoDiskQueue(DiskQueue):
    """The oldest request first: Scrapy's order for start requests, and for crawls in breadth."""

    kind = FifoObjectQueue


class LifoDiskQueue(DiskQueue):
    """The newest request first: Scrapy's order for all other requests."""

    kind = LifoObjectQueue


def _not_serializable(unwritable: UnwritableValue) -> ValueError:
    """The error for which the scheduler keeps a request in memory. Its context is what pickle raised."""
    error = ValueError(str(unwritable))
    error.__cause__ = error.__context__ = unwritable.__cause__
    return error


def _as_it_is(item: Any) -> Any:
    return item
