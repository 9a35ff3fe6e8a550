"""Unpickling with a look at each instruction that could change a class or function instead of an instance.

Python's own unpickler in Python: some thirty times slower than the one in C, for values whose classes call for it.
"""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, ClassVar

from coshelf.errors import UntrustedValue
from coshelf.gate.data_types import Guarded, current_name, data_type, in_python, reconstructor

__all__ = ["CarefulUnpickler"]

_NOT_TO_BE_CHANGED = (
    *(type, Guarded, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
)


class CarefulUnpickler(pickle._Unpickler):
    """Loads data, numpy's included, and instances of allowed classes."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def __init__(
        self,
        file: BinaryIO,
        allowed: Mapping[tuple[str, str], Callable[..., Any]],
        buffers: Iterable[Any] | None = None,
    ) -> None:
        super().__init__(file, buffers=buffers)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if current_name(module, name) == ("copyreg", "_reconstructor"):
            return Guarded(self._reconstruct)
        found = self._allowed.get((module, name)) or data_type(module, name) or in_python(module, name)
        if found is None and module.startswith("numpy"):
            from coshelf.gate.numpy_data import numpy_type

            found = numpy_type(module, name)
        if found is None:
            raise UntrustedValue(f"{module}.{name} is no plain data", f"{module}.{name}")
        return found

    def _reconstruct(self, made: Any, base: Any, state: Any) -> Any:
        """As ``copyreg._reconstructor``, how protocols 0 and 1 make an instance without calling its class."""
        name = getattr(made, "__module__", ""), getattr(made, "__name__", "")
        if made not in self._allowed.values() and in_python(*name) is not made:
            return reconstructor(made, base, state)
        if base is object:
            return object.__new__(made)
        if not isinstance(base, type) or not issubclass(made, base):
            raise UntrustedValue(f"a pickle of data does not make {made!r} of {base!r}", repr(made))
        instance = base.__new__(made, state)
        base.__init__(instance, state)  # type: ignore[misc]
        return instance

    def get_extension(self, code: int) -> None:
        raise UntrustedValue(f"extension {code} of copyreg is no plain data", f"extension {code}")

    def load_build(self) -> None:
        state, made = self.stack[-1], self.stack[-2]
        if isinstance(made, _NOT_TO_BE_CHANGED):
            raise UntrustedValue(f"a pickle of data does not change {made!r}", repr(made))
        if type(made).__module__.startswith("numpy"):
            from coshelf.gate.numpy_data import checked_state

            self.stack[-1] = checked_state(made, state)
        super().load_build()  # type: ignore[misc]

    dispatch[pickle.BUILD[0]] = load_build
