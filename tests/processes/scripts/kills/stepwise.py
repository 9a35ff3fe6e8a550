import os
import signal
import sys

from scripts.kills.mother import fork
from talking import in_library, reap

import coshelf.engines.lmdb.engine  # noqa: F401 (so that no step is an import)

EVERY = int(sys.argv[-1])


def stepwise(prepare, work, check):
    step = 0
    while True:
        step += EVERY
        prepare()

        def die_at_step():
            count = 0

            def profile(frame, event, argument):
                nonlocal count
                if event == "c_return" and in_library(frame):
                    count += 1
                    if count == step:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.setprofile(profile)
            work()
            sys.setprofile(None)

        code = reap(fork(die_at_step))
        assert code in (0, -signal.SIGKILL), (step, code)
        check(step)
        if code == 0:
            return step
