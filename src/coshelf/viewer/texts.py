"""Values as short texts for a page, without characters that would move, hide or reverse others."""

from __future__ import annotations

import reprlib
import sys
from collections import UserList
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import SimpleNamespace
from typing import Any

from coshelf.screen import plain

__all__ = ["cut", "short"]

_LENGTH = 120

_SMALL = 60  # elements of an array


class _Short(reprlib.Repr):
    """Writes the first parts of a value.

    reprlib sorts all keys of a dict before it takes the first ones, and writes types that it does not know in full. A
    small pickle can hold a large dict in thousands of places, and in an OrderedDict one list in 2**64.
    """

    def repr_dict(self, x: Any, level: int) -> str:
        return self._braces(map(self._pair(level), islice(x.items(), self.maxdict)), len(x) > self.maxdict, level)

    def repr_set(self, x: Any, level: int) -> str:
        return self._members(x, level) if x else "set()"

    def repr_frozenset(self, x: Any, level: int) -> str:
        return f"frozenset({self._members(x, level) if x else ''})"

    def repr_bytes(self, x: Any, level: int) -> str:
        return f"{bytes(x[: self.maxstring])!r}{'...' if len(x) > self.maxstring else ''}"

    def repr_bytearray(self, x: Any, level: int) -> str:
        return f"bytearray({self.repr_bytes(x, level)})"

    def repr_instance(self, x: Any, level: int) -> str:
        """Types that have other values in them, and all types that have no method here."""
        name = type(x).__name__
        if isinstance(x, Mapping):
            return f"{name}({self.repr_dict(x, level)})"
        if isinstance(x, tuple):
            return f"{name}{self.repr_tuple(x, level)}"
        if isinstance(x, (list, UserList)):
            return f"{name}({self.repr_list(list(islice(x, self.maxlist + 1)), level)})"
        if isinstance(x, slice):
            return f"slice{self.repr_tuple((x.start, x.stop, x.step), level)}"
        if isinstance(x, SimpleNamespace):
            return f"namespace({self.repr_dict(vars(x), level)})"
        if isinstance(x, BaseException):
            return f"{name}{self.repr_tuple(x.args, level)}"
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(x, numpy.ndarray) and (x.dtype.hasobject or x.size > _SMALL):
            return f"<array of {str(x.dtype)[:_LENGTH]}, {' by '.join(map(str, x.shape))}>"
        return super().repr_instance(x, level)

    def _pair(self, level: int) -> Callable[[tuple[Any, Any]], str]:
        return lambda pair: f"{self.repr1(pair[0], level - 1)}: {self.repr1(pair[1], level - 1)}"

    def _members(self, x: Any, level: int) -> str:
        return self._braces(
            (self.repr1(each, level - 1) for each in islice(x, self.maxset)), len(x) > self.maxset, level
        )

    @staticmethod
    def _braces(parts: Iterable[str], has_more: bool, level: int) -> str:
        shown = ["..."] if level <= 0 else [*parts, *(["..."] if has_more else [])]
        return f"{{{', '.join(shown)}}}"


_short = _Short()
_short.maxstring = _short.maxother = _LENGTH
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = _short.maxfrozenset = _short.maxdeque = 6
_short.maxlong = 80
_short.maxlevel = 4


def cut(text: str, most: int = _LENGTH, *, keep: str = "") -> str:
    """A text of at most so many characters.

    >>> cut("a" * 9, 6), cut("b\\u202ec")
    ('aaaaa…', 'b\\\\u202ec')
    """
    return plain(text if len(text) <= most else f"{text[: most - 1]}…", keep=keep)


def short(value: Any, *, quoted: bool = True) -> str:
    """A value in one short line.

    >>> short([1] * 99), short("a"), short("a", quoted=False)
    ('[1, 1, 1, 1, 1, 1, ...]', "'a'", 'a')
    """
    if isinstance(value, str) and not quoted:
        return cut(value)
    try:
        return cut(_short.repr(value))
    except Exception as error:  # an int of too many digits, or a class with a repr of its own
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
