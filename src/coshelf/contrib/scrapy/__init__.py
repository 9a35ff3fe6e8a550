"""Scrapy: crawls that go on after a kill, and the HTTP cache, in one shelf.

A project adds two settings::

    ADDONS = {"coshelf.contrib.scrapy.Addon": 300}
    JOBDIR = "crawls/books"

The file ``crawl.shelf`` in the job directory then has the requests that wait, the requests that are in progress, the
fingerprints of those that were seen, the state of the spider, and the HTTP cache if it is enabled. Each request that
the scheduler takes is one commit, with its fingerprint. docs/integrations/scrapy.md has the promises and the settings.

Settings:
    COSHELF_TARGET: a path or URL, instead of ``crawl.shelf`` in the job directory.
    COSHELF_OPTIONS: a dict of further arguments of :func:`coshelf.open`.
    COSHELF_HTTPCACHE_TARGET, COSHELF_HTTPCACHE_OPTIONS: the same for the HTTP cache, if it is to be elsewhere.

>>> from scrapy.settings import Settings
>>> settings = Settings({"JOBDIR": "crawls/books"})
>>> Addon().update_settings(settings)
>>> settings["SCHEDULER"]
'coshelf.contrib.scrapy.Scheduler'
"""

from coshelf.contrib.scrapy.addon import Addon
from coshelf.contrib.scrapy.dupefilter import DupeFilter
from coshelf.contrib.scrapy.httpcache import CacheStorage
from coshelf.contrib.scrapy.queues import FifoDiskQueue, LifoDiskQueue
from coshelf.contrib.scrapy.scheduling import PriorityQueue, Scheduler
from coshelf.contrib.scrapy.state import SpiderState

__all__ = [
    "Addon",
    "CacheStorage",
    "DupeFilter",
    "FifoDiskQueue",
    "LifoDiskQueue",
    "PriorityQueue",
    "Scheduler",
    "SpiderState",
]
