"""Scrapy's tests of priority queues, with coshelf's disk queues and its queue of download slots."""

from __future__ import annotations

import tempfile

from scrapy.utils import test as scrapy_making
from tests import test_pqueues as scrapy_tests

from coshelf.contrib.scrapy import FifoDiskQueue, PriorityQueue

scrapy_tests.PickleFifoDiskQueue = FifoDiskQueue
scrapy_tests.DownloaderAwarePriorityQueue = PriorityQueue
scrapy_tests.get_crawler = lambda spider: scrapy_making.get_crawler(spider, {"JOBDIR": tempfile.mkdtemp()})

from tests.test_pqueues import *  # noqa: E402, F403
