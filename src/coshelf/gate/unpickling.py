"""The gate: as ``pickle.loads``, for whoever wrote the pickle."""

from __future__ import annotations

import copyreg
import io
import pickle
import types
from collections.abc import Callable, Iterable
from typing import Any

from coshelf.errors import UntrustedValue
from coshelf.gate.data_types import data_type, needs_care

__all__ = ["Gate"]


# A pickle names something by one of six instructions: two are followed by lines, and these are the bytes of the others.
# Without any of them in it, wherever they may stand, there is nothing that it could call or change.
_NAMING = b"\n\x93\x82\x83\x84"
_SMALL = 4096  # bytes, for which looking costs less than the gate does (a tenth of a microsecond in a hundred bytes)


class _Care(Exception):
    """A name was met for which each instruction is to be looked at."""


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
        self._allowed = {_name(each): each for each in allow}
        self.loads = self._maker()

    def _maker(self) -> Callable[..., Any]:
        allowed = self._allowed

        class Quick(pickle.Unpickler):
            """The interpreter's own, asked for each name."""

            def find_class(self, module: str, name: str) -> Any:
                if (module, name) in allowed or needs_care(module, name):
                    raise _Care
                found = data_type(module, name)
                if found is None:
                    raise UntrustedValue(f"{module}.{name} is no plain data", f"{module}.{name}")
                return found

        # Python's own unpickler, unlike that in C, takes the end for the end of a line.
        quickest, small = pickle.loads, _SMALL if isinstance(pickle.loads, types.BuiltinFunctionType) else -1
        file, extensions = io.BytesIO, copyreg._extension_registry  # type: ignore[attr-defined]

        def loads(data: Any, buffers: Iterable[Any] | None = None) -> Any:
            if buffers is not None:
                buffers = list(buffers)  # for a second attempt
            elif type(data) is bytes and len(data) <= small and len(data.translate(None, _NAMING)) == len(data):
                return quickest(data)
            # What the program has registered as an extension is unpickled without being asked for by name.
            if not extensions:
                try:
                    return Quick(file(data), buffers=buffers).load()
                except _Care:
                    pass
            from coshelf.gate.careful import CarefulUnpickler

            return CarefulUnpickler(file(data), allowed, buffers).load()

        return loads


def _name(allowed: Callable[..., Any]) -> tuple[str, str]:
    """The name under which a pickle asks for a class or function."""
    module, name = getattr(allowed, "__module__", None), getattr(allowed, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or not callable(allowed):
        raise TypeError(f"allow takes classes and functions, not {allowed!r}")
    return module, name
