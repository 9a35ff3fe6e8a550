"""Crawlers of Scrapy without a reactor, for tests of its components in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from scrapy.core.downloader import Downloader
from scrapy.crawler import Crawler
from scrapy.http import Request
from scrapy.spiders import Spider
from scrapy.utils.misc import build_from_crawler, load_object
from scrapy.utils.test import get_crawler

__all__ = ["crawler", "done", "killed", "opened", "urls"]

ADDON = {"coshelf.contrib.scrapy.Addon": 300}


class Pages(Spider):
    name = "pages"

    def parse(self, response: Any) -> None:
        """The callback of all requests."""


class _Downloader:
    slots: ClassVar[dict[str, Any]] = {}

    def get_slot_key(self, request: Request) -> str:
        slot: str = request.meta.get(Downloader.DOWNLOAD_SLOT, request.url.split("/")[2])
        return slot


def crawler(job: Path | None, **settings: Any) -> Crawler:
    """A crawler with coshelf's add-on, and an engine that has nothing in progress."""
    found = get_crawler(Pages, {"ADDONS": ADDON, "JOBDIR": str(job) if job else None, **settings})
    found.spider = found._create_spider()
    in_progress: set[Request] = set()
    slot = SimpleNamespace(inprogress=in_progress, remove_request=in_progress.discard)
    found.engine = SimpleNamespace(_slot=slot, downloader=_Downloader())  # type: ignore[assignment]
    return found


def opened(job: Path | None, **settings: Any) -> Any:
    """The scheduler of a new crawler, open."""
    made = crawler(job, **settings)
    scheduler: Any = build_from_crawler(load_object(made.settings["SCHEDULER"]), made)
    scheduler.open(made.spider)
    return scheduler


def done(scheduler: Any, request: Request) -> None:
    """Have Scrapy's engine be done with a request."""
    scheduler.crawler.engine._slot.remove_request(request)


def urls(scheduler: Any) -> list[str]:
    """The pages of all requests that wait, in order. They are taken, and Scrapy is done with them."""
    found = []
    for request in iter(scheduler.next_request, None):
        found.append(request.url.rpartition("/")[2])
        done(scheduler, request)
    return found


def killed(act: Callable[[], object]) -> None:
    """Run a function in a child process, which is gone right after it."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
