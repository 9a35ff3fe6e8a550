"""Access control lists as macOS has them: its C library gives each as a text.

The functions and numbers are those of macOS's ``sys/acl.h``. The text begins with ``!#acl 1``. Each line after that is
an entry: ``user:UUID:NAME:NUMBER:allow,file_inherit:read,write``. A file without a list has no text.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

__all__ = ["text_of", "writers_in"]

_TYPE_EXTENDED = 0x100
_NO_LIST = frozenset((errno.ENOENT, errno.ENOTSUP, errno.EOPNOTSUPP))
_HEAD = "!#acl 1"
# In a directory "write" adds files and "append" adds directories.
_WRITING = frozenset(("write", "append", "delete", "delete_child", "writesecurity", "chown"))
_ENTRY_PARTS = 6


def text_of(opened: int | str) -> str | None:
    """The list of a file; None if it has none, or if this system's C library knows no lists of this kind.

    Args:
        opened: its descriptor or path.

    Raises OSError if there may be a list that cannot be read.
    """
    try:
        import ctypes  # here: Linux does not come to this
    except ImportError as error:
        raise OSError(errno.ENOSYS, "Python has no ctypes, by which lists are read") from error
    functions = _functions()
    if functions is None:
        return None
    of_descriptor, of_path, to_text, free = functions
    if isinstance(opened, str):
        found = of_path(os.fsencode(opened), _TYPE_EXTENDED)
    else:
        found = of_descriptor(opened, _TYPE_EXTENDED)
    if not found:
        number = ctypes.get_errno()
        if number in _NO_LIST:
            return None
        raise OSError(number, os.strerror(number))
    try:
        text = to_text(found, None)
        if not text:
            raise OSError(errno.EINVAL, "the list has no text")
        try:
            return ctypes.string_at(text).decode("utf-8", "replace")
        finally:
            free(text)
    finally:
        free(found)


@functools.cache
def _functions() -> tuple[Any, Any, Any, Any] | None:
    """``acl_get_fd_np``, ``acl_get_link_np``, ``acl_to_text`` and ``acl_free``; None if the C library lacks them."""
    import ctypes

    try:
        library: Any = ctypes.CDLL(None, use_errno=True)
        found = library.acl_get_fd_np, library.acl_get_link_np, library.acl_to_text, library.acl_free
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library of this process
        return None
    of_descriptor, of_path, to_text, free = found
    of_descriptor.argtypes = (ctypes.c_int, ctypes.c_int)
    of_path.argtypes = (ctypes.c_char_p, ctypes.c_int)
    to_text.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    free.argtypes = (ctypes.c_void_p,)
    for function in (of_descriptor, of_path, to_text):
        function.restype = ctypes.c_void_p
    return found


def writers_in(text: str, *, to_new_files: bool) -> tuple[frozenset[int], frozenset[int]]:
    """The users and the groups that a list lets write a file, or the files that are made in a directory.

    An entry that forbids is left out: it takes rights from nobody that another entry or the mode gives to others.
    Raises ValueError if the text is no such list.

    >>> home = "!#acl 1\\ngroup:ABCDEFAB-CDEF-ABCD-EFAB-CDEF0000000C:everyone:12:deny:delete\\n"
    >>> writers_in(home + "user:FFFFEEEE-DDDD-CCCC-BBBB-AAAA000001F6:ann:502:allow:read,write\\n", to_new_files=False)
    (frozenset({502}), frozenset())
    """
    head, *lines = text.splitlines() or [""]
    if head != _HEAD:
        raise ValueError(f"a list of access that begins with {head!r} is not known")
    found: dict[str, set[int]] = {"user": set(), "group": set()}
    for line in filter(None, lines):
        parts = line.split(":")
        if len(parts) != _ENTRY_PARTS or parts[0] not in found:
            raise ValueError(f"an entry {line!r} of a list of access is not known")
        kind, _, _, number, action, rights = parts
        verdict, *inheritance = action.split(",")
        applies = "file_inherit" in inheritance if to_new_files else "only_inherit" not in inheritance
        if verdict == "allow" and applies and _WRITING.intersection(rights.split(",")):
            found[kind].add(int(number))  # an entry of a user that is gone has no number
    return frozenset(found["user"]), frozenset(found["group"])
