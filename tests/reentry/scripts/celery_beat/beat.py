import sys

import celery
import celery.beat

from coshelf import shelve


class Scheduler(celery.beat.PersistentScheduler):  # type: ignore[misc]
    persistence = shelve


app = celery.Celery("tasks", broker="memory://")
app.conf.beat_schedule = {"task": {"task": "tasks.task", "schedule": 0.02}}
app.conf.beat_sync_every = 1
app.Beat(schedule=sys.argv[1], scheduler_cls=Scheduler, max_interval=0.02, quiet=True).run()
