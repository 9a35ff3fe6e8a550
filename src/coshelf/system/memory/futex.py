"""Sleeps on a word of shared memory until another process changes it (Linux futex).

The standard library has no call for it. So the system call is made through ctypes, which is loaded at the first wait.
"""

from __future__ import annotations

import errno
import functools
import platform
import sys
import time
from typing import Any

from coshelf.system.threads.cooperation import is_cooperative
from coshelf.system.waiting.backoff import Backoff

__all__ = ["sleep_while", "wake_all", "wake_one"]

_NUMBERS = {
    "x86_64": 202, "aarch64": 98, "riscv64": 98, "loongarch64": 98, "s390x": 238, "ppc64le": 221, "ppc64": 221,
}  # fmt: skip
_WAIT = 0
_WAKE = 1
_POLL = 0.001
_LONGEST_POLL = 0.005
_LOOK_AROUND = 0.05  # seconds after which a poll returns: nothing tells it that another thread wants it to wake


@functools.cache  # made once: Python may lose an interrupt that comes during an import or the making of a class
def _system_call() -> Any:
    """The libc function ``syscall``, the number of futex and a maker of time limits; None if there is no futex."""
    # The number of a system call says nothing on another kernel, and a process of 32 bits has other numbers.
    number = _NUMBERS.get(platform.machine()) if platform.system() == "Linux" and sys.maxsize > 1 << 32 else None
    if number is None:
        return None
    try:
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).syscall
    except (ImportError, OSError, AttributeError):  # Python was built without ctypes, or the C library has no such call
        return None

    class Timespec(ctypes.Structure):
        _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

    def limit(timeout: float | None) -> Any:
        return None if timeout is None else ctypes.byref(Timespec(int(timeout), int(timeout % 1 * 1e9)))

    function.restype = ctypes.c_long
    return function, number, limit


def sleep_while(page: memoryview, offset: int, value: int, timeout: float | None) -> None:
    """Sleep while the 32-bit word at ``offset`` is ``value``: until woken, a signal, or ``timeout`` seconds.

    It may return early. Without futex it does so after 50 ms, since it cannot be woken.
    """
    call = None if is_cooperative() else _system_call()  # with greenlets poll, so that others run meanwhile
    if call is None:
        _poll(page, offset, value, timeout)
        return
    import ctypes

    function, number, limit = call
    word = ctypes.c_uint32.from_buffer(page, offset)
    try:
        result = function(number, ctypes.byref(word), _WAIT, ctypes.c_uint32(value), limit(timeout), None, 0)
        if result == -1 and ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT):
            _poll(page, offset, value, timeout)  # a sandbox without futex
    finally:
        del word  # a view with an exported buffer cannot be released


def wake_all(page: memoryview, offset: int) -> None:
    """Wake every thread that sleeps on the word."""
    _wake(page, offset, 0x7FFFFFFF)


def wake_one(page: memoryview, offset: int) -> None:
    """Wake the thread that has slept on the word for the longest."""
    _wake(page, offset, 1)


def _wake(page: memoryview, offset: int, count: int) -> None:
    call = _system_call()
    if call is None:
        return
    import ctypes

    function, number, _ = call
    word = ctypes.c_uint32.from_buffer(page, offset)
    try:
        function(number, ctypes.byref(word), _WAKE, count, None, None, 0)
    finally:
        del word


def _poll(page: memoryview, offset: int, value: int, timeout: float | None) -> None:
    expected = value.to_bytes(4, sys.byteorder)
    end = time.monotonic() + (_LOOK_AROUND if timeout is None else min(timeout, _LOOK_AROUND))
    backoff = Backoff(_POLL, _LONGEST_POLL, 1.5)
    while page[offset : offset + 4] == expected and time.monotonic() < end:
        backoff.sleep()
