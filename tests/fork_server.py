"""A process that has imported coshelf, and forks for each program of a test. ``forked.py`` starts it.

Requests come from the socket that is its standard input. Each has a marshalled tuple and four descriptors: standard
input, output and error of the program, and a socket that is told the pid and the status with which the program ended.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import socket
import sys
from types import CodeType

__all__ = ["FAILPOINTS", "LARGEST", "MAIN", "next_program"]

MAIN = "from fork_server import next_program; exec(next_program())"
"""What the process runs. A program takes the place of this text in ``__main__``."""
FAILPOINTS = "COSHELF_FAILPOINTS"
"""The variable that may be another for each program."""
LARGEST = 1 << 17
"""The largest request, in bytes. The kernel sends it as one."""


def next_program() -> CodeType:
    """Fork for each request, until the test process ends. Return a program in each process that is to run it."""
    _import_coshelf()
    gc.collect()
    gc.freeze()
    requests = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps those that wait for programs
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, LARGEST, 4)
        if not request:
            requests.close()
            sys.exit()
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _keep(descriptors)
            return _become(descriptors, *marshal.loads(request))
        for descriptor in descriptors:
            os.close(descriptor)


def _import_coshelf() -> None:
    """Import what most programs use. Not at the top: tests import this module where the lmdb engine cannot work."""
    import failpoint_names  # noqa: F401

    import coshelf.engines.lmdb.engine
    import coshelf.engines.lmdb.environment
    import coshelf.errors  # noqa: F401


def _keep(descriptors: list[int]) -> None:
    """Fork once more: return in the process of the program, and wait for its end in this one."""
    told = socket.socket(fileno=descriptors.pop())
    program = os.fork()
    if program == 0:
        told.close()
        return
    for descriptor in descriptors:
        os.close(descriptor)
    told.sendall(str(program).encode())
    told.sendall(str(os.waitpid(program, 0)[1]).encode())
    os._exit(0)


def _become(
    descriptors: list[int],
    directory: str,
    environment: dict[str, str],
    text: str,
    path: str | None,
    arguments: list[str],
) -> CodeType:
    """Take on what a new interpreter would have been given, and compile the program."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = [path or "-c", *arguments]
    if FAILPOINTS in environment:
        from failpoint_names import arm

        arm(environment[FAILPOINTS])
    main = vars(sys.modules["__main__"])
    del main["next_program"]
    if path is not None:
        sys.path[0] = os.path.dirname(path)
        main["__file__"] = path
    return compile(text, path or "<string>", "exec", dont_inherit=True)
