"""What the figures of a run depend on."""

from __future__ import annotations

import os
import platform
import subprocess
import time

from coshelf import native

__all__ = ["described"]


def described(place: str) -> dict[str, str]:
    """The machine, its load at this moment, and whether coshelf's module in C is in use. ``place`` is on its disk."""
    file_system = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=False)
    return {
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file system": file_system.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
        "module in C": native.reason or "in use",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }
