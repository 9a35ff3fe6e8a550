"""Classes and functions of the user, which a pickle may name beside plain data.

A pickle can change only instances that it made itself, and only in the ways in which Python's unpickler does.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable
from typing import Any

from coshelf.trust.gate.known import Known, Machine, refused

__all__ = ["Allowed", "allowed_name"]

_METHODS = (types.FunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)


class Allowed:
    """How instances of an allowed class, or what an allowed function makes, may be changed.

    Args:
        named: the class or function.
        classes: all classes that are allowed.
    """

    def __init__(self, named: Callable[..., Any], classes: frozenset[type]) -> None:
        self._named = named
        self._classes = classes

    def owns(self, made: Any) -> bool:
        """Whether this call made an instance of an allowed class.

        Members of enumerations belong to the program. So do objects from a cache, and all else that a function returns.
        """
        kind = type(made)
        if kind not in self._classes or isinstance(made, (enum.Enum, type)):
            return False
        return kind is self._named or isinstance(self._named, (types.FunctionType, type))

    def build(self, machine: Machine, target: Any, state: Any) -> None:
        """Do what BUILD does in Python's unpickler."""
        own = _found(type(target), "__setstate__")
        if own is not None:
            own(target, state)
            return
        state, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
        for part in (state, slots):
            if part is not None and (type(part) is not dict or any(map(_is_special, part))):
                raise refused(f"a state of {type(target).__qualname__} with special names")
        if state:
            target.__dict__.update(state)
        for name, value in (slots or {}).items():
            setattr(target, name, value)

    def extend(self, target: Any, items: list[Any]) -> None:
        append = _method(type(target), "append")
        for item in items:
            append(target, item)

    def set_item(self, target: Any, key: Any, value: Any) -> None:
        _method(type(target), "__setitem__")(target, key, value)

    def add(self, target: Any, items: list[Any]) -> None:
        add = _method(type(target), "add")
        for item in items:
            add(target, item)


def _is_special(name: Any) -> bool:
    return type(name) is not str or (name.startswith("__") and name.endswith("__"))


def _found(kind: type, name: str) -> Callable[..., Any] | None:
    """A method of instances by its name; None for a class method or any other callable."""
    for each in kind.__mro__:
        if name in vars(each):
            found = vars(each)[name]
            return found if isinstance(found, _METHODS) else None
    return None


def _method(kind: type, name: str) -> Callable[..., Any]:
    found = _found(kind, name)
    if found is None:
        raise refused(f"an object of {kind!r} that a pickle fills and that has no method {name}")
    return found


def allowed_name(named: Callable[..., Any], classes: frozenset[type]) -> Known:
    """What an allowed class or function is to a pickle."""
    label = f"{named.__module__}.{named.__qualname__}"
    owner = Allowed(named, classes)

    def make(machine: Machine, arguments: tuple[Any, ...]) -> Any:
        machine.hashable(arguments)
        return named(*arguments)

    def new(_machine: Machine, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if not isinstance(named, type):
            raise refused(f"an instance of {label}")
        return named.__new__(named, *arguments, **keywords)

    return Known(label, named, make, new, owner=owner)
