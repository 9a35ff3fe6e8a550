"""Takes one item, says so, and holds it until it is told to go on."""

from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    jobs = shelf.queue("jobs")
    say("ready")
    taking = jobs.take(timeout=60)
    with taking as job:
        say(job, taking.attempt)
        if hear() == "fail":
            raise SystemExit(0)
say("done")
