"""Which pickles a disk loads and writes: those that the cache's shelf would. docs/trust.md."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Protocol, cast

from coshelf.dropin.diskcache.disk import Disk
from coshelf.errors import UntrustedValue, UnwritableValue
from coshelf.values.codec import Codec
from coshelf.values.pickles import Pickles

__all__ = ["load_as"]


class _Pickling(Protocol):
    pickles: Pickles


def load_as(disk: Disk, codec: Codec, where: str) -> None:
    """Have a disk load what the codec of a shelf loads, and refuse to write what it would not load again.

    Args:
        disk: the disk of the cache.
        codec: the codec of the cache's shelf.
        where: the path of the shelf, for messages.
    """
    pickles = cast("_Pickling", codec).pickles
    if pickles.are_trusted:
        disk._load_pickle = pickles.unpickle
        return

    def load(payload: bytes) -> Any:
        return pickles.loads_part(payload, where)

    def dump(value: Any, protocol: int) -> bytes:
        payload = pickle.dumps(value, protocol)
        if pickles.refuses_objects:
            _refuse(value, payload, load)
        return payload

    disk._load_pickle, disk._dump_pickle = load, dump


def _refuse(value: Any, payload: bytes, load: Callable[[bytes], Any]) -> None:
    try:
        load(payload)
    except UntrustedValue as error:
        raise UnwritableValue(
            f"a value of type {type(value).__name__} is not stored, since it would not be read again: {error}"
        ) from None
