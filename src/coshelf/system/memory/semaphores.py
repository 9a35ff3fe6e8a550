"""Named semaphores of POSIX, by which processes that do not know each other exclude each other.

A semaphore does not end with the process that took it. Whoever uses one has to know by other means that its holder
has died.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

__all__ = ["Semaphore"]


@functools.cache
def _library() -> Any:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    library.sem_open.restype = ctypes.c_void_p
    library.sem_open.argtypes = [ctypes.c_char_p, ctypes.c_int]
    for call in (library.sem_trywait, library.sem_post, library.sem_close):
        call.argtypes = [ctypes.c_void_p]
    return library


@functools.cache
def _failures() -> frozenset[int | None]:
    import ctypes

    return frozenset((None, 0, ctypes.c_void_p(-1).value))  # SEM_FAILED of glibc and musl, and of macOS


class Semaphore:
    """A semaphore that exists. Raises OSError if it does not, or if Python was built without ctypes."""

    def __init__(self, name: bytes) -> None:
        try:
            library = _library()
        except (ImportError, AttributeError, TypeError) as error:
            raise OSError(errno.ENOSYS, f"semaphores cannot be reached: {error}") from error
        address = library.sem_open(name, 0)
        if address in _failures():
            raise _last_error()
        self._address: int | None = address

    def try_to_take(self) -> bool:
        """Take it if it is free. Return whether it was taken. Raises OSError."""
        while _library().sem_trywait(self._address):
            error = _last_error()
            if error.errno == errno.EAGAIN:
                return False
            if error.errno != errno.EINTR:
                raise error
        return True

    def give_back(self) -> None:
        """Let one process take it. Raises OSError."""
        if _library().sem_post(self._address):
            raise _last_error()

    def close(self) -> None:
        """Close it in this process. Closing twice is fine."""
        address, self._address = self._address, None
        if address is not None:
            _library().sem_close(address)


def _last_error() -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
