"""Notes what was refused to whom, so that a test can tell whether anybody asked at all."""

from __future__ import annotations

import os

__all__ = ["NOTES", "note"]

NOTES = "COSHELF_TESTS_REFUSED"
"""The variable with the path of the file of notes, one refusal a line. ``refuse.c`` writes there, too."""
_noted: set[str] = set()


def note(refused: str) -> None:
    """Note a refusal, once for each process."""
    path = os.environ.get(NOTES)
    if path is None or refused in _noted:
        return
    _noted.add(refused)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.write(descriptor, f"{refused}\n".encode())
    finally:
        os.close(descriptor)
