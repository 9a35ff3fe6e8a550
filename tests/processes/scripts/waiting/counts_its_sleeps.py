import scripts.waiting.patient  # noqa: F401
from talking import path, say

import coshelf.mapping.shelf
from coshelf.engines.lmdb.files.state_page import Bell

sleeps = 0
sleep = Bell.wait


def counted(*arguments):
    global sleeps
    sleeps += 1
    sleep(*arguments)


Bell.wait = counted
with coshelf.open(path) as shelf:
    say("ready")
    shelf.wait("it")
    say(sleeps)
