"""What BUILD may give to an object of plain data that the pickle made, once."""

from __future__ import annotations

import builtins
import types
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, UserString, defaultdict
from collections.abc import Callable
from typing import Any

from coshelf.trust.gate.known import Machine, refused

__all__ = ["STATES", "user_string_of", "uuid_of"]

_MAPPINGS = (dict, OrderedDict, defaultdict, Counter, ChainMap, UserDict)
_OF_ERRORS = frozenset(("name", "path", "name_from", "obj"))  # attributes that some exceptions keep in C


def is_private(name: Any) -> bool:
    """Whether the name is special: Python or a library may look for it by itself, as numpy does for its interface."""
    return type(name) is not str or name.startswith("__")


def _attributes(target: Any, state: Any) -> dict[str, Any]:
    if state is None:
        return {}
    if type(state) is not dict or any(map(is_private, state)):
        raise refused(f"attributes of {type(target).__name__} with names that are not for data")
    return state


def _namespace(_machine: Machine, target: types.SimpleNamespace, state: Any) -> None:
    target.__dict__.update(_attributes(target, state))


def _exception(_machine: Machine, target: BaseException, state: Any) -> None:
    left = dict(state) if type(state) is dict else state
    notes = left.pop("__notes__", None) if left else None
    if notes is not None:
        if type(notes) is not list or not all(type(note) is str for note in notes):
            raise refused(f"notes of {type(target).__name__} that are not a list of text")
        target.__dict__["__notes__"] = notes
    for name, value in _attributes(target, left).items():
        if name in _OF_ERRORS and isinstance(target, (ImportError, AttributeError, NameError)):
            setattr(target, name, value)
        elif name == "args" and type(value) is tuple:
            target.args = value
        else:
            target.__dict__[name] = value


def _only_part(target: str, state: Any, name: str, *kinds: type) -> Any:
    """The one part of a state."""
    if type(state) is not dict or set(state) != {name} or type(state[name]) not in kinds:
        raise refused(f"a {target} with a strange state")
    return state[name]


def _user_dict(_machine: Machine, target: UserDict[Any, Any], state: Any) -> None:
    target.data = _only_part("UserDict", state, "data", *_MAPPINGS[:4])


def _user_list(_machine: Machine, target: UserList[Any], state: Any) -> None:
    target.data = _only_part("UserList", state, "data", list)


def _chain(_machine: Machine, target: ChainMap[Any, Any], state: Any) -> None:
    maps = _only_part("ChainMap", state, "maps", list)
    if not maps or not all(type(each) in _MAPPINGS for each in maps):
        raise refused("a ChainMap of something else than mappings")
    target.maps = maps


def user_string_of(_machine: Machine, _arguments: Any, state: Any) -> UserString:
    """The UserString of a state."""
    return UserString(_only_part("UserString", state, "data", str))


def uuid_of(_machine: Machine, _arguments: Any, state: Any) -> Any:
    """The UUID of a state."""
    from uuid import UUID, SafeUUID

    if type(state) is not dict or not {"int"} <= set(state) <= {"int", "is_safe"}:
        raise refused("a UUID with a strange state")
    number, safe = state["int"], state.get("is_safe")
    if type(number) is not int or not 0 <= number < 1 << 128 or type(safe) not in (int, type(None), SafeUUID):
        raise refused("a UUID with a strange state")
    if type(safe) is int and safe not in (0, -1):
        raise refused("a UUID with a strange state")
    return UUID(int=number, is_safe=SafeUUID(safe))


STATES: dict[type, Callable[[Machine, Any, Any], None]] = {
    types.SimpleNamespace: _namespace,
    UserDict: _user_dict,
    UserList: _user_list,
    ChainMap: _chain,
    **{
        each: _exception
        for each in vars(builtins).values()
        if isinstance(each, type) and issubclass(each, BaseException)
    },
}
