"""APScheduler's tests of job stores, with ours in the place of each of its own."""

from __future__ import annotations

import inspect

import pytest
from tests import test_jobstores
from tests.test_jobstores import create_add_job

from coshelf.contrib.apscheduler import CoshelfJobStore

__all__ = ["create_add_job"]

_TARGETS = {"lmdb": "{}/a.shelf", "sqlite": "sqlite:{}/a.sqlite", "memory": "memory:"}


@pytest.fixture(params=_TARGETS)
def jobstore(request, tmp_path):
    store = CoshelfJobStore(_TARGETS[request.param].format(tmp_path))
    store.start(None, "coshelf")
    yield store
    store.shutdown()


@pytest.fixture
def persistent_jobstore(jobstore):
    return jobstore


# Those that are for every store. The others are about options of one of APScheduler's own.
for _name, _test in inspect.getmembers(test_jobstores, inspect.isfunction):
    if _name.startswith("test_") and {"jobstore", "persistent_jobstore"} & set(inspect.signature(_test).parameters):
        globals()[_name] = _test
