"""huey's tests of storages."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="huey",
    distribution="huey",
    label="its `StorageTests`, on lmdb, `sqlite:` and `memory:`, and its tests of the API, priorities and consumers",
    overlay=("test_coshelf.py",),
    tests=("test_coshelf.py",),
    environment=(("HUEY_SLOW_TESTS", "1"),),
)
