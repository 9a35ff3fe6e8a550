"""huey's `StorageTests`, on three engines, and its tests of consumers and of the API with our storage."""

from __future__ import annotations

import tempfile

from huey.tests import test_api, test_consumer, test_priority, test_storage
from huey.tests.base import BaseTestCase

from coshelf.contrib.huey import CoshelfHuey


class OnLmdb:
    target = "{}/a.shelf"

    def get_huey(self):
        target = self.target.format(tempfile.mkdtemp())
        return CoshelfHuey("suite", target=target, utc=False, read_timeout=0.01)


class OnSqlite(OnLmdb):
    target = "sqlite:{}/a.sqlite"


class OnMemory(OnLmdb):
    target = "memory:"


class TestOnLmdb(OnLmdb, test_storage.StorageTests, BaseTestCase):
    pass


class TestOnSqlite(OnSqlite, test_storage.StorageTests, BaseTestCase):
    pass


class TestOnMemory(OnMemory, test_storage.StorageTests, BaseTestCase):
    pass


def _makes_the_usual(cases):
    return isinstance(cases, type) and issubclass(cases, BaseTestCase) and cases.get_huey is BaseTestCase.get_huey


# Its other tests that make a huey over a storage in memory, with ours in its place.
for _module in (test_api, test_consumer, test_priority):
    for _name, _cases in list(vars(_module).items()):
        if _makes_the_usual(_cases) and _cases is not BaseTestCase:
            globals()[f"TestOurs{_name}"] = type(f"TestOurs{_name}", (OnLmdb, _cases), {})
