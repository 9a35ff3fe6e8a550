"""What the storage of the HTTP cache promises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from crawlers import crawler
from scrapy.http import HtmlResponse, Request

import coshelf
from coshelf.contrib.scrapy import CacheStorage

REQUEST = Request("http://a.example/1")
RESPONSE = HtmlResponse(REQUEST.url, body=b"<p>leek", headers={"A": ["1", "2"]}, flags=["x"], encoding="utf-8")


@contextmanager
def storage(job: Path | None, name: str = "pages", **settings: Any) -> Iterator[tuple[CacheStorage, Any]]:
    made = crawler(job, **settings)
    assert made.spider is not None
    made.spider.name = name
    found = CacheStorage(made.settings)
    found.open_spider(made.spider)
    yield found, made.spider
    found.close_spider(made.spider)


def test_a_response_comes_back_whole_with_its_time(tmp_path: Path) -> None:
    with storage(tmp_path) as (cache, spider):
        before = time.time()
        cache.store_response(spider, REQUEST, RESPONSE)
    with storage(tmp_path) as (cache, spider):
        request = REQUEST.copy()
        found = cache.retrieve_response(spider, request)
        assert isinstance(found, HtmlResponse)
        assert found.to_dict() == RESPONSE.to_dict()
        assert before <= request.meta["cache_timestamp"] <= time.time()
        assert cache.retrieve_response(spider, Request("http://a.example/2")) is None
    assert [path.name for path in tmp_path.iterdir()] == ["crawl.shelf"]


def test_a_response_is_removed_after_its_time(tmp_path: Path) -> None:
    with storage(tmp_path, HTTPCACHE_EXPIRATION_SECS=3600) as (cache, spider):
        cache.store_response(spider, REQUEST, RESPONSE)
    with coshelf.open(tmp_path / "crawl.shelf") as shelf:
        (key,) = [key for key in shelf if "httpcache" in str(key)]
        assert shelf.touch(key, expire=0)
    with storage(tmp_path, HTTPCACHE_EXPIRATION_SECS=3600) as (cache, spider):
        assert cache.retrieve_response(spider, REQUEST) is None


def test_a_smaller_time_applies_to_what_is_stored(tmp_path: Path) -> None:
    with storage(tmp_path) as (cache, spider):
        cache.store_response(spider, REQUEST, RESPONSE)
        assert cache._responses is not None
        (key,) = cache._responses
        stored, response = cache._responses[key]
        cache._responses[key] = (stored - 1000, response)
        assert cache.retrieve_response(spider, REQUEST) is not None
    with storage(tmp_path, HTTPCACHE_EXPIRATION_SECS=900) as (cache, spider):
        assert cache.retrieve_response(spider, REQUEST) is None


def test_each_spider_has_responses_of_its_own(tmp_path: Path) -> None:
    with storage(tmp_path, "one") as (cache, spider):
        cache.store_response(spider, REQUEST, RESPONSE)
    with storage(tmp_path, "two") as (cache, spider):
        assert cache.retrieve_response(spider, REQUEST) is None


def test_without_a_job_directory_the_shelf_is_in_the_cache_directory(tmp_path: Path) -> None:
    with storage(None, HTTPCACHE_DIR=str(tmp_path / "cache")) as (cache, spider):
        cache.store_response(spider, REQUEST, RESPONSE)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["httpcache.shelf"]


@pytest.mark.parametrize("target", ["memory:", "sqlite:{}/a.sqlite", "{}/a.shelf"])
def test_the_cache_can_be_elsewhere(tmp_path: Path, target: str) -> None:
    where = {"COSHELF_HTTPCACHE_TARGET": target.format(tmp_path)}
    with storage(tmp_path / "job", **where) as (cache, spider):
        cache.store_response(spider, REQUEST, RESPONSE)
        assert cache.retrieve_response(spider, REQUEST) is not None
        assert list((tmp_path / "job").iterdir()) == []


def test_the_cache_can_have_limits(tmp_path: Path) -> None:
    where = {"COSHELF_HTTPCACHE_TARGET": tmp_path / "a.shelf", "COSHELF_HTTPCACHE_OPTIONS": {"max_entries": 3}}
    with storage(tmp_path / "job", **where) as (cache, spider):
        for number in range(9):
            cache.store_response(spider, Request(f"http://a.example/{number}"), RESPONSE)
        assert cache.retrieve_response(spider, Request("http://a.example/8")) is not None
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert 1 <= len(shelf) <= 3


def test_two_crawls_share_a_cache(tmp_path: Path) -> None:
    where = {"COSHELF_HTTPCACHE_TARGET": str(tmp_path / "a.shelf")}
    with storage(tmp_path / "one", **where) as (one, spider), storage(tmp_path / "two", **where) as (two, other):
        one.store_response(spider, REQUEST, RESPONSE)
        assert two.retrieve_response(other, REQUEST) is not None


def test_a_shelf_that_is_not_trusted_gives_responses(tmp_path: Path) -> None:
    with storage(tmp_path, COSHELF_OPTIONS={"trust": False}) as (cache, spider):
        cache.store_response(spider, REQUEST, RESPONSE)
        assert cache.retrieve_response(spider, REQUEST) is not None
