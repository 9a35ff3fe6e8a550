"""The command ``coshelf`` of a shell line in a test: ``standby.py`` runs it with what this process was given.

It imports as little as it can, because each line of a test starts it.
"""

import _socket
import marshal
import os
import sys


def ask() -> bytes:
    door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    door.connect(os.environ["COSHELF_STANDBY"])
    text = marshal.dumps((os.getcwd(), dict(os.environ), sys.argv[1:]))
    descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    door.sendmsg([len(text).to_bytes(8, "little")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    door.sendall(text)
    return door.recv(64)


status = ask()
if status == b"other":
    real = os.environ["COSHELF_REAL"]
    os.execv(real, [real, *sys.argv[1:]])
code = os.waitstatus_to_exitcode(int(status))
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
