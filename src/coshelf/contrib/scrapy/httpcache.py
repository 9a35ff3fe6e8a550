"""The storage of the HTTP cache: for HTTPCACHE_STORAGE."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from scrapy.http import Request, Response
from scrapy.settings import BaseSettings
from scrapy.spiders import Spider
from scrapy.utils.project import data_path
from scrapy.utils.response import response_from_dict

from coshelf.contrib.parts import Part
from coshelf.contrib.scrapy.crawl_shelf import CrawlShelf
from coshelf.mapping.shelf import Shelf

__all__ = ["CacheStorage"]


class CacheStorage:
    """Keeps responses in a shelf, as plain data: bytes, text, numbers, lists, dicts.

    They are in the shelf of the crawl, or by ``COSHELF_HTTPCACHE_TARGET`` elsewhere. Without JOBDIR they are in
    ``httpcache.shelf`` in the directory HTTPCACHE_DIR. A response expires HTTPCACHE_EXPIRATION_SECS seconds after it
    was stored, and is then removed from the shelf. With 0 or less it stays.
    """

    def __init__(self, settings: BaseSettings) -> None:
        self.expiration_secs = settings.getint("HTTPCACHE_EXPIRATION_SECS")
        self._settings = settings
        self._crawl: CrawlShelf | None = None
        self._part: Part | None = None
        self._responses: Shelf[bytes, tuple[float, dict[str, Any]]] | None = None

    def open_spider(self, spider: Spider) -> None:
        """Open the shelf. Each spider has responses of its own."""
        options = self._settings.getdict("COSHELF_HTTPCACHE_OPTIONS")
        target = self._settings.get("COSHELF_HTTPCACHE_TARGET")
        self._fingerprinter = spider.crawler.request_fingerprinter
        self._crawl = None if target else CrawlShelf.of(spider.crawler)
        if self._crawl is not None:
            shelf = self._crawl.acquire()
        else:
            self._part = Part(target or self._in_cache_directory(), "scrapy", **options)
            shelf = self._part.shelf
        self._responses = shelf.sub(f"httpcache/{spider.name}")

    def _in_cache_directory(self) -> Path:
        return Path(data_path(self._settings["HTTPCACHE_DIR"], createdir=True), "httpcache.shelf")

    def close_spider(self, spider: Spider) -> None:
        """Stop using the shelf."""
        self._responses = None
        if self._part is not None:
            self._part.close()
        if self._crawl is not None:
            self._crawl.release()
        self._part = self._crawl = None

    def retrieve_response(self, spider: Spider, request: Request) -> Response | None:
        """The response that was stored for such a request, or None. Its time is put into ``cache_timestamp``."""
        assert self._responses is not None
        found = self._responses.get(self._key(request))
        if found is None:
            return None
        stored, response = found
        if 0 < self.expiration_secs < time.time() - stored:
            return None  # stored when the setting was greater
        request.meta["cache_timestamp"] = stored
        return response_from_dict(response)

    def store_response(self, spider: Spider, request: Request, response: Response) -> None:
        """Store a response."""
        assert self._responses is not None
        expire = self.expiration_secs if self.expiration_secs > 0 else None
        self._responses.set(self._key(request), (time.time(), response.to_dict()), expire=expire)

    def _key(self, request: Request) -> bytes:
        assert self._fingerprinter is not None
        return self._fingerprinter.fingerprint(request)
