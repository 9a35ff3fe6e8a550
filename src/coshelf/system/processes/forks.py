"""What is done before and after a fork. Where processes do not fork (Windows), it is never done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

__all__ = ["at_fork", "can_fork", "fork"]

can_fork = hasattr(os, "fork")
"""Whether processes of this system can fork."""


def fork() -> int:
    """As ``os.fork``. Raises OSError where processes cannot fork."""
    if not can_fork:
        raise OSError(errno.ENOSYS, "processes of this system do not fork")
    return os.fork()


def at_fork(
    *,
    before: Callable[[], Any] | None = None,
    after_in_parent: Callable[[], Any] | None = None,
    after_in_child: Callable[[], Any] | None = None,
) -> None:
    """Register functions, as ``os.register_at_fork``: those for before a fork are called in the reverse order."""
    register: Any = getattr(os, "register_at_fork", None)
    if register is None:
        return
    asked = {"before": before, "after_in_parent": after_in_parent, "after_in_child": after_in_child}
    register(**{name: function for name, function in asked.items() if function is not None})
