"""A real ``celery beat``. It says "sent" after each message that it has sent."""

import sys

from celery import Celery
from celery.signals import after_task_publish
from talking import path, say

app = Celery("tests", broker="memory://", set_as_current=False)
app.conf.worker_redirect_stdouts = False
app.conf.beat_schedule = {"often": {"task": "tests.report", "schedule": 0.1}}


@after_task_publish.connect
def tell(**_):
    say("sent")


sys.argv[1:] = []
app.start(["--quiet", "beat", "-S", "coshelf.contrib.celery:Scheduler", "-s", path, "--pidfile="])
