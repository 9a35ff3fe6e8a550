"""Python's own unpickler, used by the gate for classes that nothing can change, and for calls that it checks.

It gets pickles whose form was checked before (:mod:`coshelf.trust.gate.grammar` and ``bounds``). They have no BUILD
and no NEWOBJ, except those of a UUID right beside its number. So a pickle can call the functions that stand for
classes, but can do nothing else with them.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

from coshelf.trust.gate.constructors import CONSTRUCTORS
from coshelf.trust.gate.data_types import current_name, inert_class

__all__ = ["Care", "asks_for_checked", "load_checked", "load_small"]

_FEWEST_PARTS, _PARTS_PER_BYTE = 1_000_000, 16  # that constructors may copy in one pickle, as in the interpreter
_LONGEST = 100  # characters of a number; Python computes its hash anew each time
_LONGEST_PATH = 4000
_MOST_TEXT = 20_000_000  # characters that all calls together may go through
_LEAVES: dict[tuple[str, str], tuple[int, int, int, type | None]] = {
    **{("pathlib", name): (_LONGEST_PATH, 0, 1000, str) for name in ("PosixPath", "PurePosixPath", "PureWindowsPath")},
    **{
        ("ipaddress", f"IPv{version}{kind}"): (_LONGEST, 1, 1, None)
        for version in (4, 6)
        for kind in ("Address", "Interface", "Network")
    },
    ("decimal", "Decimal"): (_LONGEST, 1, 1, str),
    ("fractions", "Fraction"): (_LONGEST, 2, 2, int),
    ("zoneinfo", "ZoneInfo._unpickle"): (_LONGEST, 2, 2, None),
}
"""Classes whose instances hold no other objects: the longest text, the fewest and most arguments, and their type.

