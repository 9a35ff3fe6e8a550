"""Runs the command line in forks of itself, which need not start an interpreter and import what all commands import.

Each connection brings standard input, output and error, the directory, the environment and the arguments. It gets the
status with which the command ended. A line of the shell talks to this program through ``through_standby.py``.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import signal
import socket
import sys
from typing import Any

import coshelf.cli.commands
import coshelf.cli.shelves
import coshelf.cli.values
import coshelf.engines.lmdb.engine
import coshelf.engines.lmdb.environment  # noqa: F401
from coshelf.cli import main

AT_START = ("PYTHON", "LANG", "LC_")
"""Beginnings of variables that an interpreter reads when it starts. With others a command needs one of its own."""


def hear(connection: socket.socket) -> tuple[list[int], bytes]:
    """The three descriptors, and the text, whose length comes first."""
    start, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
    return descriptors, connection.recv(int.from_bytes(start, "little"), socket.MSG_WAITALL)


def become(descriptors: list[int], directory: str, environment: dict[str, str], arguments: list[str]) -> None:
    """Take on what a new process would have been given."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["coshelf", *arguments]
    output = sys.stdout
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)
    sys.stdout = open(1, "w", encoding=output.encoding, errors=output.errors, closefd=False)
    sys.stderr = open(2, "w", 1, encoding=output.encoding, errors="backslashreplace", closefd=False)


def keep(connection: socket.socket) -> bool:
    """Start a command, wait for it, and tell its status. Return true in the process of the command."""
    descriptors, text = hear(connection)
    directory, environment, arguments = marshal.loads(text)
    mine = {name: value for name, value in os.environ.items() if name.startswith(AT_START)}
    if mine != {name: value for name, value in environment.items() if name.startswith(AT_START)}:
        connection.sendall(b"other")
        return False
    command = os.fork()
    if command == 0:
        connection.close()
        become(descriptors, directory, environment, arguments)
        return True
    for descriptor in descriptors:
        os.close(descriptor)
    awaited: list[Any] = [os.pidfd_open(command), connection]
    if connection in select.select(awaited, [], [])[0]:  # the client was killed
        os.kill(command, signal.SIGKILL)
    connection.sendall(str(os.waitpid(command, 0)[1]).encode())
    return False


def serve(listener: socket.socket) -> None:
    """Fork for each connection, until the test process ends, which holds standard input of this one.

    The function returns in each process that is to become a command.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps those that wait for commands
    awaited: list[Any] = [listener, 0]
    while 0 not in select.select(awaited, [], [])[0]:
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if keep(connection):
            return
        os._exit(0)
    sys.exit()


if __name__ == "__main__":
    gc.freeze()
    door = socket.socket(socket.AF_UNIX)
    door.bind(sys.argv[1])
    door.listen(64)
    print("ready", flush=True)
    serve(door)
    main()
