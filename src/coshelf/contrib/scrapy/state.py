"""The state of a spider: an extension in the place of ``scrapy.extensions.spiderstate.SpiderState``."""

from __future__ import annotations

from typing import Any, Self

from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured

from coshelf.contrib.scrapy.crawl_shelf import CrawlShelf, target_in

__all__ = ["SpiderState"]


class SpiderState:
    """Keeps ``spider.state``, a dict, in the shelf of the crawl.

    It is stored when the spider closes. With coshelf's scheduler it is also stored whenever requests are finished, in
    the same commit.

    Args:
        jobdir: the job directory. None: the spider gets an empty state, which is not kept.
    """

    def __init__(self, jobdir: str | None = None) -> None:
        self._crawl = CrawlShelf(target_in(jobdir), jobdir) if jobdir else None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """The extension of a crawler. It is not needed without a job directory."""
        crawl = CrawlShelf.of(crawler)
        if crawl is None:
            raise NotConfigured
        found = cls()
        found._crawl = crawl
        crawler.signals.connect(found.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(found.spider_closed, signal=signals.spider_closed)
        return found

    def spider_opened(self, spider: Spider) -> None:
        """Give the spider the state that it had."""
        state: dict[Any, Any] = {}
        if self._crawl is not None:
            state = self._crawl.acquire().get("state", state)
            self._crawl.spider = spider
        spider.state = state  # type: ignore[attr-defined]

    def spider_closed(self, spider: Spider) -> None:
        """Store the state."""
        if self._crawl is not None:
            self._crawl.spider = None
            self._crawl.store_state(spider)
            self._crawl.release()
