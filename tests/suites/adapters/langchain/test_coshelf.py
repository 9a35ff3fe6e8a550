"""LangChain's standard tests, with our cache and our store of bytes."""

import pytest
from langchain_tests.integration_tests import (
    AsyncCacheTestSuite,
    BaseStoreAsyncTests,
    BaseStoreSyncTests,
    SyncCacheTestSuite,
)

from coshelf.contrib.llm import LangChainByteStore, LangChainCache


@pytest.fixture
def cache(tmp_path):
    cache = LangChainCache(tmp_path / "a.shelf")
    yield cache
    cache.close()


@pytest.fixture
def kv_store(tmp_path):
    with LangChainByteStore(tmp_path / "a.shelf") as store:
        yield store


class Caches:
    @pytest.fixture
    def cache(self, cache):
        return cache


class Stores:
    @pytest.fixture
    def kv_store(self, kv_store):
        return kv_store

    @pytest.fixture
    def three_values(self):
        return b"one", b"two", b"three"


class TestCache(Caches, SyncCacheTestSuite):
    pass


class TestAsyncCache(Caches, AsyncCacheTestSuite):
    pass


class TestStore(Stores, BaseStoreSyncTests):
    pass


class TestAsyncStore(Stores, BaseStoreAsyncTests):
    pass
