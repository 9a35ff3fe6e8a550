import os
import sys

from scripts.forks.held import check, child
from talking import reap, say

for _ in range(4):
    pid = os.fork()
    if pid == 0:
        child()
        say("child")
        match sys.argv[2]:
            case "os._exit":
                os._exit(0)
            case "sys.exit":
                sys.exit(0)
            case "exception":
                raise SystemExit
        break
    assert reap(pid) == 0
else:
    check()
    say("parent")
