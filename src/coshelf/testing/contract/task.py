"""Work in another thread while the test watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Task"]

# The longest time for something that must happen. A broken engine fails instead of hanging.
PATIENCE = 300.0
# How long to watch that something does not happen. A longer time could only find more faults.
GLIMPSE = 0.05


class Task(threading.Thread):
    """A function that runs in another thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Call the function. The thread calls this."""
        try:
            self._result = self._function()
        except BaseException as error:  # finish() raises it
            self._error = error

    def still_runs(self) -> bool:
        """Whether the function has not ended after a short time."""
        self.join(GLIMPSE)
        return self.is_alive()

    def finish(self) -> Any:
        """Wait for the function; return what it returned, or raise what it raised."""
        self.join(PATIENCE)
        assert not self.is_alive(), f"still waiting after {PATIENCE:.0f} s"
        if self._error is not None:
            raise self._error
        return self._result
