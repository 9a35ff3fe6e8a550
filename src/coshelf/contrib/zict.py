"""A mapping of zict in a shelf, for the slow side of a buffer.

>>> import zict
>>> slow = CoshelfMapping("memory:")
>>> buffer = zict.Buffer({}, slow, n=2)
>>> buffer.update({"a": b"1", "b": b"2", "c": b"3"})
>>> sorted(buffer), dict(slow)
(['a', 'b', 'c'], {'a': b'1'})
>>> buffer.close()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from zict.common import ZictBase

from coshelf.contrib.parts import Part, Target
from coshelf.contrib.stored_bytes import as_value, view_of
from coshelf.errors import InvalidKey

__all__ = ["CoshelfMapping"]

Bytes = bytes | bytearray | memoryview


class CoshelfMapping(ZictBase[Any, Any]):
    """A mapping of bytes in a part of a shelf. Threads and processes may share it.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf.
        memmap: whether values of 1 MiB or more come back in place, as a read-only memoryview over memory that all
            processes share. As ``memmap`` of ``zict.File``. Otherwise all values come back as bytes.
        options: further arguments of :func:`coshelf.open`. ``flag="n"``: empty the shelf at the first use.

    Raises:
        TypeError: a value is not bytes, a bytearray, a memoryview, or a list or tuple of these, which are joined.
        ShelfNotFound, NotAShelf, ...: at the first use, what :func:`coshelf.open` raises.

    Keys are str, or what else can be a key of a shelf. They are in order. ``update`` is one commit.
    """

    def __init__(self, target: Target, part: str = "zict", *, memmap: bool = False, **options: Any) -> None:
        super().__init__()
        self.memmap: Final = memmap
        self._part: Final = Part(target, part, **options)

    def __getitem__(self, key: Any) -> bytes | memoryview:
        try:
            value = self._part.shelf[key]
        except InvalidKey:
            raise KeyError(key) from None
        return value if self.memmap and isinstance(value, memoryview) else bytes(view_of(key, value))

    def __setitem__(self, key: Any, value: Bytes | list[Bytes] | tuple[Bytes, ...]) -> None:
        self._part.shelf[key] = _stored(value)

    def __delitem__(self, key: Any) -> None:
        try:
            del self._part.shelf[key]
        except InvalidKey:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        return key in self._part.shelf

    def __iter__(self) -> Iterator[Any]:
        return iter(self._part.shelf)

    def __len__(self) -> int:
        return len(self._part.shelf)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._part.name!r} of {self._part.where!r}>"

    def clear(self) -> None:
        """Remove everything, in one commit."""
        self._part.shelf.clear()

    def _do_update(self, items: Iterable[tuple[Any, Any]]) -> None:
        self._part.shelf.update([(key, _stored(value)) for key, value in items])

    def close(self) -> None:
        """Close the shelf, if the mapping opened it."""
        if "_part" in self.__dict__:  # zict calls this for each mapping that is collected, made or not
            self._part.close()


def _stored(value: Any) -> bytes | memoryview:
    if isinstance(value, (list, tuple)):
        value = b"".join(value)
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"a value is bytes, or a list of bytes, and not of type {type(value).__name__}")
    return as_value(value)
