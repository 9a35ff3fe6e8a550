"""Python values as pickles, and back, in any protocol of pickle."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from coshelf.errors import CoshelfError, UntrustedValue, UnwritableValue
from coshelf.keys import shown
from coshelf.native import faster
from coshelf.values import buffers
from coshelf.values.failures import told, unreadable, unwritable

__all__ = ["LOADS", "PROTOCOL", "Pickles"]

PROTOCOL = 5
"""The protocol that a shelf writes by default: the first with out-of-band buffers."""

LOADS = faster("loads", pickle.loads)
"""``pickle.loads``; the module in C, if there is one, loads plain data."""

# From this protocol on, a pickle names classes and functions only by this instruction.
_NAMES_BY_ONE_INSTRUCTION, _STACK_GLOBAL = 4, b"\x93"


class Pickles:
    """Pickles values, and loads pickles.

    Args:
        protocol: for writing; every protocol is read.
        unpickle: ``pickle.loads``, or the gate's function if pickles are not trusted.
        ways_on: what the user can do. It follows the message of an :class:`UntrustedValue`.
        refuses_objects: whether a value is refused if ``unpickle`` would refuse its pickle.

    Attributes:
        ways_on_by_command: as ``ways_on``, for a front door that opens the shelf without options of trust.
    """

    def __init__(
        self,
        protocol: int | None = None,
        unpickle: Callable[..., Any] = LOADS,
        *,
        ways_on: str = "",
        refuses_objects: bool = False,
    ) -> None:
        if protocol is not None and not isinstance(protocol, int):
            raise TypeError(f"a pickle protocol is an int, not {type(protocol).__name__}")
        if protocol is not None and not -1 <= protocol <= pickle.HIGHEST_PROTOCOL:
            raise ValueError(f"pickle protocol {protocol} is not between 0 and {pickle.HIGHEST_PROTOCOL}")
        self.protocol = pickle.DEFAULT_PROTOCOL if protocol is None else protocol
        self.unpickle = unpickle
        self.refuses_objects = refuses_objects
        self._ways_on = self.ways_on_by_command = ways_on

    def dumps(self, key: Any, value: Any) -> bytes:
        """The pickle of a value, with all buffers. Raises :class:`UnwritableValue` for any exception of pickling."""
        try:
            payload = buffers.dumps(value, self.protocol)
        except Exception as error:
            raise unwritable(key, value, error) from error
        if self.refuses_objects:
            self.refuse_object(key, payload)
        return payload

    def refuse_object(self, key: Any, payload: bytes, large: Iterable[Any] = ()) -> None:
        """Raise :class:`UnwritableValue` for a pickle that ``unpickle`` would refuse to load again."""
        if self.protocol >= _NAMES_BY_ONE_INSTRUCTION and _STACK_GLOBAL not in payload:
            return
        try:
            self.unpickle(payload, buffers=large)
        except UntrustedValue as error:
            raise UnwritableValue(
                f"the value for key {shown(key)} is not stored, since it would not be read again: "
                f"{told(error)}{self._ways_on}",
                (key,),
            ) from None

    def loads(self, key: Any, payload: bytes | memoryview, large: Iterable[Any] | None = None) -> Any:
        """The value of a pickle, and of its large buffers if they lie beside it.

        Raises :class:`UnreadableValue` and :class:`UntrustedValue`.
        """
        try:
            return self.unpickle(payload) if large is None else self.unpickle(payload, buffers=large)
        except Exception as error:
            self.refuse(key, error)

    @property
    def are_trusted(self) -> bool:
        """Whether any object is loaded."""
        return self.unpickle is LOADS

    def loads_part(self, payload: bytes, where: str) -> Any:
        """The object of a pickle that is a part of a value or key, for a front door. ``where`` names the shelf.

        Raises :class:`UntrustedValue`, and any exception of unpickling.
        """
        try:
            return self.unpickle(payload)
        except UntrustedValue as error:
            raise UntrustedValue(f"a pickle in {where}: {told(error)}{self.ways_on_by_command}", error.name) from None

    def refuse(self, key: Any, error: Exception) -> NoReturn:
        """Raise the error of coshelf for an error of ``unpickle``. Only this method translates these errors."""
        if isinstance(error, UntrustedValue):
            raise UntrustedValue(
                f"the value for key {shown(key)}: {told(error)}{self._ways_on}", error.name, key
            ) from None
        if isinstance(error, CoshelfError):
            raise error
        raise unreadable(key, error) from error
