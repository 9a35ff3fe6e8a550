"""Values as outlines with parts that can be folded, like JSON. Large values are shown in part, and say so."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import islice
from typing import Any

from coshelf.viewer.texts import cut, short
from coshelf.viewer.values.arrays import is_array

__all__ = ["Outline", "outline_of"]

_MOST = 2_000  # parts of all levels together
_PARTS = 200  # of one container
_DEEPEST = 24
_TEXT = 20_000  # characters
_OPEN = 3  # levels that are not folded


@dataclass
class Outline:
    """A value, or a part of one.

    Attributes:
        kind: "text", "number", "constant", "bytes", "other", or "container".
        type: the name of its type.
        text: how it is written; of a container, its brackets with the number of parts.
        parts: names and outlines of its first parts.
        left: how many parts are not shown.
        is_open: whether its parts are shown at first.
    """

    kind: str
    type: str
    text: str
    parts: list[tuple[str, Outline]] = field(default_factory=list)
    left: int = 0
    is_open: bool = True


def outline_of(value: Any) -> Outline:
    """The outline of a value.

    >>> found = outline_of({"soups": ["leek", "miso"], "n": 2})
    >>> found.text, [(name, part.text) for name, part in found.parts]
    ('{ 2 }', [("'soups'", '[ 2 ]'), ("'n'", '2')])
    """
    return _Outliner().outline(value, 0)


class _Outliner:
    def __init__(self) -> None:
        self._left = _MOST
        self._around: set[int] = set()  # the containers that a value is in: one may hold itself

    def outline(self, value: Any, depth: int) -> Outline:
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool:
            return Outline("constant", kind.__name__, repr(value))
        if kind in (int, float, complex):
            return Outline("number", kind.__name__, short(value))
        if kind is str:
            return Outline("text", "str", cut(value, _TEXT, keep="\n\t"))
        if kind in (bytes, bytearray, memoryview):
            return Outline("bytes", kind.__name__, f"{short(bytes(value[:60]))}{'…' if len(value) > 60 else ''}")
        if is_array(value):
            return Outline("other", "numpy.ndarray", f"array of {value.dtype}, {' by '.join(map(str, value.shape))}")
        found = _parts_of(value)
        if found is None or id(value) in self._around or depth > _DEEPEST:
            return Outline("other", kind.__qualname__, short(value))
        brackets, count, parts = found
        self._around.add(id(value))
        made = Outline("container", kind.__qualname__, f"{brackets[0]} {count:,} {brackets[1]}", is_open=depth < _OPEN)
        for name, part in islice(parts, _PARTS):
            if self._left <= 0:
                break
            made.parts.append((name, self.outline(part, depth + 1)))
        made.left = count - len(made.parts)
        self._around.discard(id(value))
        return made


def _parts_of(value: Any) -> tuple[str, int, Iterable[tuple[str, Any]]] | None:
    """Brackets, number and names of the parts of a container; None if it is not a container."""
    if isinstance(value, Mapping):
        return "{}", len(value), ((short(name), part) for name, part in value.items())
    if isinstance(value, (list, deque)):
        return "[]", len(value), ((str(at), part) for at, part in enumerate(value))
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None) or range(len(value))
        return "()", len(value), zip(map(str, names), value, strict=False)
    if isinstance(value, (set, frozenset)):
        return "{}", len(value), (("", part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value)]
        return "()", len(names), ((name, getattr(value, name, None)) for name in names)
    return None
