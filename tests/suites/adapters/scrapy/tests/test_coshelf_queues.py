"""Scrapy's tests of disk queues: of objects, for which it takes those of queuelib, and of requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from queuelib.tests import test_queue as queuelib_tests
from scrapy.spiders import Spider
from scrapy.utils.misc import build_from_crawler
from scrapy.utils.test import get_crawler
from tests import test_squeues as scrapy_tests
from tests.test_squeues_request import TestRequestQueueBase

from coshelf.contrib.scrapy import FifoDiskQueue, LifoDiskQueue
from coshelf.contrib.scrapy.crawl_shelf import CrawlShelf
from coshelf.contrib.scrapy.queues import FifoObjectQueue, LifoObjectQueue


class _Objects(queuelib_tests.PersistentTestMixin, queuelib_tests.QueueTestMixin):
    test_serialize_item = scrapy_tests.PickleFifoDiskQueueTest.test_serialize_item
    test_serialize_loader = scrapy_tests.PickleFifoDiskQueueTest.test_serialize_loader
    test_serialize_request_recursive = scrapy_tests.PickleFifoDiskQueueTest.test_serialize_request_recursive
    test_non_pickable_object = scrapy_tests.PickleFifoDiskQueueTest.test_non_pickable_object


class TestFifoObjectQueue(
    queuelib_tests.FifoTestMixin, _Objects, scrapy_tests.FifoQueueTestMixin, queuelib_tests.QueuelibTestCase
):
    def queue(self):
        return FifoObjectQueue(CrawlShelf(str(self.qpath)), "objects")


class TestLifoObjectQueue(
    queuelib_tests.LifoTestMixin, _Objects, scrapy_tests.LifoQueueTestMixin, queuelib_tests.QueuelibTestCase
):
    def queue(self):
        return LifoObjectQueue(CrawlShelf(str(self.qpath)), "objects")


class _Requests(TestRequestQueueBase):
    kind: type

    @pytest.fixture
    def q(self, tmp_path: Path):
        crawler = get_crawler(Spider, {"JOBDIR": str(tmp_path)})
        queue = build_from_crawler(self.kind, crawler, key=str(tmp_path / "requests.queue" / "0"))
        yield queue
        queue.close()


class TestFifoDiskQueue(_Requests):
    kind = FifoDiskQueue
    is_fifo = True


class TestLifoDiskQueue(_Requests):
    kind = LifoDiskQueue
    is_fifo = False


del TestRequestQueueBase  # it is abstract
