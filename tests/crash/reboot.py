"""Run a Python program as after a reboot: ``reboot.py PROGRAM ARGUMENT...``, as one would call the interpreter.

The program, and what it starts, reads another boot id than this boot has; nothing else changes. It is a bind mount in a
namespace of the program's own, so it needs root, and nothing of it stays.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import uuid

from mounts import BIND, enter_namespace, mount

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def command() -> list[str]:
    """What to put in place of the interpreter in a command line."""
    return [sys.executable, os.path.abspath(__file__)]


@functools.cache
def why_unusable() -> str:
    """Empty if programs can be run as after a reboot."""
    if os.geteuid() != 0:
        return "only root can mount another boot id"
    tried = subprocess.run([*command(), "-c", f"print(open({BOOT_ID!r}).read())"], capture_output=True, text=True)
    if tried.returncode != 0:
        return f"another boot id cannot be mounted: {tried.stderr.strip().splitlines()[-1]}"
    with open(BOOT_ID, encoding="ascii") as file:
        return "the boot id stays the same" if tried.stdout.strip() == file.read().strip() else ""


def reboot() -> None:
    """From here on this process, and those that it starts, are in another boot."""
    enter_namespace()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"{uuid.uuid4()}\n")
        file.flush()
        mount(file.name, BOOT_ID, flags=BIND)


if __name__ == "__main__":
    reboot()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
