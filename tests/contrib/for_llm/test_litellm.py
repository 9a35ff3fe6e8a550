"""LiteLLM's cache of answers in a shelf."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from insides import until

import coshelf
from coshelf.contrib.llm import LiteLLMCache

pytestmark = pytest.mark.long  # importing LiteLLM takes seconds


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:"])
def test_both_faces_show_the_same(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        cache = LiteLLMCache(target)
        cache.set_cache("a", {"response": "x"})
        await cache.async_set_cache("b", [1], ttl=60)
        await cache.async_set_cache_pipeline([("c", 1), ("d", None)], ttl=60)
        await cache.batch_cache_write("e", 5)
        assert [cache.get_cache(key) for key in "abcx"] == [{"response": "x"}, [1], 1, None]
        assert cache.batch_get_cache(["b", "x", "e"]) == [[1], None, 5]
        assert await cache.async_batch_get_cache(["b", "x", "e"]) == [[1], None, 5]
        assert await cache.async_get_cache("a") == {"response": "x"}
        assert (cache.increment_cache("n", 2, ttl=60), await cache.async_increment("n", 1.5)) == (2, 3.5)
        assert cache.part.shelf.expires("n") is not None
        cache.delete_cache("a")
        await cache.async_delete_cache("a")
        await cache.delete_cache_keys(["b", "x", "c"])
        assert sorted(cache.part.shelf) == ["d", "e", "n"]
        cache.flush_cache()
        assert len(cache.part.shelf) == 0
        assert (await cache.ping(), (await cache.test_connection())["status"]) == (True, "success")
        await cache.disconnect()
        assert (await cache.test_connection())["status"] == "failed"

    asyncio.run(main())


def test_times_are_seconds_and_without_one_answers_stay() -> None:
    cache = LiteLLMCache("memory:")
    for ttl, is_kept in ((None, True), (0, False), (60, True)):
        cache.set_cache("a", 1, ttl=ttl)
        assert (cache.get_cache("a") == 1) == is_kept
    assert cache.part.shelf.expires("a") is not None
    cache.set_cache("a", 1)
    assert cache.part.shelf.expires("a") is None
    with_default = LiteLLMCache("memory:", default_ttl=60)
    with_default.set_cache("a", 1)
    assert with_default.part.shelf.expires("a") is not None
    with pytest.raises(coshelf.InvalidExpiry):
        cache.set_cache("a", 2, ttl="soon")
    assert cache.get_cache("a") == 1


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
def test_answers_of_a_completion_are_in_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm

    asked: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is a leek?"}]}

    def use(target: Path) -> Any:
        monkeypatch.setattr(litellm, "cache", litellm.Cache(type="local"))
        litellm.cache.cache = LiteLLMCache(target)
        return litellm.cache

    for name in ("callbacks", "success_callback", "_async_success_callback", "input_callback"):
        monkeypatch.setattr(litellm, name, list(getattr(litellm, name)))
    first = use(tmp_path / "a.shelf")
    answer = litellm.completion(**asked, mock_response="An onion.", caching=True)
    until(lambda: len(first.cache.part.shelf) == 1)  # LiteLLM may store in another thread
    first.add_cache(answer, **asked, ttl=60)
    second = use(tmp_path / "a.shelf")
    assert second.get_cache(**asked)["choices"][0]["message"]["content"] == "An onion."
    found = asyncio.run(second.async_get_cache(**asked))
    assert found == second.get_cache(**asked)
    asyncio.run(first.cache.disconnect())
    asyncio.run(second.cache.disconnect())
