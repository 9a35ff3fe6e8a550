"""APScheduler's tests of job stores, on three engines."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="apscheduler",
    distribution="apscheduler",
    label="its tests of job stores, on lmdb, `sqlite:` and `memory:`",
    unpacked=("tests/",),
    overlay=("tests/*.py",),
    tests=("tests/test_coshelf.py",),
)
