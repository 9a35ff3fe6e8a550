"""Scrapy's tests of the scheduler, with coshelf's scheduler and disk queues."""

from __future__ import annotations

from pathlib import Path

import pytest
from scrapy.settings import default_settings
from tests import test_scheduler as scrapy_tests

import coshelf.contrib.scrapy as ours


class MockCrawler(scrapy_tests.MockCrawler):
    """Scrapy's, whose engine has no requests in progress."""

    def __init__(self, priority_queue_cls: str, jobdir: Path | None) -> None:
        super().__init__(priority_queue_cls, jobdir)
        self.settings.set("SCHEDULER_DISK_QUEUE", "coshelf.contrib.scrapy.LifoDiskQueue", "cmdline")
        self.settings.set("SCHEDULER_START_DISK_QUEUE", "coshelf.contrib.scrapy.FifoDiskQueue", "cmdline")
        self.engine._slot.inprogress = set()


scrapy_tests.MockCrawler = MockCrawler
scrapy_tests.Scheduler = ours.Scheduler

from tests.test_scheduler import *  # noqa: E402, F403


@pytest.fixture(autouse=True)
def by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crawlers that the tests make by themselves have coshelf's classes, too."""
    for setting, name in (
        ("SCHEDULER", "Scheduler"),
        ("SCHEDULER_DISK_QUEUE", "LifoDiskQueue"),
        ("SCHEDULER_START_DISK_QUEUE", "FifoDiskQueue"),
    ):
        monkeypatch.setattr(default_settings, setting, f"coshelf.contrib.scrapy.{name}")


class TestSchedulerWithCoshelfPriorityQueueOnDisk(scrapy_tests.TestSchedulerWithDownloaderAwareOnDisk):
    priority_queue_cls = "coshelf.contrib.scrapy.PriorityQueue"
