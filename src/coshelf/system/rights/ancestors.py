"""The directories above a file, in a way that no user can exchange one of them while they are verified."""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator
from typing import NamedTuple

from coshelf.system.files import flags

__all__ = ["Ancestor", "OtherFile", "ancestors"]

_SEARCH = os.O_RDONLY | flags.PATH_ONLY | flags.DIRECTORY | flags.CLOSE_ON_EXEC
_NAMES = "/proc/self/fd"
_by_descriptors = os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd


class OtherFile(OSError):
    """A path leads to another file than the one that was found there."""


class Ancestor(NamedTuple):
    """A directory above a file.

    Attributes:
        path: as the path of the file has it.
        opened: its descriptor, or a path that leads to it while this iterator stands there.
        status: its owner, mode and number.
        entry: the status of what is used in it: of the file, or of the directory below.
    """

    path: str
    opened: int | str
    status: os.stat_result
    entry: os.stat_result


def ancestors(path: str, found: os.stat_result) -> Generator[Ancestor, None, None]:
    """The directories from the file up to the root.

    Each is opened relative to the one below it. Without such calls, each is named, from the root down to the file: if
    nobody else can exchange an entry of the first ones, the next ones are what their names say.

    Args:
        path: an absolute path without links.
        found: the status of the file that is open.

    Raises :class:`OtherFile` if another file is at the path, and OSError if a directory cannot be examined. Close the
    iterator if you do not read it to its end.
    """
    return _from_below(path, found) if _by_descriptors else _from_above(path, found)


def _from_below(path: str, found: os.stat_result) -> Generator[Ancestor, None, None]:
    place, name = os.path.split(path)
    # The lists of a descriptor of O_PATH are read by its name alone. Where it has none, ``access_lists`` opens it anew.
    names = _NAMES if flags.PATH_ONLY and os.path.exists(_NAMES) else None
    descriptor = os.open(place or ".", _SEARCH)
    try:
        _refuse_other_file(os.stat(name or ".", dir_fd=descriptor), found, path)
        entry, directory = found, os.fstat(descriptor)
        while True:
            yield Ancestor(place, f"{names}/{descriptor}/." if names else descriptor, directory, entry)
            above = os.open("..", _SEARCH, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = above
            place, entry, directory = os.path.dirname(place) or os.sep, directory, os.fstat(descriptor)
            if os.path.samestat(directory, entry):
                return
    finally:
        os.close(descriptor)


def _from_above(path: str, found: os.stat_result) -> Generator[Ancestor, None, None]:
    path = os.path.abspath(path)
    places = [path]
    while (above := os.path.dirname(places[0])) != places[0]:
        places.insert(0, above)
    directory = os.lstat(places[0])
    for place, name in itertools.pairwise(places):
        entry = os.lstat(name)
        yield Ancestor(place, place, directory, entry)
        directory = entry
    _refuse_other_file(directory, found, path)


def _refuse_other_file(here: os.stat_result, found: os.stat_result, path: str) -> None:
    if not os.path.samestat(here, found):
        raise OtherFile(f"{path} leads to another file than the one that is open")
