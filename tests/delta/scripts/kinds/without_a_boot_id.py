import ctypes
import os
import sys

from talking import path

import coshelf

libc = ctypes.CDLL(None, use_errno=True)
NEW_NAMESPACE, BIND, PRIVATE, RECURSIVE = 0x20000, 4096, 1 << 18, 16384
if libc.unshare(NEW_NAMESPACE) or libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None):
    sys.exit()
if libc.mount(b"/dev/null", b"/proc/sys/kernel/random/boot_id", None, BIND, None):
    sys.exit()
with coshelf.open(path) as shelf:
    assert shelf.capabilities.acknowledged == "durable"
    assert not os.path.exists(os.path.join(os.path.dirname(path), ".a.shelf.coshelf/delta"))
    shelf["a"] = 1
    assert shelf["a"] == 1
