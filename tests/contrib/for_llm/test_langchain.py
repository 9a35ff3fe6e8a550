"""LangChain's own tests of caches and of key-value stores, and what they do not ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_tests.integration_tests import (
    AsyncCacheTestSuite,
    BaseStoreAsyncTests,
    BaseStoreSyncTests,
    SyncCacheTestSuite,
)

import coshelf
from coshelf.contrib.llm import LangChainByteStore, LangChainCache


class TestCache(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Iterator[LangChainCache]:
        cache = LangChainCache(tmp_path / "a.shelf")
        yield cache
        cache.close()


@pytest.mark.filterwarnings("ignore:.*is not an async function:pytest.PytestWarning")  # one of the suite's tests
@pytest.mark.asyncio
class TestAsyncCache(AsyncCacheTestSuite):
    @pytest.fixture
    def cache(self) -> LangChainCache:
        return LangChainCache("memory:")


class TestByteStore(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, tmp_path: Path) -> Iterator[LangChainByteStore]:
        with LangChainByteStore(tmp_path / "a.shelf") as store:
            yield store

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"one", b"", b"\0three"


@pytest.mark.filterwarnings("ignore:.*is not an async function:pytest.PytestWarning")  # one of the suite's tests
@pytest.mark.asyncio
class TestAsyncByteStore(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    def kv_store(self) -> LangChainByteStore:  # type: ignore[override]
        return LangChainByteStore("memory:")

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"one", b"two", b"three"


def test_a_model_is_asked_once(tmp_path: Path) -> None:
    """The cache of a chat model, in two caches on one file, as two processes have them."""
    cache = LangChainCache(tmp_path / "a.shelf")
    assert FakeListChatModel(responses=["first"], cache=cache).invoke("What is a leek?").content == "first"
    other = LangChainCache(tmp_path / "a.shelf")
    model = FakeListChatModel(responses=["second"], cache=other)
    assert cache.part.shelf.keys() == other.part.shelf.keys()
    assert len(other.part.shelf) == 1
    assert asyncio.run(model.ainvoke("What is a bean?")).content == "second"
    assert len(cache.part.shelf) == 2
    cache.close()
    other.close()


def test_answers_are_stored_without_pickles_of_objects(tmp_path: Path) -> None:
    cache = LangChainCache(tmp_path / "a.shelf", trust=False)
    answer = [ChatGeneration(message=AIMessage("An onion.", response_metadata={"lc": 1, "n": [2]}))]
    cache.update("prompt", "model", answer)
    assert cache.lookup("prompt", "model") == answer
    assert cache.lookup("prompt", "other model") is cache.lookup("promptm", "odel") is None
    (stored,) = cache.part.shelf.values()
    assert type(stored[0]) is str
    cache.close()


def test_answers_may_expire_and_only_theirs_are_cleared() -> None:
    with coshelf.open("memory:") as shelf:
        shelf["mine"] = 1
        for expire in (60, timedelta(minutes=1)):
            LangChainCache(shelf, expire=expire).update("prompt", "model", [Generation(text="a")])
            (key,) = LangChainCache(shelf).part.shelf
            assert LangChainCache(shelf).part.shelf.expires(key) is not None
        with pytest.raises(coshelf.InvalidExpiry):
            LangChainCache(shelf, expire="soon").update("prompt", "model", [])  # type: ignore[arg-type]
        LangChainCache(shelf).clear()
        assert dict(shelf) == {"mine": 1}


def test_a_class_that_is_not_allowed_is_refused() -> None:
    cache = LangChainCache("memory:", allowed_objects=[])
    cache.update("prompt", "model", [Generation(text="a")])
    with pytest.raises(ValueError, match="not allowed"):
        cache.lookup("prompt", "model")


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:", "files:a"])
def test_bytes_are_read_and_removed_together(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with LangChainByteStore(target) as store:
        store.mset([("a/1", b"one"), ("a/2", b"two"), ("b", b"three")])
        version = store.part.whole.version
        assert store.mget(["b", "c", "a/1", "b"]) == [b"three", None, b"one", b"three"]
        assert list(store.yield_keys(prefix="a/")) == ["a/1", "a/2"]
        store.mdelete(["a/1", "c", "b", "b"])
        assert store.part.whole.version != version
        assert list(store.yield_keys()) == ["a/2"]
    with pytest.raises(coshelf.ShelfClosed):
        store.mget(["a/2"])


def test_threads_that_ask_at_once_get_whole_answers(tmp_path: Path) -> None:
    cache: Any = LangChainCache(tmp_path / "a.shelf")
    wrong = []

    def use(number: int) -> None:
        for _ in range(20):
            cache.update("prompt", "model", [Generation(text=str(number))] * 3)
            if len(set(map(str, cache.lookup("prompt", "model")))) != 1:
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    cache.close()
