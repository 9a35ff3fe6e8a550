"""What plain data is made of: the classes and functions that a pickle may name, as exact pairs of module and name.

What is named is handed out in a form that a pickle can call, and not change: the BUILD instruction sets attributes of
whatever lies on the stack, a class included.
"""

from __future__ import annotations

import functools
import importlib
import types
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import Any

from coshelf.codecs.buffers import shaped

__all__ = ["Guarded", "current_name", "data_type", "in_python", "needs_care", "reconstructor"]

_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8

_BUILTINS = (
    "bool complex dict float frozenset int list memoryview object range set slice str tuple Ellipsis NotImplemented "
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

_THEMSELVES = {
    "builtins": _BUILTINS,
    "array": ["array"],
    "collections": ["Counter", "OrderedDict", "defaultdict", "deque"],
    "datetime": ["date", "datetime", "time", "timedelta", "timezone"],
    "decimal": ["Decimal"],
    "fractions": ["Fraction"],
    "ipaddress": ["IPv4Address", "IPv4Interface", "IPv4Network", "IPv6Address", "IPv6Interface", "IPv6Network"],
    "pathlib": ["PosixPath", "PurePosixPath", "PureWindowsPath"],
    "types": ["SimpleNamespace"],
    "uuid": ["SafeUUID", "UUID"],
    "zoneinfo": ["ZoneInfo"],
}
"""Module to the names in it that a pickle gets: called, these make data of their arguments and do nothing else."""

_IN_PYTHON = {"collections": ["ChainMap", "UserDict", "UserList", "UserString"]}
"""Classes whose instances a pickle makes without calling them, and which are not immutable."""

_NUMPY = frozenset(
    ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
)


class Guarded:
    """Something that can be called, and otherwise nothing: it has no attribute that a pickle could set."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("a pickle may not change what it calls")

    def __repr__(self) -> str:
        return f"<data type {self._function.__name__}>"


def current_name(module: str, name: str) -> tuple[str, str]:
    """What Python 2, or another version of Python 3, called something else."""
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    if module == "pathlib._local":  # Python 3.13
        return "pathlib", name
    return IMPORT_MAPPING.get(module, module), name


@functools.cache
def data_type(module: str, name: str) -> Any:
    """What a pickle gets for a name, or None if it is not one of data. Only modules of this table are imported."""
    module, name = current_name(module, name)
    function = _FUNCTIONS.get((module, name))
    if function is not None:
        return Guarded(function)
    if name not in _THEMSELVES.get(module, ()):
        return None
    found = getattr(importlib.import_module(module), name, None)  # a name may be younger than this Python
    return found if found is None or not isinstance(found, type) or _cannot_be_changed(found) else Guarded(found)


def needs_care(module: str, name: str) -> bool:
    """Whether a name is one of data that can only be unpickled step by step: :mod:`coshelf.gate.careful`."""
    module, name = current_name(module, name)
    return module in _NUMPY or name in _IN_PYTHON.get(module, ())


def in_python(module: str, name: str) -> Any:
    """The class of a name that needs care, of the standard library; None if it is none."""
    module, name = current_name(module, name)
    return getattr(importlib.import_module(module), name) if name in _IN_PYTHON.get(module, ()) else None


def _cannot_be_changed(found: type) -> bool:
    """Whether BUILD, met by the class itself instead of an instance, fails.

    It does for classes in C; and for one with a ``__setstate__`` of its own, which is then called without an instance.
    """
    if not found.__flags__ & _HEAP_TYPE or found.__flags__ & _IMMUTABLE_TYPE:
        return True
    return isinstance(getattr(found, "__setstate__", None), types.FunctionType)


# --- functions that pickles call -------------------------------------------------------------------------------------


def _bytes(*arguments: Any) -> bytes:
    return bytes(*_only_data("bytes", arguments))


def _bytearray(*arguments: Any) -> bytearray:
    return bytearray(*_only_data("bytearray", arguments))


def _only_data(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, if they are data.

    Given a number, bytes would be made out of nothing, as many as it says; the name of a codec is that of a module,
    which would be imported.
    """
    if arguments and isinstance(arguments[0], int):
        raise TypeError(f"a pickle of data does not call {name} with a number")
    if len(arguments) > 1 and arguments[1:] not in (("latin1",), ("latin-1",)):
        raise TypeError(f"a pickle of data does not call {name} with the encoding {arguments[1]!r:.40}")
    return arguments


def _encode(text: str, encoding: str) -> bytes:
    """How protocols 0 to 2 store bytes."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise TypeError(f"a pickle of data does not encode to {encoding!r}")
    return text.encode("latin-1")


def _getattr(owner: Any, name: str) -> Any:
    """How protocols 0 to 3 reach the one function of a class that pickles of data need."""
    from zoneinfo import ZoneInfo

    if owner is not ZoneInfo or name != "_unpickle":
        raise TypeError(f"a pickle of data does not ask for the attribute {name!r}")
    return Guarded(_zone)


def _zone(key: str, from_cache: int) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key) if from_cache else ZoneInfo.no_cache(key)


def reconstructor(made: Any, base: Any, state: Any) -> Any:
    """How protocols 0 and 1 make an instance without calling its class."""
    from uuid import UUID

    if made is not UUID or base is not object or state is not None:
        raise TypeError("a pickle of data makes no instance of this class without calling it")
    return object.__new__(UUID)


def _array(made: Any, typecode: str, machine_format: int, data: bytes) -> Any:
    from array import _array_reconstructor, array  # type: ignore[attr-defined]

    if made is not array:
        raise TypeError("a pickle of data makes arrays of no other class")
    return _array_reconstructor(array, typecode, machine_format, data)


_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "getattr"): _getattr,
    ("_codecs", "encode"): _encode,
    ("copyreg", "_reconstructor"): reconstructor,
    ("array", "_array_reconstructor"): _array,
    ("zoneinfo", "ZoneInfo._unpickle"): _zone,
    ("coshelf.codecs.buffers", "shaped"): shaped,
}
