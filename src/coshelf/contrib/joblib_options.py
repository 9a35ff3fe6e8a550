"""What joblib's ``Memory`` says of a store, as a target and options of :func:`coshelf.open`."""

from __future__ import annotations

import inspect
import os
import re
import warnings
from contextlib import suppress
from typing import Any, Final

from coshelf.opening import open as open_shelf
from coshelf.values.compression import Zstd

__all__ = ["known", "shelf_at", "with_compression"]

_URL: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]+:")
_FOLDER: Final = os.sep + "joblib"  # joblib adds it to a location that is a str
_KNOWN: Final = {"part", *inspect.signature(open_shelf).parameters} - {"target"}


def shelf_at(location: str) -> str:
    """The path or URL of the shelf for a location. A directory that exists gets a shelf, and is ignored by git.

    >>> shelf_at("results.shelf/joblib"), shelf_at("redis://host/0/app/joblib")
    ('results.shelf', 'redis://host/0/app')
    """
    target = location.removesuffix(_FOLDER)
    if _URL.match(target) or not os.path.isdir(target):
        return target
    with suppress(OSError), open(os.path.join(target, ".gitignore"), "x", encoding="utf-8") as file:
        file.write("# Created by joblib automatically.\n*\n")  # as joblib does for its own stores
    return os.path.join(target, "joblib.shelf")


def known(options: dict[str, Any]) -> dict[str, Any]:
    """The options that :func:`coshelf.open` knows. The others are named in a warning."""
    for unknown in options.keys() - _KNOWN:
        warnings.warn(f"backend_options has {unknown!r}, which coshelf.open does not know", stacklevel=4)
    return {name: value for name, value in options.items() if name in _KNOWN}


def with_compression(options: dict[str, Any], compress: Any) -> dict[str, Any]:
    """The options of opening, with joblib's ``compress``: False, True, a level, or a pair of method and level.

    >>> with_compression({}, False), with_compression({}, True)
    ({}, {'compress': 'zstd', 'recode': True})
    """
    if not compress:
        return options
    level = compress[1] if isinstance(compress, tuple) else compress
    return {"compress": "zstd" if level is True else Zstd(int(level)), "recode": True} | options
