"""Where a crawl keeps all: a part of one shelf, which its scheduler, filter, queues, state and cache share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.http import Request
from scrapy.settings import BaseSettings
from scrapy.spiders import Spider
from scrapy.utils.job import job_dir

from coshelf.contrib.parts import Part, Target
from coshelf.errors import InvalidLimit
from coshelf.mapping.shelf import Shelf

__all__ = ["CrawlShelf", "Ticket", "target_in"]

Ticket = tuple[str, int, Any]
"""What a queue gave out: the name of the queue, the place there, and the object."""

_NEEDED = ("persistent", "atomic=crash", "checks=batch", "turns")


def target_in(job_directory: str) -> Path:
    """The shelf of a job directory."""
    return Path(job_directory, "crawl.shelf")


class CrawlShelf:
    """The shelf of a crawl. It is open while a component of the crawl uses it.

    Args:
        target: a path or URL.
        job_directory: paths of queues are told without it.
        options: further arguments of :func:`coshelf.open`.
    """

    def __init__(self, target: Target, job_directory: str = "", options: Mapping[str, Any] | None = None) -> None:
        self.target = target
        self.job_directory = job_directory
        self.options = dict(options or {})
        self.keeps_started = False
        """Whether requests that a queue gave out stay in the shelf until they are finished."""
        self.started: dict[Request, int] = {}
        """Requests that queues gave out, and their places."""
        self.spider: Spider | None = None
        """The spider whose state is kept, if it is."""
        self._part: Part | None = None
        self._users = 0

    @classmethod
    def of(cls, crawler: Crawler) -> Self | None:
        """The shelf of a crawler, the same for all its components. None without a job directory."""
        found: Self | None = getattr(crawler, "_coshelf_shelf", None)
        if found is None:
            found = cls.by(crawler.settings)
            crawler._coshelf_shelf = found  # type: ignore[attr-defined]  # noqa: SLF001  # components find it here
        return found

    @classmethod
    def by(cls, settings: BaseSettings) -> Self | None:
        """The shelf that settings name. None without a job directory."""
        job_directory = job_dir(settings)
        if job_directory is None:
            return None
        target = settings.get("COSHELF_TARGET") or target_in(job_directory)
        return cls(target, job_directory, settings.getdict("COSHELF_OPTIONS"))

    def acquire(self) -> Shelf[Any, Any]:
        """Begin to use the shelf. Each call needs its own :meth:`release`.

        Raises:
            InvalidLimit: the shelf has limits, for which requests could be removed.
            CoshelfError: what :func:`coshelf.open` raises.
        """
        if self._part is None:
            part = Part(self.target, "scrapy", needs=_NEEDED, **self.options)
            self._refuse_limits(part)
            self._part = part
        self._users += 1
        return self._part.shelf

    def _refuse_limits(self, part: Part) -> None:
        info = part.whole.info()
        if info.max_bytes or info.max_entries:
            part.close()
            raise InvalidLimit(
                f"the shelf of a crawl must keep every request, but {self.target!r} has a limit"
                f" (max_bytes={info.max_bytes}, max_entries={info.max_entries}). Remove the limit, or choose another"
                " shelf by COSHELF_TARGET. The HTTP cache can have limits in a shelf of its own"
                " (COSHELF_HTTPCACHE_TARGET)"
            )

    @property
    def shelf(self) -> Shelf[Any, Any]:
        """The part, which a component uses now."""
        assert self._part is not None
        return self._part.shelf

    @property
    def queues(self) -> Shelf[tuple[str, int], Any]:
        """What waits: by the name of its queue, and its place. No place is used twice."""
        return self.shelf.sub("queue")

    @property
    def slots(self) -> Shelf[str, str]:
        """The download slots, by the names of their directories."""
        return self.shelf.sub("slots")

    def queue_names(self) -> Iterator[str]:
        """The names of the queues that have something."""
        queues = self.queues
        key = next(iter(queues.keys()), None)
        while key is not None:
            yield key[0]
            key = next(iter(queues.keys(start=(key[0], ""))), None)  # a str comes after all numbers

    def new_place(self) -> int:
        """A place in a queue, after all that were given before."""
        place: int = self.shelf.incr("places", expire=None)
        return place

    def put_back_started(self) -> None:
        """Have requests that were given out, and not finished, wait again at their places."""
        started = self.shelf.sub("started")
        with self.shelf.transaction():
            self.queues.update({(name, place): item for name, place, item in started.values()}, expire=None)
            started.clear()

    def note_started(self, request: Request, ticket: Ticket) -> None:
        """Keep a request that a queue gave out until it is forgotten."""
        self.shelf.sub("started").set(ticket[1], ticket, expire=None)
        self.started[request] = ticket[1]

    def store_state(self, spider: Spider) -> None:
        """Store the state of the spider."""
        self.shelf.set("state", spider.state, expire=None)  # type: ignore[attr-defined]

    def forget(self, request: Request) -> None:
        """Remove a request that is finished, and store the state of the spider with that."""
        with self.shelf.transaction():
            self.shelf.sub("started").pop(self.started[request], None)
            if self.spider is not None:
                self.store_state(self.spider)
        del self.started[request]

    def release(self) -> None:
        """End what :meth:`acquire` began. The last call closes the shelf."""
        self._users -= 1
        if self._users == 0 and self._part is not None:
            self._part.close()
            self._part = None

    def queue_name(self, key: str) -> str:
        """The name of the queue for which Scrapy has this path."""
        return os.path.relpath(key, self.job_directory) if self.job_directory else key
