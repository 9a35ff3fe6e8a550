"""What a name in a pickle stands for, and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from coshelf.errors import UntrustedValue

if TYPE_CHECKING:
    from coshelf.trust.gate.interpreter import Interpreter

__all__ = ["Known", "Unfinished", "refused"]


def refused(what: str, name: str = "") -> UntrustedValue:
    return UntrustedValue(f"{what} is no plain data", name or what)


class Known:
    """A name of plain data.

    Attributes:
        value: what stands on the stack for it: a class whose name is data itself, or this object, which can do nothing.
        begins: whether an instance of it is made without calling it.
        owner: how its instances are filled and changed; only for what the user allows.
    """

    __slots__ = ("_make", "_new", "begins", "label", "owner", "value")

    def __init__(
        self,
        label: str,
        value: Any = None,
        make: Callable[[Interpreter, tuple[Any, ...]], Any] | None = None,
        new: Callable[[Interpreter, tuple[Any, ...], dict[str, Any]], Any] | None = None,
        owner: Any = None,
    ) -> None:
        self.label = label
        self.value = self if value is None else value
        self.owner = owner
        self.begins = new is not None
        self._make = make
        self._new = new

    def make(self, machine: Interpreter, arguments: tuple[Any, ...]) -> Any:
        """What calling it gives."""
        if self._make is None:
            raise refused(f"a call of {self.label}", self.label)
        return self._make(machine, arguments)

    def new(self, machine: Interpreter, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """An instance without a call."""
        if self._new is None:
            raise refused(f"an instance of {self.label} made without calling it", self.label)
        return self._new(machine, arguments, named)

    def __repr__(self) -> str:
        return f"<the name {self.label}>"


class Unfinished:
    """Stands on the stack for an object whose state is still to come."""

    __slots__ = ("arguments", "finish", "made")

    def __init__(self, finish: Callable[[Interpreter, Any, Any], Any], arguments: Any) -> None:
        self.finish = finish
        self.arguments = arguments
        self.made: Any = None
