"""A pipe by which one thread wakes another one that waits for descriptors."""

from __future__ import annotations

import contextlib
import socket

from coshelf.system.waiting.polling import readable

__all__ = ["Bell"]


class Bell:
    """Rings for a thread that waits for :attr:`descriptor` together with others.

    A pair of sockets: unlike a pipe, it can be waited for on Windows, too.
    """

    def __init__(self) -> None:
        self._hears, self._rings = socket.socketpair()
        self._hears.setblocking(False)
        self._rings.setblocking(False)

    @property
    def descriptor(self) -> int:
        """What becomes readable when the bell rings."""
        return self._hears.fileno()

    def ring(self) -> None:
        """Wake the waiting thread, or the next one that waits."""
        with contextlib.suppress(OSError):  # it is full, so the thread is about to wake; or it is closed
            self._rings.send(b"\0")

    def silence(self) -> None:
        """Forget rings so far."""
        with contextlib.suppress(BlockingIOError):
            while self._hears.recv(4096):
                pass

    def wait(self, timeout: float | None) -> bool:
        """Wait for a ring, for up to ``timeout`` seconds. Return whether it rang."""
        return bool(readable((self.descriptor,), timeout))

    def close(self) -> None:
        """Close both ends."""
        self._hears.close()
        self._rings.close()
