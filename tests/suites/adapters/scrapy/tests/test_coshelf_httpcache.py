"""Scrapy's tests of HTTP caches, with coshelf's storage, for both policies."""

from __future__ import annotations

import pytest
from scrapy.extensions import httpcache
from tests.test_downloadermiddleware_httpcache import (
    DummyPolicyTestMixin,
    RFC2616PolicyTestMixin,
    StorageTestMixin,
)

from coshelf.system import clock


@pytest.fixture(autouse=True)
def clock_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the shelf go by the clock that the tests move."""
    monkeypatch.setattr(clock, "now", lambda: int(httpcache.time() * 1_000_000))


class _Storage(StorageTestMixin):
    storage_class = "coshelf.contrib.scrapy.CacheStorage"

    def _corrupt_cache_entry(self, storage, spider, request) -> None:
        storage._responses[storage._key(request)] = b"not a response"

    def _downgrade_cache_entry(self, storage, spider, request) -> None:
        stored, response = storage._responses[storage._key(request)]
        kept = {name: response[name] for name in ("status", "url", "headers", "body")}
        storage._responses[storage._key(request)] = (stored, kept)


class TestWithDummyPolicy(_Storage, DummyPolicyTestMixin):
    policy_class = "scrapy.extensions.httpcache.DummyPolicy"


class TestWithRFC2616Policy(_Storage, RFC2616PolicyTestMixin):
    policy_class = "scrapy.extensions.httpcache.RFC2616Policy"


del StorageTestMixin, DummyPolicyTestMixin, RFC2616PolicyTestMixin
