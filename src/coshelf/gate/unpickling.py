"""The gate: as ``pickle.loads``, for whoever wrote the pickle."""

from __future__ import annotations

import copyreg
import io
import pickle
import types
from collections.abc import Callable, Iterable
from typing import Any

from coshelf.errors import UntrustedValue
from coshelf.gate.bounds import survey
from coshelf.gate.data_types import data_type, inert_class
from coshelf.gate.known import Known

__all__ = ["Gate"]


# A pickle names something by one of six instructions: two are followed by lines, and these are the bytes of the others.
# Without any of them in it, wherever they may stand, there is nothing that it could call or change.
_NAMING = b"\n\x93\x82\x83\x84"
_SMALL = 1000  # bytes, in which nothing can nest deeper than is allowed
# Hashing takes longer than unpickling where tuples hold others that were there before. These are the bytes of what makes
# tuples, and of what takes something once more: with one tuple, or so few times, it cannot take long in so few bytes.
_TUPLES, _AGAIN = b"t\x85\x86\x87", b"2hjg"
_FEW_TUPLES, _FEW_TIMES = 1, 12


class _Care(Exception):
    """A name was met for which each instruction is to be looked at."""


class _Quick(pickle.Unpickler):
    """The interpreter's own, for classes that nothing can change, and whose instances nothing can."""

    def find_class(self, module: str, name: str) -> Any:
        found = inert_class(module, name)
        if found is None:
            raise _Care
        return found


class Gate:
    """Loads pickles of plain data, and of the classes and functions that are allowed beside it.

    Args:
        allow: classes and functions of the user. Their instances are made with care, which takes longer.

    >>> import pickle, datetime
    >>> gate = Gate()
    >>> gate.loads(pickle.dumps({"at": datetime.date(2026, 11, 24)}))
    {'at': datetime.date(2026, 11, 24)}
    >>> gate.loads(pickle.dumps(print))
    Traceback (most recent call last):
    ...
    coshelf.errors.UntrustedValue: builtins.print is no plain data
    """

    def __init__(self, allow: Iterable[Callable[..., Any]] = ()) -> None:
        self._allowed = _allowed(allow)
        self.loads = self._maker()

    def _maker(self) -> Callable[..., Any]:
        # Python's own unpickler, unlike that in C, takes the end for the end of a line.
        quickest, small = pickle.loads, _SMALL if isinstance(pickle.loads, types.BuiltinFunctionType) else -1
        careful = self._careful

        def loads(data: Any, buffers: Iterable[Any] | None = None) -> Any:
            if buffers is None and type(data) is bytes and len(data) <= small:
                size = len(data)
                if (
                    size - len(data.translate(None, _AGAIN)) <= _FEW_TIMES
                    or size - len(data.translate(None, _TUPLES)) <= _FEW_TUPLES
                ):
                    if len(data.translate(None, _NAMING)) == size:
                        return quickest(data)
                    return careful(data, None, is_small=True)
            return careful(data, buffers)

        return loads

    def _careful(self, data: Any, buffers: Iterable[Any] | None, is_small: bool = False) -> Any:
        """The value of a pickle that is large, or asks for something by name."""
        # What the program has registered as an extension is unpickled without being asked for by name.
        is_quick = not copyreg._extension_registry and pickle.Unpickler is not pickle._Unpickler  # type: ignore[attr-defined]
        if is_small and is_quick:
            try:
                return _Quick(io.BytesIO(data)).load()
            except _Care:
                pass
        data = data if type(data) is bytes else bytes(data)
        found = survey(data)
        if is_quick and buffers is None and not found.calls and not found.big:
            try:
                return _Quick(io.BytesIO(data)).load()
            except _Care:
                pass
        from coshelf.gate.interpreter import Interpreter

        return Interpreter(data, self._name, buffers).run()

    def _name(self, module: str, name: str) -> Known:
        found = self._allowed.get((module, name)) or data_type(module, name)
        if found is None:
            raise UntrustedValue(f"{module}.{name} is no plain data", f"{module}.{name}")
        return found


def _allowed(allow: Iterable[Callable[..., Any]]) -> dict[tuple[str, str], Known]:
    """What is allowed, by the names under which pickles ask for it."""
    from coshelf.gate.allowed import allowed_name

    named = list(allow)
    for each in named:
        module, name = getattr(each, "__module__", None), getattr(each, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str) or not callable(each):
            raise TypeError(f"allow takes classes and functions, not {each!r}")
    classes = frozenset(each for each in named if isinstance(each, type))
    return {(each.__module__, each.__qualname__): allowed_name(each, classes) for each in named}
