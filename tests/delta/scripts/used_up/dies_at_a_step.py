"""Kills itself behind each C call in turn that returns inside the library, from the beginning of the replacement on."""

import os
import signal
import sys

from scripts.used_up.filling import shelf
from talking import hear, in_library, say

from coshelf.engines.lmdb.delta.committer import Committer
from coshelf.engines.lmdb.delta.flusher import Flusher

replace = Committer.replace_delta
step = int(sys.argv[2])
count = 0


def profile(frame, event, argument):
    global count
    if event == "c_return" and in_library(frame):
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)


def replace_and_die(self):
    sys.setprofile(profile)
    replace(self)
    sys.setprofile(None)
    say("survived")
    os._exit(0)


Committer.replace_delta = replace_and_die
Flusher.notice = lambda self: None
say("made")
hear()
turn = shelf["turn"]
while True:
    turn += 1
    shelf.update({"turn": turn, ("half", turn % 50): "x" * 30_000 + str(turn)})
    if turn % 10 == 0:
        shelf.sync()
    say(turn)
