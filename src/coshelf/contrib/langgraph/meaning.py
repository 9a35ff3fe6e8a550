"""Search by meaning: the vectors of items, and how near they are to that of a query."""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from langgraph.store.base import IndexConfig, Op, PutOp, SearchOp, ensure_embeddings, get_text_at_path

__all__ = ["Index", "Vector", "Vectors", "ranked"]

Vector = array  # of 4 bytes a number, of length 1


class Vectors(NamedTuple):
    """The vectors of a batch, by text: those of queries, and those of items that are stored."""

    queries: dict[str, Vector[float]]
    texts: dict[str, Vector[float]]


class Index:
    """Makes vectors of texts, by the embeddings of a store's ``index=``.

    Args:
        config: LangGraph's ``IndexConfig``: ``embed``, ``dims``, and ``fields`` (by default the whole value).
    """

    def __init__(self, config: IndexConfig) -> None:
        self._embeddings = ensure_embeddings(config.get("embed"))
        self._numbers = config.get("dims")
        self._fields = config.get("fields") or ["$"]

    def texts(self, op: PutOp) -> list[str]:
        """The texts of an item that get vectors."""
        if op.value is None or op.index is False:
            return []
        fields = self._fields if op.index is None else op.index
        return [text for field in fields for text in get_text_at_path(op.value, field)]

    def embed(self, ops: Sequence[Op]) -> Vectors:
        """Make the vectors that a batch needs."""
        queries, texts = self._needed(ops)
        return Vectors(
            {text: self._vector(self._embeddings.embed_query(text)) for text in queries},
            self._vectors(texts, self._embeddings.embed_documents(texts) if texts else []),
        )

    async def aembed(self, ops: Sequence[Op]) -> Vectors:
        """As :meth:`embed`."""
        queries, texts = self._needed(ops)
        return Vectors(
            {text: self._vector(await self._embeddings.aembed_query(text)) for text in queries},
            self._vectors(texts, await self._embeddings.aembed_documents(texts) if texts else []),
        )

    def _needed(self, ops: Sequence[Op]) -> tuple[list[str], list[str]]:
        queries = [op.query for op in ops if isinstance(op, SearchOp) and op.query]
        texts = [text for op in ops if isinstance(op, PutOp) for text in self.texts(op)]
        return list(dict.fromkeys(queries)), list(dict.fromkeys(texts))

    def _vectors(self, texts: Sequence[str], found: Sequence[Sequence[float]]) -> dict[str, Vector[float]]:
        if len(found) != len(texts):
            raise ValueError(f"the embeddings gave {len(found)} vectors for {len(texts)} texts")
        return {text: self._vector(numbers) for text, numbers in zip(texts, found, strict=True)}

    def _vector(self, numbers: Sequence[float]) -> Vector[float]:
        if self._numbers is not None and len(numbers) != self._numbers:
            raise ValueError(f"the embeddings gave a vector of {len(numbers)} numbers, but dims is {self._numbers}")
        length = math.hypot(*numbers) or 1.0
        return array("f", (number / length for number in numbers))


def ranked(
    query: Vector[float], found: Iterable[tuple[Any, Sequence[Vector[float]]]]
) -> list[tuple[Any, float | None]]:
    """The items with their nearness, the nearest first. Items without vectors come last, with None.

    The nearness is the cosine of the angle to the nearest vector of the item: -1 to 1.
    """
    scored = [
        (item, max((sum(map(operator.mul, query, vector)) for vector in vectors), default=None))
        for item, vectors in found
    ]
    return sorted(scored, key=lambda pair: math.inf if pair[1] is None else -pair[1])
