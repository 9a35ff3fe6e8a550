"""APScheduler 3 on a shelf: jobs that several schedulers share, one of which runs them.

>>> from apscheduler.schedulers.background import BackgroundScheduler
>>> from coshelf.contrib.apscheduler import CoshelfJobStore
>>> scheduler = BackgroundScheduler(jobstores={"default": CoshelfJobStore("memory:")})
>>> scheduler.start()
>>> job = scheduler.add_job("platform:node", "interval", hours=1, id="ask")
>>> [job.id for job in scheduler.get_jobs()]
['ask']
>>> scheduler.shutdown()
"""

from __future__ import annotations

from coshelf.contrib.apscheduler.jobs import CoshelfJobStore

__all__ = ["CoshelfJobStore"]
