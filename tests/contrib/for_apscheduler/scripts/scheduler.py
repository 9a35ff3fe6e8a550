"""A real scheduler. It says "ran" for each run of its job, and adds the job if it is told its interval in seconds."""

import sys

from apscheduler.schedulers.background import BackgroundScheduler
from talking import hear, path, say

from coshelf.contrib.apscheduler import CoshelfJobStore


def job():
    say("ran")


scheduler = BackgroundScheduler(jobstores={"default": CoshelfJobStore(path)})
scheduler.start()
if len(sys.argv) > 2:
    scheduler.add_job("__main__:job", "interval", seconds=float(sys.argv[2]), id="job", misfire_grace_time=None)
say("started")
hear()
scheduler.shutdown()
