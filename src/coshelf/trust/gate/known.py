"""What a name in a pickle stands for, and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from coshelf.errors import UntrustedValue

__all__ = ["Known", "Machine", "Unfinished", "refused"]


def refused(what: str, name: str = "") -> UntrustedValue:
    return UntrustedValue(f"{what} is not plain data", name or what)


class Machine(Protocol):
    """The part of the interpreter that instructions, constructors and states use.

    Attributes:
        data: the pickle.
        stack: what the next instructions work on, since the last mark.
        below: the stacks below the marks.
        memo: what the pickle has noted, by number.
    """

    data: bytes
    stack: list[Any]
    below: list[list[Any]]
    memo: dict[int, Any]

    def spend(self, parts: int) -> None: ...
    def hashable(self, keys: Iterable[Any]) -> None: ...
    def known(self, named: Any) -> Known | None: ...
    def begin(self, finish: Callable[[Machine, Any, Any], Any], arguments: Any) -> Unfinished: ...
    def find(self, module: Any, name: Any) -> None: ...
    def call(self, called: Any, arguments: Any) -> Any: ...
    def new(self, called: Any, arguments: Any, named: dict[str, Any]) -> Any: ...
    def noted(self, made: Any, known: Known) -> Any: ...
    def build(self, target: Any, state: Any) -> Any: ...
    def marked(self) -> list[Any]: ...
    def give(self, index: int) -> None: ...
    def fill(self, target: Any, items: list[Any]) -> None: ...
    def set_items(self, target: Any, items: list[Any]) -> None: ...
    def add(self, target: Any, items: list[Any]) -> None: ...
    def next_buffer(self) -> Any: ...
    def line(self, at: int) -> tuple[bytes, int]: ...
    def counted(self, at: int, width: int) -> tuple[bytes, int]: ...


class Known:
    """A name of plain data.

    Attributes:
        value: what stands for it on the stack: a class that may be a value itself, or this object, which does nothing.
        begins: whether an instance of it can be made without calling it.
        owner: how its instances are filled and changed; only for what the user allows.
    """

    __slots__ = ("_make", "_new", "begins", "label", "owner", "value")

    def __init__(
        self,
        label: str,
        value: Any = None,
        make: Callable[[Machine, tuple[Any, ...]], Any] | None = None,
        new: Callable[[Machine, tuple[Any, ...], dict[str, Any]], Any] | None = None,
        owner: Any = None,
    ) -> None:
        self.label = label
        self.value = self if value is None else value
        self.owner = owner
        self.begins = new is not None
        self._make = make
        self._new = new

    def make(self, machine: Machine, arguments: tuple[Any, ...]) -> Any:
        """The result of calling it."""
        if self._make is None:
            raise refused(f"a call of {self.label}", self.label)
        return self._make(machine, arguments)

    def new(self, machine: Machine, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """An instance, made without calling it."""
        if self._new is None:
            raise refused(f"an instance of {self.label} made without calling it", self.label)
        return self._new(machine, arguments, named)

    def __repr__(self) -> str:
        return f"<the name {self.label}>"


class Unfinished:
    """Stands on the stack for an object whose state is still to come."""

    __slots__ = ("arguments", "finish", "made")

    def __init__(self, finish: Callable[[Machine, Any, Any], Any], arguments: Any) -> None:
        self.finish = finish
        self.arguments = arguments
        self.made: Any = None
