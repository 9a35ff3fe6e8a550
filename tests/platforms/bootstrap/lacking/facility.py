"""What it means that something is lacking: in Python, in the C library and in the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Facility", "Refused", "together"]


class Refused(NamedTuple):
    """A system call that the kernel refuses.

    Attributes:
        call: its name in ``kernel.NUMBERS``.
        error: the name of the error number.
        argument: the number of the argument that decides; None: all calls are refused.
        values: the values of this argument with which the call is refused.
        bits: instead of values: the bits of this argument of which any has the call refused.
    """

    call: str
    error: str = "ENOSYS"
    argument: int | None = None
    values: tuple[int, ...] = ()
    bits: int = 0


class Facility(NamedTuple):
    """Something that a platform may lack, or all that one platform lacks.

    Attributes:
        why: where it is lacking, and which document says so.
        names: what modules of coshelf do not find in modules of the standard library, such as ``os.fork``.
        modules: modules of the standard library that coshelf does not find. Other modules still find them.
        packages: modules that nobody finds.
        symbols: functions of the C library that ``ctypes`` does not find.
        functions: functions of the C library that ``ctypes`` finds instead of those that are there.
        instead: what modules of coshelf find instead, such as ``sys.platform``. A function gets the real module first.
        calls: what the kernel refuses.
        library: what the C library refuses: words that ``refuse.c`` knows, some with a number.
        without_proc: whether ``/proc`` is empty.
        home: the variable of the environment that names the directory of a user, if only this platform has it.
    """

    why: str
    names: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    functions: Mapping[str, Any] = {}
    instead: Mapping[str, Any] = {}
    calls: tuple[Refused, ...] = ()
    library: tuple[str, ...] = ()
    without_proc: bool = False
    home: str = ""


def together(why: str, *facilities: Facility) -> Facility:
    """All that any of these lacks."""
    instead: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    for each in facilities:
        instead |= each.instead
        functions |= each.functions
    return Facility(
        why,
        names=tuple(dict.fromkeys(name for each in facilities for name in each.names)),
        modules=tuple(dict.fromkeys(name for each in facilities for name in each.modules)),
        packages=tuple(dict.fromkeys(name for each in facilities for name in each.packages)),
        symbols=tuple(dict.fromkeys(name for each in facilities for name in each.symbols)),
        functions=functions,
        instead=instead,
        calls=tuple(dict.fromkeys(call for each in facilities for call in each.calls)),
        library=tuple(dict.fromkeys(word for each in facilities for word in each.library)),
        without_proc=any(each.without_proc for each in facilities),
        home="".join(dict.fromkeys(each.home for each in facilities)),
    )
