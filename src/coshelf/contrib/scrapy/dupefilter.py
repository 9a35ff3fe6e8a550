"""The filter of duplicate requests: for DUPEFILTER_CLASS."""

from __future__ import annotations

from typing import Self

from scrapy.crawler import Crawler
from scrapy.dupefilters import RFPDupeFilter
from scrapy.http import Request

from coshelf.contrib.scrapy.crawl_shelf import CrawlShelf
from coshelf.mapping.shelf import Shelf

__all__ = ["DupeFilter"]


class DupeFilter(RFPDupeFilter):
    """Keeps the fingerprints of requests in the shelf of the crawl, instead of in memory and in a file.

    Without JOBDIR it is Scrapy's own, in memory.
    """

    _crawl: CrawlShelf | None = None
    _seen: Shelf[bytes, bool] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """The filter of a crawler."""
        found = cls(debug=crawler.settings.getbool("DUPEFILTER_DEBUG"), fingerprinter=crawler.request_fingerprinter)
        found._crawl = CrawlShelf.of(crawler)
        return found

    def open(self) -> None:
        """Open the shelf."""
        if self._crawl is not None:
            self._seen = self._crawl.acquire().sub("seen")

    def request_seen(self, request: Request) -> bool:
        """Whether a request of this fingerprint was seen before. It is, from now on."""
        if self._seen is None:
            return super().request_seen(request)
        return not self._seen.add(bytes.fromhex(self.request_fingerprint(request)), True, expire=None)

    def close(self, reason: str) -> None:
        """Stop using the shelf."""
        super().close(reason)
        if self._seen is not None:
            self._seen = None
            assert self._crawl is not None
            self._crawl.release()
