"""Notices code that runs while something is only to be decoded, by Python's audit events."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CodeRan", "watching"]

# What decoding data has no business with; "import" is allowed for what is loaded already.
_NEVER = (
    *("os.", "subprocess.", "shutil.", "socket.", "ctypes.", "exec", "compile", "code.", "marshal.", "function."),
    *(
        "pickle.find_class",
        "builtins.input",
        "pty.",
        "webbrowser.",
        "urllib.",
        "ftplib.",
        "smtplib.",
        "tempfile.",
        "pathlib.",
    ),
    *("sys.settrace", "sys.setprofile", "sys.addaudithook", "sys._getframe", "glob.", "mmap.", "signal.", "sqlite3."),
)
_READING = ("os.listdir", "os.scandir", "os.fwalk")


class CodeRan(AssertionError):
    """Something happened that no data asks for."""


class _State:
    armed = False
    seen: list[str]
    has_hook = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _State.armed:
        return
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) <= set("rbt"):
        return
    if event == "import":
        if arguments[0] in sys.modules:
            return
    elif event != "open" and not event.startswith(_NEVER):
        return
    _State.seen.append(f"{event}{arguments!r:.200}")
    raise CodeRan(_State.seen[-1])


@contextmanager
def watching() -> Iterator[None]:
    """Raise :class:`CodeRan` if the block does more than decode, whatever it catches itself."""
    if not _State.has_hook:
        sys.addaudithook(_hook)
        _State.has_hook = True
    _State.seen = []
    _State.armed = True
    try:
        yield
    finally:
        _State.armed = False
    if _State.seen:
        raise CodeRan(_State.seen[0])
