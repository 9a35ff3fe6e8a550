"""Another thread, in which something is done while the test looks on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Task"]

# How long something that must happen may take, so that a broken engine fails instead of hanging.
PATIENCE = 30.0
# How long to look on while something must not happen. A longer look could only find more faults.
GLIMPSE = 0.05


class Task(threading.Thread):
    """Something that another thread does."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do it; called by the thread."""
        try:
            self._result = self._function()
        except BaseException as error:  # raised again where somebody listens
            self._error = error

    def still_runs(self) -> bool:
        """Whether it has not ended after a glimpse of time."""
        self.join(GLIMPSE)
        return self.is_alive()

    def finish(self) -> Any:
        """What the function returned or raised, once it has."""
        self.join(PATIENCE)
        assert not self.is_alive(), f"still waiting after {PATIENCE:.0f} s"
        if self._error is not None:
            raise self._error
        return self._result
