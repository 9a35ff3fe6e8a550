"""Free ports of this machine.

The kernel may give the same port to two callers. It does so when the first caller has closed its probe and the server
does not listen yet, or when the server is down. So these ports are below those that the kernel gives, and are given one
after another. A file that all processes of tests share has the last one.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile

__all__ = ["free_port", "free_ports"]

_FIRST, _LAST = 20_000, 32_000


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    with open(os.path.join(tempfile.gettempdir(), f"coshelf-test-ports-{os.geteuid()}"), "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = int(file.read() or _FIRST)
        while len(found) < count:
            port = port + 1 if port < _LAST else _FIRST
            if _is_free(port):
                found.append(port)
        file.truncate(0)
        file.write(b"%d" % port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
