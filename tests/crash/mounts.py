"""Mounting in a separate namespace. Its mounts end with the last process in it."""

from __future__ import annotations

import ctypes
import os

NEW_MOUNTS = 0x20000  # CLONE_NEWNS
BIND = 0x1000  # MS_BIND
ALL_PRIVATE = 0x40000 | 0x4000  # MS_PRIVATE | MS_REC

_libc = ctypes.CDLL(None, use_errno=True)


def enter_namespace() -> None:
    """From here on this process, and those that it starts, have their own mounts. Needs the rights of root."""
    _check(_libc.unshare(NEW_MOUNTS), "cannot make a mount namespace")
    mount("none", "/", flags=ALL_PRIVATE)


def mount(source: str, target: str, type: str = "", flags: int = 0, options: str = "") -> None:
    done = _libc.mount(
        os.fsencode(source), os.fsencode(target), type.encode() or None, ctypes.c_ulong(flags), options.encode() or None
    )
    _check(done, f"cannot mount {source}")


def unmount(target: str) -> None:
    _check(_libc.umount2(os.fsencode(target), 0), f"cannot unmount {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
