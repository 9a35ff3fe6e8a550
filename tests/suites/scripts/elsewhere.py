"""Programs in processes of their own, in the environment of the one that starts them."""

from __future__ import annotations

import subprocess
import sys

PATIENCE = 600  # seconds


def elsewhere(code: str, *arguments: object) -> str:
    """Run code in another process; return what it prints."""
    return at_once(code, [arguments])[0]


def at_once(code: str, calls: list[tuple[object, ...]]) -> list[str]:
    """Run code in several processes that live at the same time; return what each prints."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in calls
    ]
    said = []
    for process in processes:
        output, complaint = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, complaint
        said.append(output.strip())
    return said
