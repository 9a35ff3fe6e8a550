"""LangChain's cache of answers, and its store of bytes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal, Self

from langchain_core._api import suppress_langchain_beta_warning
from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.load import dumps, loads
from langchain_core.stores import ByteStore

from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["LangChainByteStore", "LangChainCache"]


class LangChainCache(BaseCache):
    """Keeps the answers of models in a shelf, for all processes: ``set_llm_cache(LangChainCache("llm.shelf"))``.

    The asynchronous methods need ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the answers.
        expire: seconds, or a timedelta, that an answer is kept; None: for ever.
        allowed_objects: which classes an answer may have, as for LangChain's ``loads``. "core" has messages.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    Raises:
        InvalidExpiry: by ``update``, an ``expire`` that is not possible.
        ValueError: by ``lookup``, an answer has a class that is not allowed.

    >>> from langchain_core.outputs import Generation
    >>> cache = LangChainCache("memory:", expire=3600)
    >>> cache.update("What is a leek?", "some-model", [Generation(text="An onion.")])
    >>> cache.lookup("What is a leek?", "some-model")
    [Generation(text='An onion.')]
    >>> cache.close()
    """

    def __init__(
        self,
        target: Target,
        *,
        part: str = "langchain/answers",
        expire: float | timedelta | None = None,
        allowed_objects: Iterable[Any] | Literal["all", "core", "messages"] = "core",
        **options: Any,
    ) -> None:
        self.part = Part(target, part, **options)
        self._tasks = AsyncPart(self.part)
        self._expire = expire
        self._allowed = allowed_objects

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The answer that is kept for a prompt and a model, or None."""
        return self._loaded(self.part.shelf.get(_key(prompt, llm_string)))

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """As :meth:`lookup`."""
        shelf = await self._tasks.shelf()
        return self._loaded(await shelf.get(_key(prompt, llm_string)))

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep the answer to a prompt."""
        self.part.shelf.set(_key(prompt, llm_string), _dumped(return_val), expire=self._expire)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """As :meth:`update`."""
        shelf = await self._tasks.shelf()
        await shelf.set(_key(prompt, llm_string), _dumped(return_val), expire=self._expire)

    def clear(self, **kwargs: Any) -> None:
        """Remove all answers."""
        self.part.shelf.clear()

    async def aclear(self, **kwargs: Any) -> None:
        """As :meth:`clear`."""
        await (await self._tasks.shelf()).clear()

    def close(self) -> None:
        """Close the shelf, if the cache opened it."""
        self.part.close()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await self._tasks.close()

    def _loaded(self, stored: list[str] | None) -> RETURN_VAL_TYPE | None:
        if stored is None:
            return None
        with suppress_langchain_beta_warning():  # of loads: LangChain warns programs, which do not call it here
            return [loads(text, allowed_objects=self._allowed) for text in stored]


def _dumped(answer: RETURN_VAL_TYPE) -> list[str]:
    return [dumps(generation) for generation in answer]


def _key(prompt: str, model: str) -> str:
    """A digest: prompts are longer than the keys of some engines may be."""
    digest = hashlib.blake2b(digest_size=20)
    for text in (model, prompt):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


class LangChainByteStore(ByteStore):
    """Keeps bytes under text keys in a shelf, for all processes.

    ``CacheBackedEmbeddings.from_bytes_store``, ``create_kv_docstore`` and the retrievers with several vectors take it.
    Each method is one commit. The asynchronous methods need ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the entries.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    >>> store = LangChainByteStore("memory:")
    >>> store.mset([("a/1", b"one"), ("a/2", b"two"), ("b", b"three")])
    >>> store.mget(["a/1", "c"]), list(store.yield_keys(prefix="a/"))
    ([b'one', None], ['a/1', 'a/2'])
    >>> store.close()
    """

    def __init__(self, target: Target, *, part: str = "langchain/bytes", **options: Any) -> None:
        self.part = Part(target, part, **options)
        self._tasks = AsyncPart(self.part)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of keys, as of one instant, in order; None for a key that is missing."""
        found = self.part.shelf.get_many(keys)
        return [found.get(key) for key in keys]

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """As :meth:`mget`."""
        found = await (await self._tasks.shelf()).get_many(keys)
        return [found.get(key) for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Store values."""
        self.part.shelf.update(key_value_pairs)

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """As :meth:`mset`."""
        await (await self._tasks.shelf()).update(key_value_pairs)

    def mdelete(self, keys: Sequence[str]) -> None:
        """Remove those of these keys that exist."""
        _delete(self.part.shelf, keys)

    async def amdelete(self, keys: Sequence[str]) -> None:
        """As :meth:`mdelete`."""
        await self._tasks.write(_delete, keys)

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """The keys in order, or those that begin with ``prefix``, as of one instant."""
        yield from self.part.shelf.keys(prefix=prefix)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        """As :meth:`yield_keys`."""
        async for key in (await self._tasks.shelf()).keys(prefix=prefix):
            yield key

    def close(self) -> None:
        """Close the shelf, if the store opened it."""
        self.part.close()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await self._tasks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _delete(shelf: Shelf[Any, Any], keys: Sequence[str]) -> None:
    def delete(entries: Shelf[Any, Any] | Transaction[Any, Any]) -> None:
        for key in keys:
            entries.pop(key, None)

    if shelf.capabilities.checks == "batch":
        shelf.transact(delete)
    else:
        delete(shelf)
