"""``%load_ext coshelf.ipython``: the profile's ``ip.db`` becomes a shelf that any number of kernels share.

``%store``, aliases, bookmarks and directory history are kept there. Existing values of the profile are copied the first
time. If the profile is on a network file system, its directory of values stays, and the files engine uses it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from typing import Any

from coshelf.errors import DamagedRecord, UnreadableValue, UnsafeFilesystem
from coshelf.mapping.shelf import Shelf
from coshelf.opening import open as open_shelf

__all__ = ["ProfileDatabase", "load_ipython_extension", "unload_ipython_extension"]

_FILE = "db.shelf"
_OLD = "db"


class ProfileDatabase(MutableMapping[str, Any]):
    """A shelf with the interface that IPython expects: ``keys()`` is a list, and ``del`` ignores missing keys.

    A value that cannot be unpickled here raises KeyError, so that the other values are restored.
    """

    def __init__(self, shelf: Shelf[str, Any]) -> None:
        self.shelf = shelf

    def __getitem__(self, key: str) -> Any:
        try:
            return self.shelf[key]
        except (UnreadableValue, DamagedRecord) as error:
            raise KeyError(key) from error

    def __setitem__(self, key: str, value: Any) -> None:
        self.shelf[key] = value

    def __delitem__(self, key: str) -> None:
        with suppress(KeyError):
            del self.shelf[key]  # whether or not its value can be unpickled

    def clear(self) -> None:
        self.shelf.clear()

    def __contains__(self, key: object) -> bool:
        return key in self.shelf

    def __iter__(self) -> Iterator[str]:
        return iter(self.shelf)

    def __len__(self) -> int:
        return len(self.shelf)

    def keys(self, glob: str | None = None) -> list[str]:  # type: ignore[override]
        """The keys that match, as a list, because clients sort it in place."""
        return list(self.shelf.keys(glob))

    def __repr__(self) -> str:
        return f"<ProfileDatabase {self.shelf.name!r}>"


def load_ipython_extension(ip: Any) -> None:
    """Replace ``ip.db`` by a shelf in the profile's directory."""
    if isinstance(ip.db if _has_been_used(ip) else None, ProfileDatabase):
        return
    ip.db = ProfileDatabase(_open_in(ip.profile_dir.location, ip))


def _open_in(profile: str, ip: Any) -> Shelf[str, Any]:
    path, directory = os.path.join(profile, _FILE), os.path.join(profile, _OLD)
    is_new = not os.path.exists(path)
    try:
        shelf: Shelf[str, Any] = open_shelf(path, trust=True)
    except UnsafeFilesystem as error:
        print(f"coshelf: {str(error).splitlines()[0]}; ip.db stays a directory of files: {directory}")
        return open_shelf(f"files:{directory}", trust=True)
    if is_new and os.path.isdir(directory):
        _take_over(ip.db, shelf)
    return shelf


def unload_ipython_extension(ip: Any) -> None:
    """Give the profile its old store back. Values that were stored meanwhile stay in the shelf."""
    if isinstance(ip.db, ProfileDatabase):
        ip.db.shelf.close()
        ip.db = None


def _has_been_used(ip: Any) -> bool:
    """Whether IPython has made its store. Newer versions make it at the first use, which is not needed here."""
    return getattr(ip, "_db", ip) is not None


def _take_over(old: Any, shelf: Shelf[str, Any]) -> None:
    found = {}
    for key in old.keys():  # noqa: SIM118 (iterating it may be something else)
        try:
            found[key] = old[key]
        except KeyError:  # the old store raises it for a file that it cannot unpickle
            print(f"coshelf: {key} cannot be read and stays in the old store")
    with shelf.transaction() as transaction:
        for key, value in found.items():
            transaction.setdefault(key, value)
