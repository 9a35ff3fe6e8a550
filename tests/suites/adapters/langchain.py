"""LangChain's standard tests of caches and of key-value stores."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="llm",
    distribution="langchain-tests",
    label="LangChain's `SyncCacheTestSuite`, `AsyncCacheTestSuite`, `BaseStoreSyncTests`, `BaseStoreAsyncTests`",
    overlay=("test_coshelf.py",),
    tests=("test_coshelf.py",),
    options=("-o", "asyncio_mode=auto"),
)
