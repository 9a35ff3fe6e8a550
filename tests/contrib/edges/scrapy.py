"""Scrapy: HTTPCACHE_EXPIRATION_SECS is in whole seconds, and 0 or less keeps a response for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge import Edge
from scrapy.http import Request, Response
from scrapy.spiders import Spider
from scrapy.utils.test import get_crawler

from coshelf.contrib.scrapy import CacheStorage


def storing(**settings: Any) -> Callable[[str], Any]:
    """Stores a response with these settings."""

    def run(path: str) -> Any:
        crawler = get_crawler(Spider, {"COSHELF_HTTPCACHE_TARGET": path, **settings})
        spider, request = crawler._create_spider("pages"), Request("http://a.example/")
        storage = CacheStorage(crawler.settings)
        storage.open_spider(spider)
        storage.store_response(spider, request, Response(request.url))
        storage.close_spider(spider)
        return "scrapy/httpcache/pages/", crawler.request_fingerprinter.fingerprint(request)

    return run


def rows() -> list[Edge]:
    name = "HTTPCACHE_EXPIRATION_SECS"
    return [
        Edge("not given", storing(), "kept"),
        Edge(f"{name} = 0", storing(**{name: 0}), "kept"),
        Edge(f"{name} = -1", storing(**{name: -1}), "kept"),
        Edge(f"{name} = 3600", storing(**{name: 3600}), "expires", 3600),
        Edge(f'{name} = "3600"', storing(**{name: "3600"}), "expires", 3600),
        Edge(f"{name} = 90.9", storing(**{name: 90.9}), "expires", 90),
        Edge(f"{name} = None", storing(**{name: None}), "kept"),
    ]
