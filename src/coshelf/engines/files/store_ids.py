"""The store id of a directory, which distinguishes it from one that gets its inode later.

It is an extended attribute of the root. Where files have no attributes, it is the name of a directory in the engine's
own directory. pickleshare takes neither for a key.
"""

from __future__ import annotations

import os
import re
import stat

from coshelf.engines.files.paths import OWN
from coshelf.system.file_systems.attributes import attribute, set_attribute
from coshelf.system.file_systems.durable import sync
from coshelf.system.files.directories import make_directory, names_in, open_directory, rename
from coshelf.system.rights.owners import set_mode

__all__ = ["give_store_id", "store_id_of"]

_ATTRIBUTE = "user.coshelf.store"
_NAME = re.compile("store-([0-9a-f]{32})")


def store_id_of(root: int) -> bytes:
    """The id of an open directory; empty if it was never marked."""
    found = attribute(root, _ATTRIBUTE)
    if found is not None:
        return found
    try:
        own = open_directory(OWN, root)
    except OSError:
        return b""
    try:
        name = _name_in(own)
    finally:
        os.close(own)
    return b"" if name is None else bytes.fromhex(name[-32:])


def give_store_id(root: int, mode: int) -> bytes:
    """Give an open directory a new id, and return it. Raises OSError if its file system cannot keep one.

    Args:
        root: the descriptor of the directory.
        mode: of the directories that are made in it.
    """
    store_id = os.urandom(16)
    try:
        set_attribute(root, _ATTRIBUTE, store_id)
    except OSError:
        if attribute(root, _ATTRIBUTE) is not None:  # an older id, which a name would not replace
            raise
        _give_name(root, f"store-{store_id.hex()}", mode)
    return store_id


def _give_name(root: int, name: str, mode: int) -> None:
    own = _own_directory(root, mode)
    try:
        old = _name_in(own)
        if old is None:
            make_directory(name, own, mode)
        else:
            rename(old, own, name, own)
        sync(own)
    finally:
        os.close(own)


def _own_directory(root: int, mode: int) -> int:
    try:
        make_directory(OWN, root, mode)
    except FileExistsError:
        return open_directory(OWN, root)
    own = open_directory(OWN, root)
    try:
        set_mode(own, mode | os.fstat(own).st_mode & stat.S_ISGID)  # the umask has removed some bits
    except BaseException:
        os.close(own)
        raise
    return own


def _name_in(own: int) -> str | None:
    return min(filter(_NAME.fullmatch, names_in(own)), default=None)
