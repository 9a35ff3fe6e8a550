"""Options that a function does not have, and the ones that the caller may have meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeVar

__all__ = ["hiding_unknown", "refuse_unknown"]

F = TypeVar("F", bound=Callable[..., Any])

_OTHER_NAMES = {
    "cache": "writeback",
    "compression": "compress",
    "encryption": "encrypt",
    "expiry": "expire",
    "lifetime": "expire",
    "maxsize": "max_entries",
    "password": "encrypt",
    "perm": "mode",
    "pickle_protocol": "protocol",
    "read_only": 'flag="r"',
    "readonly": 'flag="r"',
    "secret": "encrypt",
    "serializer": "codec",
    "size_limit": "max_bytes",
    "ttl": "expire",
}
"""What other programs call these options. Close spellings are found without this table."""


def refuse_unknown(unknown: Mapping[str, object], known: Iterable[str]) -> NoReturn:
    """Raise TypeError for options that ``open`` does not have.

    >>> refuse_unknown({"comress": "zstd"}, ["codec", "compress"])
    Traceback (most recent call last):
    TypeError: open() has no option 'comress'
      hint: did you mean 'compress'? help(coshelf.open) has all options
    """
    import difflib

    name = next(iter(unknown))
    near = _OTHER_NAMES.get(name) or next(iter(difflib.get_close_matches(name, list(known), 1)), None)
    meant = f"did you mean {near!r}? " if near else ""
    raise TypeError(f"open() has no option {name!r}\n  hint: {meant}help(coshelf.open) has all options")


def hiding_unknown(function: F) -> F:
    """Leave ``**unknown`` out of the signature that ``help`` and ``inspect`` show: it takes only what is refused."""
    signature = inspect.signature(function)
    shown = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    function.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return function
