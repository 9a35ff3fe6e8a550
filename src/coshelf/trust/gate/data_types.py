"""What plain data is made of: the classes and functions that a pickle may name, as exact pairs of module and name."""

from __future__ import annotations

import builtins
import datetime as dt
import functools
import importlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import Any

from coshelf.trust.gate.constructors import CONSTRUCTORS, exception
from coshelf.trust.gate.known import Known, Machine, refused
from coshelf.trust.gate.states import user_string_of, uuid_of

__all__ = ["current_name", "data_type", "inert_class", "is_inert"]

_EXCEPTIONS = (
    "ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError "
    "BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError "
    "ConnectionResetError DeprecationWarning EOFError EncodingWarning Exception ExceptionGroup FileExistsError "
    "FileNotFoundError FloatingPointError FutureWarning GeneratorExit ImportError ImportWarning IndentationError "
    "IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError "
    "ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError OverflowError "
    "PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError ResourceWarning "
    "RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit "
    "TabError TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError "
    "UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError"
).split()

_CLASSES = frozenset(
    (
        *(
            ("builtins", name)
            for name in "bool complex dict float frozenset int list object range set slice str".split()
        ),
        *(("builtins", name) for name in ("tuple", "memoryview", "bytes", "bytearray", *_EXCEPTIONS)),
        *(("collections", name) for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
        *(("collections", name) for name in ("ChainMap", "UserDict", "UserList", "UserString")),
        *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *(("ipaddress", f"IPv{version}{kind}") for version in (4, 6) for kind in ("Address", "Interface", "Network")),
        *(("pathlib", name) for name in ("PosixPath", "PurePosixPath", "PureWindowsPath")),
        *(("array", "array"), ("decimal", "Decimal"), ("fractions", "Fraction"), ("types", "SimpleNamespace")),
        *(("uuid", "UUID"), ("uuid", "SafeUUID"), ("zoneinfo", "ZoneInfo")),
    )
)
"""Classes that may be values themselves, as a factory of defaults is."""

_CONSTANTS = {("builtins", "Ellipsis"): Ellipsis, ("builtins", "NotImplemented"): NotImplemented}
_WITH_A_STATE = ("ChainMap", "UserDict", "UserList")
_NUMPY = frozenset(
    ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
)
_MODULES_OF_ONE_CLASS = {"pathlib._local": "pathlib"}  # as Python 3.13 names it


def current_name(module: str, name: str) -> tuple[str, str]:
    """The current module and name of what Python 2, or another version of Python 3, named differently."""
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    module = _MODULES_OF_ONE_CLASS.get(module, module)
    return IMPORT_MAPPING.get(module, module), name


def data_type(module: str, name: str) -> Known | None:
    """What a pickle gets for a name; None if it is not a name of plain data. Imports only modules of these tables."""
    return _data_type(*current_name(module, name))


def is_inert(kind: type) -> bool:
    """Whether a class is written in C, so that neither it nor what it makes has attributes to set."""
    return bool(kind.__flags__ & 1 << 8) or not kind.__flags__ & 1 << 9


_UNCHANGEABLE = {
    ("datetime", each.__name__): each
    for each in (dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone)
    if is_inert(each)
}


def inert_class(module: str, name: str) -> type | None:
    """A class that Python's own unpickler may call, because neither the class nor its instances can be changed."""
    return _UNCHANGEABLE.get((module, name))


@functools.lru_cache(maxsize=1024)
def _data_type(module: str, name: str) -> Known | None:
    label = f"{module}.{name}"
    if module in _NUMPY:
        from coshelf.trust.gate.numpy_data import numpy_name

        return numpy_name(module, name)
    if (module, name) in _CONSTANTS:
        return Known(label, _CONSTANTS[module, name])
    if (module, name) in (("builtins", "getattr"), ("copyreg", "_reconstructor")):
        return Known(label, make=_attribute if name == "getattr" else _reconstruct)
    make = CONSTRUCTORS.get((module, name))
    if (module, name) not in _CLASSES:
        return None if make is None else Known(label, make=make())
    if module == "builtins" and name in _EXCEPTIONS:
        return Known(label, getattr(builtins, name, None), exception(name))
    found = getattr(importlib.import_module(module), name, None)
    if name in _WITH_A_STATE or label == "builtins.object":
        return Known(label, found, None if make is None else make(), _empty(found))
    if name in ("UUID", "UserString"):
        return Known(label, found, new=_begun(uuid_of if name == "UUID" else user_string_of))
    return Known(label, found, None if make is None else make())


def _empty(kind: Any) -> Callable[[Machine, tuple[Any, ...], dict[str, Any]], Any]:
    """Makes an empty instance, which may get a state."""

    def new(_machine: Machine, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if arguments or named:
            raise refused(f"an instance of {kind.__qualname__} of arguments")
        return kind()

    return new


def _begun(finish: Callable[[Machine, Any, Any], Any]) -> Callable[..., Any]:
    """Makes an instance once its state is known, because the instance can be hashed from then on."""

    def new(machine: Machine, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if named or not all(type(each) is str for each in arguments):
            raise refused("an instance of strange arguments")
        return machine.begin(finish, None)

    return new


def _attribute(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """``getattr``, by which protocols 0 to 3 reach ``ZoneInfo._unpickle``, the one method that pickles of data need."""
    from zoneinfo import ZoneInfo

    if len(arguments) != 2 or arguments[0] is not ZoneInfo or arguments[1] != "_unpickle":
        raise TypeError(f"a pickle of data does not ask for the attribute {arguments[1:]!r:.60}")
    machine.find("zoneinfo", "ZoneInfo._unpickle")
    return machine.stack.pop()


def _reconstruct(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """``copyreg._reconstructor``, by which protocols 0 and 1 make an instance without calling its class."""
    parts: tuple[Any, ...] = arguments if len(arguments) == 3 else (None, None, None)
    made, base, state = parts
    known = machine.known(made)
    if known is None:
        raise TypeError("a pickle of data does not make an instance of this class without calling it")
    if known.owner is None:
        if base is not object or state is not None or not known.begins:
            raise TypeError("a pickle of data does not make an instance of this class without calling it")
        return known.new(machine, (), {})
    if base is object:
        return machine.noted(object.__new__(made), known)
    if not isinstance(base, type) or not isinstance(made, type) or not issubclass(made, base):
        raise refused(f"an instance of {made!r} made of {base!r}")
    kind: Any = base
    instance = kind.__new__(made, state)
    kind.__init__(instance, state)
    return machine.noted(instance, known)