If the type is None, the constructor of the gate checks the arguments. The other classes are called at once.
"""
_FACTORIES = frozenset("bool bytes complex dict float frozenset int list set str tuple".split())


_MODULES = tuple(sorted({module.encode() for module, _ in _LEAVES} | {b"collections"}))


class Care(Exception):
    """The pickle has something for which each instruction must be checked: the quick ways do not fit."""


class _Inert(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = inert_class(module, name)
        if found is None:
            raise Care
        return found


@functools.cache
def _class_of(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def asks_for_checked(data: bytes) -> bool:
    """Whether a pickle contains the name of a module whose classes are called with checked arguments, or UUID."""
    return any(map(data.__contains__, _MODULES)) or b"UUID" in data


def load_small(data: bytes) -> Any:
    """The value of a small pickle of any form. Raises :class:`Care` if it names anything but an inert class."""
    return _Inert(io.BytesIO(data)).load()


def load_checked(data: bytes, levels: int) -> Any:
    """The value of a pickle that may call some classes of plain data beside the inert ones, with checked arguments.

    Args:
        data: a pickle whose form was checked.
        levels: how many objects that hold others its calls may make. These cannot nest deeper than that.

    Raises :class:`Care` if it names anything else, or if a stand-in for a class is left in the value.
    """
    unpickler = _Checked(io.BytesIO(data))
    unpickler.budget = _Budget(len(data), levels)
    unpickler.stand_ins = {}
    unpickler.data = data
    value = unpickler.load()
    stand_ins = unpickler.budget.stand_ins
    del unpickler
    # A stand-in that is still there is a part of the value.
    if any(each() is not None for each in stand_ins):
        raise Care
    return value


class _Name:
    """Stands for a class that a pickle may pass as an argument, and may not call."""

    __slots__ = ("__weakref__",)

    def __call__(self, *_arguments: Any) -> Any:
        raise Care


class _Budget:
    """What the calls of one pickle share. Constructors use it in the place of the interpreter.

    It keeps no stand-in alive: each stand-in goes with its unpickler.
    """

    def __init__(self, size: int, levels: int) -> None:
        self.parts = _FEWEST_PARTS + _PARTS_PER_BYTE * size
        self.levels = levels
        self.classes: dict[int, tuple[str, str]] = {}
        self.stand_ins: list[weakref.ref[Any]] = []

    def spend(self, parts: int) -> None:
        self.parts -= parts
        if self.parts < 0:
            raise Care

    def hold(self) -> None:
        """Note one more object that holds others."""
        self.levels -= 1
        if self.levels < 0:
            raise Care


class _Checked(pickle.Unpickler):
    """Gives functions of this module in the place of classes."""

    data: bytes
    budget: _Budget
    stand_ins: dict[tuple[str, str], Any]

    def find_class(self, module: str, name: str) -> Any:
        found = inert_class(module, name)
        if found is not None:
            return found
        asked = current_name(module, name)
        if asked == ("uuid", "UUID"):
            # A call of UUID goes through its text, and many calls could go through the same long text again and again.
            if self.data.count(b"R") * len(self.data) > _MOST_TEXT:
                raise Care
            return _class_of(*asked)
        stand_in = self.stand_ins.get(asked)
        if stand_in is None:
            stand_in = self.stand_ins[asked] = _stand_in(asked, self.budget)
        return stand_in


def _stand_in(asked: tuple[str, str], budget: _Budget) -> Any:
    module, name = asked
    made: Callable[..., Any]
    if module == "collections" and name in _HOLDERS:
        made = _holder(_HOLDERS[name], budget)
    elif asked in _LEAVES:
        made = _leaf(asked, budget)
    elif asked == ("builtins", "getattr"):
        made = _getattr(budget)
    elif asked == ("zoneinfo", "ZoneInfo") or (module == "builtins" and name in _FACTORIES):
        made = _Name()
    else:
        raise Care
    if "." not in name:
        budget.classes[id(made)] = asked
    budget.stand_ins.append(weakref.ref(made))
    return made


def _leaf(asked: tuple[str, str], budget: Any) -> Callable[..., Any]:
    """Makes an object that holds no others, from scalars."""
    longest, least, most, of = _LEAVES[asked]
    make: Callable[..., Any] | None = CONSTRUCTORS[asked]() if of is None else None
    kind: Callable[..., Any] = _class_of(*asked) if make is None else make

    def call(*arguments: Any) -> Any:
        parts = 10
        for each in arguments:
            given = type(each)
            if given is str and of is not int:
                parts += len(each)
                if len(each) > longest:
                    raise Care
            elif given is not int or of is str:
                raise Care
        if not least <= len(arguments) <= most:
            raise Care
        budget.spend(parts)
        return kind(*arguments) if make is None else make(budget, arguments)

    return call


def _getattr(budget: _Budget) -> Callable[..., Any]:
    """``getattr``, by which Python's pickler names the one method that pickles of data need."""

    def call(*arguments: Any) -> Any:
        if len(arguments) != 2 or type(arguments[1]) is not str or arguments[1] != "_unpickle":
            raise Care
        if budget.classes.get(id(arguments[0])) != ("zoneinfo", "ZoneInfo"):
            raise Care
        return _stand_in(("zoneinfo", "ZoneInfo._unpickle"), budget)

    return call


def _holder(make: Callable[[_Budget, Any], Any], budget: _Budget) -> Callable[..., Any]:
    """Makes a container that is filled later, or from a dict."""

    def call(*arguments: Any) -> Any:
        budget.hold()
        return make(budget, arguments)

    return call


def _counter(budget: _Budget, arguments: Any) -> Any:
    made: Counter[Any] = Counter()
    if arguments:
        if len(arguments) != 1 or type(arguments[0]) is not dict:
            raise Care
        budget.spend(len(arguments[0]))
        dict.update(made, arguments[0])
    return made


def _ordered(_budget: _Budget, arguments: Any) -> Any:
    if arguments:
        raise Care
    return OrderedDict()


def _defaults(budget: _Budget, arguments: Any) -> Any:
    if not arguments or arguments == (None,):
        return defaultdict(None)
    factory = budget.classes.get(id(arguments[0]))
    if len(arguments) != 1 or factory is None or factory == ("builtins", "getattr"):
        raise Care
    return defaultdict(_class_of(*factory))


def _deque(_budget: _Budget, arguments: Any) -> Any:
    if not arguments:
        return deque()
    if len(arguments) != 2 or type(arguments[0]) is not tuple or arguments[0]:
        raise Care
    length = arguments[1]
    if type(length) is not int or not 0 <= length < 1 << 62:
        raise Care
    return deque(maxlen=length)


_HOLDERS = {"Counter": _counter, "OrderedDict": _ordered, "defaultdict": _defaults, "deque": _deque}
