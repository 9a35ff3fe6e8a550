"""Scrapy's own tests of queues, priority queues, scheduler, duplicate filter, spider state and HTTP cache."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="scrapy",
    distribution="scrapy",
    label="its tests of queues, priority queues, the scheduler, the duplicate filter, the spider state, the HTTP cache",
    unpacked=("tests/", "conftest.py"),
    overlay=("tests/*.py",),
    tests=tuple(
        f"tests/test_coshelf_{name}.py"
        for name in ("queues", "pqueues", "scheduler", "dupefilters", "state", "httpcache")
    ),
    deselected=(
        "tests/test_coshelf_queues.py::TestFifoObjectQueue::test_cleanup",
        "tests/test_coshelf_queues.py::TestLifoObjectQueue::test_cleanup",
        "tests/test_coshelf_pqueues.py::test_slot_directory_removed_when_slot_drains",
        "tests/test_coshelf_dupefilters.py::TestRFPDupeFilter::test_seenreq_truncated",
    ),
    why="they look for the files and directories of Scrapy's own queues and filter",
)
