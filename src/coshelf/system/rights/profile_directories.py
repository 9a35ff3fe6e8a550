"""The directory in which a user keeps what is its own, where users have no numbers (Windows): its profile."""

from __future__ import annotations

import functools
import os
from typing import Any

__all__ = ["names_below", "of_this_user"]

_TOKEN_QUERY = 0x0008  # winnt.h


def of_this_user() -> str | None:
    """The profile directory of the user that this process acts for, without links; None if it is not known.

    Windows is asked by the token of this process: with ``runas /env`` the environment names that of another user. The
    environment (``USERPROFILE``) is used where no such call exists.
    """
    try:
        import ctypes
    except ImportError:  # the environment alone may be that of another user
        return None
    libraries: Any = getattr(ctypes, "windll", None)
    found = os.environ.get("USERPROFILE") if libraries is None else _by_token(libraries)
    if not found or not os.path.isabs(found):
        return None
    place = os.path.realpath(found)
    return place if os.path.isdir(place) and os.path.dirname(place) != place else None


@functools.cache
def _by_token(libraries: Any) -> str | None:
    """As ``GetUserProfileDirectoryW`` (userenv.h) says for the token of this process."""
    import ctypes

    kernel, security, environment = libraries.kernel32, libraries.advapi32, libraries.userenv
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
    security.OpenProcessToken.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
    environment.GetUserProfileDirectoryW.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    token = ctypes.c_void_p()
    if not security.OpenProcessToken(kernel.GetCurrentProcess(), _TOKEN_QUERY, ctypes.byref(token)):
        return None
    try:
        length = ctypes.c_uint32()
        environment.GetUserProfileDirectoryW(token, None, ctypes.byref(length))  # fails, and tells the length
        text = ctypes.create_unicode_buffer(length.value + 1)
        if not environment.GetUserProfileDirectoryW(token, text, ctypes.byref(length)):
            return None
        return text.value
    finally:
        kernel.CloseHandle(token)


def names_below(profile: str, place: str) -> tuple[str, ...] | None:
    """The names from a profile to a place in it, in small letters; None if it is not in it.

    Both are paths without links. The directory above the place must also *be* the profile: another one may have a name
    that differs by case. A share of another machine is never in it, whatever that machine says of its files.
    """
    outer, inner = os.path.normcase(profile), os.path.normcase(place)
    if not inner.startswith(outer.rstrip(os.sep) + os.sep):
        return None
    names = tuple(inner[len(outer.rstrip(os.sep)) + 1 :].lower().split(os.sep))
    above = place
    for _ in names:
        above = os.path.dirname(above)
    return names if os.path.samefile(above, profile) else None
