import os
import sys

from talking import hear, path, say

import coshelf.engines.lmdb.engine

os.umask(0)
with coshelf.open(path) as meeting:
    say("ready")
    hear()
    for turn in range(60):
        meeting.modify(turn, lambda n: n + 1, default=0)
        while meeting[turn] < 6:
            os.sched_yield()  # to those who have not counted yet
        with coshelf.open(f"{path}.{turn}") as shelf:
            shelf[int(sys.argv[2])] = turn
            assert os.stat(shelf.name).st_mode & 0o777 == 0o600
