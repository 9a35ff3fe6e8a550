"""Finds the long keys in a walk over all rows. Such a walk meets layers in the order of rows, not of keys."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from coshelf.engines.lmdb.long_keys import CHUNK, LAYERS

__all__ = ["LayerMap", "is_in_layer", "is_link"]

_DIGEST = 16
_NAME = 1 + _DIGEST  # bytes that name the layer, before each of its rows


def is_in_layer(row: bytes) -> bool:
    """Whether a row belongs to a layer other than the first."""
    return row.startswith(LAYERS)


def is_link(row: bytes) -> bool:
    """Whether a row is a link to a layer: it has a whole chunk and one more byte."""
    return len(row) == CHUNK + 1 + (_NAME if is_in_layer(row) else 0)


class LayerMap:
    """Maps each layer to the beginning of its keys. It is found from all links, and a layer's name verifies it."""

    def __init__(self) -> None:
        self._chunks: dict[bytes, set[bytes]] = {}  # the chunks of the links in each layer
        self._beginnings: dict[bytes, bytes] = {}
        self.used: set[bytes] = set()

    def add_link(self, row: bytes) -> None:
        """Take a link into account."""
        layer = row[:_NAME] if is_in_layer(row) else b""
        self._chunks.setdefault(layer, set()).add(row[len(layer) : -1])

    def resolve(self) -> None:
        """Follow the links from the first layer on."""
        waiting = [(b"", b"")]
        while waiting:
            layer, beginning = waiting.pop()
            for chunk in self._chunks.get(layer, ()):
                whole = beginning + chunk
                name = LAYERS + blake2b(whole, digest_size=_DIGEST).digest()
                if name not in self._beginnings:
                    self._beginnings[name] = whole
                    waiting.append((name, whole))

    def key(self, row: bytes) -> bytes | None:
        """The key of a row in a layer; None if no link leads there."""
        layer = row[:_NAME]
        beginning = self._beginnings.get(layer)
        if beginning is None:
            return None
        self.used.add(layer)
        return beginning + row[_NAME:]

    def unused(self) -> Iterator[bytes]:
        """The beginnings of keys whose links lead to a layer without rows."""
        return (beginning for name, beginning in self._beginnings.items() if name not in self.used)
