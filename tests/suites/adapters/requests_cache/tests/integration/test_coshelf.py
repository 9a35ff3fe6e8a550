"""Has the suite of requests-cache run with shelves."""

from __future__ import annotations

from tests.integration.base_cache_test import BaseCacheTest
from tests.integration.base_storage_test import BaseStorageTest

from coshelf.contrib.requests_cache import CoshelfCache, CoshelfDict


class TestDict(BaseStorageTest):
    storage_class = CoshelfDict


class TestDictOnSqlite(BaseStorageTest):
    storage_class = staticmethod(lambda name, *names, **options: CoshelfDict(f"sqlite:{name}.db", *names, **options))


class TestDictPickled(BaseStorageTest):
    storage_class = CoshelfDict
    init_kwargs = {"serializer": "pickle"}  # noqa: RUF012 (the type is that of the base class)


class TestCache(BaseCacheTest):
    backend_class = CoshelfCache


class TestCachePickled(BaseCacheTest):
    backend_class = CoshelfCache
    init_kwargs = {"serializer": "pickle"}  # noqa: RUF012 (the type is that of the base class)
