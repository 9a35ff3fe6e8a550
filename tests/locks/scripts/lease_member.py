"""Stands in a line whose turns end with leases. The arguments: engine, lease, and how this machine differs.

"other": another machine, so that nobody sees at once that this process has ended. A number: its clock is wrong by that
many seconds, too.
"""

import logging
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from lease_engines import opened
from talking import hear, path, say

from coshelf.engines.leases import members as found
from coshelf.system.processes.identity import Process

logging.getLogger("coshelf").setLevel(logging.ERROR)  # a warning says that a busy server has not answered yet
members: Any = found
lease, machine = float(sys.argv[2]), sys.argv[3]
if machine != "same":
    members.this_process = lambda: Process("another machine", 1, 1, 1)
if machine not in ("same", "other"):
    real, wrong = time.time, float(machine)
    time.time = lambda: real() + wrong

engine: Any = opened(path, lease)
place = engine.turns().join(b"door")
say("joined")
while (word := hear()) and word != "end":
    if word == "wait":
        assert place.wait(None)
        say(place.token)
    elif word == "lost?":
        say(place.is_lost)
    elif word == "leave":
        place.leave()
        say("left")
engine.close()
