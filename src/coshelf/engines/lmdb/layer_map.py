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
    """Maps each layer to the beginning of its keys. It is found from all links, and a layer's name verifies it.

    Each layer has its last chunk alone: whole beginnings would take the square of the length of a key.
    """

    def __init__(self) -> None:
        self._chunks: dict[bytes, set[bytes]] = {}  # the chunks of the links in each layer
        self._above: dict[
            bytes, tuple[bytes, bytes]
        ] = {}  # of each layer, the layer with its link, and the chunk there
        self.used: set[bytes] = set()

    def add_link(self, row: bytes) -> None:
        """Take a link into account."""
        layer = row[:_NAME] if is_in_layer(row) else b""
        self._chunks.setdefault(layer, set()).add(row[len(layer) : -1])

    def resolve(self) -> None:
        """Follow the links from the first layer on."""
        waiting = [(b"", blake2b(digest_size=_DIGEST))]
        while waiting:
            layer, digest = waiting.pop()
            for chunk in self._chunks.get(layer, ()):
                longer = digest.copy()
                longer.update(chunk)
                name = LAYERS + longer.digest()
                if name not in self._above:
                    self._above[name] = layer, chunk
                    waiting.append((name, longer))

    def leads_to(self, row: bytes) -> bool:
        """Whether a link leads to the layer of a row. Notes that the layer is used."""
        layer = row[:_NAME]
        if layer not in self._above:
            return False
        self.used.add(layer)
        return True

    def key(self, row: bytes) -> bytes | None:
        """The key of a row in a layer; None if no link leads there."""
        return self._beginning(row[:_NAME]) + row[_NAME:] if self.leads_to(row) else None

    def _beginning(self, layer: bytes) -> bytes:
        chunks = []
        while layer:
            layer, chunk = self._above[layer]
            chunks.append(chunk)
        return b"".join(reversed(chunks))

    def unused(self) -> Iterator[bytes]:
        """The beginnings of keys whose links lead to a layer without rows."""
        return (self._beginning(name) for name in self._above if name not in self.used)
