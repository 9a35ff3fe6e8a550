"""The gate: like ``pickle.loads``, but for pickles that any user may have written."""

from __future__ import annotations

import copyreg
import marshal
import pickle
import types
from collections.abc import Callable, Iterable
from typing import Any

from coshelf.errors import UntrustedValue
from coshelf.native import faster
from coshelf.trust.gate.bounds import MOST_LEVELS, survey
from coshelf.trust.gate.data_types import data_type
from coshelf.trust.gate.grammar import (
    has_calls_of_scalars,
    has_flat_tuples,
    is_one_text,
    is_without_tuples,
    number_of_uuid,
    openers,
)
from coshelf.trust.gate.known import Known
from coshelf.trust.gate.quick import Care, asks_for_checked, load_checked, load_small

__all__ = ["Gate"]


# A pickle names something by one of six instructions. Two of them need line breaks; the other bytes are the codes of
# the other four. A pickle that has none of these bytes, at any place, cannot call or change anything.
_NAMING = b"\n\x93\x82\x83\x84"
_SMALL = 1000  # bytes. So small a pickle cannot nest deeper than is allowed
# Hashing takes long if tuples hold earlier tuples several times. The first bytes are the instructions that make tuples;
# the second are those that take an earlier value again. A small pickle with so few of either is hashed quickly.
_TUPLES, _AGAIN = b"t\x85\x86\x87", b"2hjg"
_FEW_TUPLES, _FEW_TIMES = 1, 12


_IS_IN_C = isinstance(pickle.loads, types.BuiltinFunctionType)


_ANY_LEVELS = 1 << 60


def _quick(data: bytes, is_small: bool) -> Any:
    """The value, if the form of the pickle lets the interpreter's own unpickler make it. Raises :class:`Care`."""
    if is_small:
        if not asks_for_checked(data):
            return load_small(data)
        if (number := number_of_uuid(data)) is not None:
            return _uuid(number)
    elif is_without_tuples(data) or has_flat_tuples(data):
        value = pickle.loads(data)
        if openers(data) > MOST_LEVELS:
            _measure(value)
        return value
    levels = MOST_LEVELS - openers(data)
    if levels >= 0 and has_calls_of_scalars(data):
        return load_checked(data, levels)
    raise Care


def _uuid(number: int) -> Any:
    from uuid import UUID

    return UUID(int=number)


def _measure(value: Any) -> None:
    """Raise :class:`Care` if lists and dicts nest so deep that each instruction must be checked.

    ``marshal``, which writes Python's own code files, stops at some 2000 levels. It measures at the speed of C.
    """
    try:
        marshal.dumps(value)
    except ValueError:
        raise Care from None


class Gate:
    """Loads pickles of plain data, and of the classes and functions that are allowed beside it.

    Args:
        allow: classes and functions of the user. Pickles with their instances are checked in full, which takes longer.

    >>> import pickle, datetime
    >>> gate = Gate()
    >>> gate.loads(pickle.dumps({"at": datetime.date(2026, 11, 24)}))
    {'at': datetime.date(2026, 11, 24)}
    >>> gate.loads(pickle.dumps(print))
    Traceback (most recent call last):
    ...
    coshelf.errors.UntrustedValue: builtins.print is not plain data
    """

    def __init__(self, allow: Iterable[Callable[..., Any]] = ()) -> None:
        self._allowed = _allowed(allow)
        self.loads = faster("loads", self._maker())

    def _maker(self) -> Callable[..., Any]:
        # The unpickler in Python, unlike that in C, accepts the end of the data as the end of a line.
        quickest, small, careful = pickle.loads, _SMALL if _IS_IN_C else -1, self._careful
        without, again, tuples, naming = bytes.translate, _AGAIN, _TUPLES, _NAMING

        def loads(data: Any, buffers: Iterable[Any] | None = None) -> Any:
            if type(data) is bytes and buffers is None and (size := len(data)) <= small:
                few = size - len(without(data, None, again)) <= _FEW_TIMES
                if few or size - len(without(data, None, tuples)) <= _FEW_TUPLES:
                    is_unnamed = len(without(data, None, naming)) == size
                    return quickest(data) if is_unnamed else careful(data, None, is_small=True)
            elif type(data) is bytes and buffers is None and small > 0 and is_one_text(data):
                return quickest(data)
            return careful(data, buffers)

        return loads

    def _careful(self, data: Any, buffers: Iterable[Any] | None, is_small: bool = False) -> Any:
        """The value of a pickle that is large, or asks for something by name."""
        data = data if type(data) is bytes else bytes(data)
        # If the program has registered an extension, the unpickler may load it without a call of find_class.
        registered = copyreg._extension_registry  # type: ignore[attr-defined]  # noqa: SLF001
        is_quick = buffers is None and not registered and _IS_IN_C
        if is_quick:
            try:
                return _quick(data, is_small=is_small)
            except Care:
                pass
        if len(data) > _SMALL:
            found = survey(data)
            if is_quick and not found.calls and not found.big:
                try:
                    return load_checked(data, _ANY_LEVELS)
                except Care:
                    pass
        from coshelf.trust.gate.interpreter import Interpreter

        return Interpreter(data, self._name, buffers).run()

    def _name(self, module: str, name: str) -> Known:
        found = self._allowed.get((module, name)) or data_type(module, name)
        if found is None:
            raise UntrustedValue(f"{module}.{name} is not plain data", f"{module}.{name}")
        return found


def _allowed(allow: Iterable[Callable[..., Any]]) -> dict[tuple[str, str], Known]:
    """The allowed classes and functions, by the names under which pickles ask for them."""
    from coshelf.trust.gate.allowed import allowed_name

    named = list(allow)
    for each in named:
        module, name = getattr(each, "__module__", None), getattr(each, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str) or not callable(each):
            raise TypeError(f"allow takes classes and functions, not {each!r}")
    classes = frozenset(each for each in named if isinstance(each, type))
    return {(each.__module__, each.__qualname__): allowed_name(each, classes) for each in named}
