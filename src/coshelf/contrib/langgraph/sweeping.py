"""Removes expired entries of a shelf at intervals, in a thread."""

from __future__ import annotations

import threading

from coshelf.contrib.parts import Part

__all__ = ["Sweeper"]


class Sweeper:
    """Sweeps until it is stopped, or the process ends. A pickled or forked sweeper does not run."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, minutes: float) -> None:
        """Sweep every so many minutes. A sweeper that runs goes on as it is.

        Raises:
            ValueError: the minutes are not more than 0.
        """
        if not minutes > 0:
            raise ValueError(f"the interval between sweeps must be more than 0 minutes, not {minutes!r}")
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, args=(minutes * 60,), name="coshelf-sweeper", daemon=True)
            self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Stop, and wait for it, up to ``timeout`` seconds. Return whether it has stopped."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def _run(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            self._part.whole.expire()

    def __reduce__(self) -> tuple[type[Sweeper], tuple[Part]]:
        return Sweeper, (self._part,)
