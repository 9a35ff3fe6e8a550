"""The errors of values that cannot be stored or read, in words."""

from __future__ import annotations

import re
import sys
from typing import Any

from coshelf import records
from coshelf.errors import DamagedRecord, UnreadableValue, UnwritableValue
from coshelf.keys import shown
from coshelf.screen import plain

__all__ = ["damaged", "refuse_damaged", "told", "unreadable", "unwritable"]

_SHOWN = 500  # characters of an error of another library
_REFUSED = re.compile("cannot pickle '([^']+)' object")
_BY_NAME = re.compile("Can't (pickle|get) local object|attribute lookup|it's not (found|the same object)|not found as")
_INSTEAD = {
    "generator": "store list(value)",
    "dict_keys": "store list(value)",
    "dict_values": "store list(value)",
    "dict_items": "store dict(value)",
    "coroutine": "store what it returns: await it before, or give a function without `async`",
    "module": "store its name, and import it after reading",
}
"""What to store instead of an object of a type, by the name that pickle has for it."""
_MISSING = re.compile("'(?P<name>[^']+)' on <module '(?P<module>[^']+)'|module '([^']+)' has no attribute '([^']+)'")


def damaged(key: Any, record: bytes) -> DamagedRecord:
    """The error for a record whose bytes do not match its checksum."""
    return DamagedRecord(
        f"the record for key {shown(key)} is damaged: its {len(record)} bytes do not match their checksum\n"
        "  hint: other entries can still be read; delete or overwrite this one",
        key,
    )


def refuse_damaged(key: Any, encoded_key: bytes, record: bytes, error: Exception) -> None:
    """Raise :class:`DamagedRecord` if a value cannot be read because of damage. Verifies large records only now."""
    if len(record) > records.VERIFIED_ON_READ and not records.is_intact(encoded_key, record):
        raise damaged(key, record) from error


def unwritable(key: Any, value: Any, error: Exception) -> UnwritableValue:
    """The error for a value that cannot be pickled."""
    return UnwritableValue(
        f"the value for key {shown(key)}, of type {type(value).__name__}, cannot be pickled: {_reason(error)}"
        f"{_other_value(error)}",
        (key,),
    )


def unreadable(key: Any, error: Exception) -> UnreadableValue:
    """The error for a pickle that cannot be loaded here."""
    return UnreadableValue(
        f"the value for key {shown(key)} is intact but cannot be unpickled here: {_reason(error)}\n"
        f"  hint: {_way_on(error)}",
        key,
    )


def _other_value(error: Exception) -> str:
    """A line that says what can be stored instead of what pickle refuses, or nothing."""
    text = told(error)
    refused = _REFUSED.search(text)
    if isinstance(error, RecursionError):
        way = "the value is nested too deep, or contains itself through its __reduce__; store its parts"
    elif _BY_NAME.search(text):
        way = "pickle stores the name of a class or function: define it at the top of a module, by `class` or `def`"
    elif refused is None:
        return ""
    else:
        way = _INSTEAD.get(
            refused[1],
            "store what it was made from, such as a path, an address or numbers, and make it again after reading. "
            "A class leaves an attribute out by __getstate__",
        )
    return f"\n  hint: {way}"


def told(error: Exception) -> str:
    """The text of an error. The author of a pickle can choose that text, so it is cut and made safe for a screen."""
    text = plain(str(error))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {told(error)}"


def _missing_in_script(error: Exception) -> str | None:
    """The missing name, if it was looked for in this program's script because another script defined it."""
    if isinstance(error, ModuleNotFoundError):
        # __mp_main__ is the name that multiprocessing gives the script that started a process.
        return "CLASS" if error.name == "__mp_main__" else None
    found = _MISSING.search(told(error)) if isinstance(error, AttributeError) else None
    if found is None:
        return None
    specification = getattr(sys.modules.get("__main__"), "__spec__", None)  # with python -m
    is_of_script = (found["module"] or found[3]) in ("__main__", getattr(specification, "name", None))
    return (found["name"] or found[4]) if is_of_script else None


def _way_on(error: Exception) -> str:
    name = _missing_in_script(error)
    if name is None:
        return "the class or module may have been renamed or removed since it was stored"
    return (
        f"the class was defined in a script or notebook, and other programs do not find it there. Move it to a module, "
        "import it from there, and store the value again\n"
        f"  to read what is stored: import __main__, MODULE; __main__.{name} = MODULE.{name}"
    )
