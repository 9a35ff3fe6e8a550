"""Waits for an item, and says what came of it. An interrupt ends the wait, and then it waits once more."""

from talking import path, say

import coshelf

with coshelf.open(path) as shelf:
    jobs = shelf.queue("jobs")
    try:
        say("ready")
        say("got", jobs.get(timeout=120))
    except KeyboardInterrupt:
        say("interrupted")
        say("got", jobs.get(timeout=120))
