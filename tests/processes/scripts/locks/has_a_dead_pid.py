"""A dead process with the pid of this one held the lock. Another process has the shelf open all the while."""

import os

from talking import path, say

import coshelf

directory, name = os.path.split(path)
state = os.path.join(directory, f".{name}.coshelf", "state")
with open(state, "r+b", buffering=0) as page:
    page.seek(192)
    page.write(os.getpid().to_bytes(4, "little"))
    page.seek(64)
    page.write((1).to_bytes(4, "little"))
with coshelf.open(path, timeout=30) as shelf:
    with shelf.transaction() as transaction:
        transaction["mine"] = 1
    with open(state, "rb") as page:
        page.seek(192)
        assert page.read(4) == bytes(4)
say("done")
