"""Django's tests of backends of Tasks, with ours in the place of its own two.

DummyBackend stores and runs nothing: the part of ours that takes tasks. ImmediateBackend runs each task at once: ours,
with a worker that runs one task.
"""

import tempfile
from unittest import mock

from asgiref.sync import sync_to_async

from coshelf.contrib.django.tasks import CoshelfBackend, Worker
from coshelf.contrib.django.tasks.rows import result_of


class OnShelf(CoshelfBackend):
    """Each instance has a shelf of its own."""

    def __init__(self, alias, params):
        location = f"{tempfile.mkdtemp()}/tasks.shelf"  # in the directory that runtests.py removes
        super().__init__(alias, {**params, "LOCATION": location})


class Dummy(OnShelf):
    """What the tests of DummyBackend look at."""

    @property
    def results(self):
        """All results."""
        rows = self.shelf.items(prefix="results/")
        return [result_of(key.removeprefix("results/"), row, self.alias) for key, row in rows]

    def clear(self):
        """Forget all results."""
        self.shelf.clear()


class Immediate(OnShelf):
    """Runs each task at once."""

    def enqueue(self, task, args, kwargs):
        """Run the task."""
        self.queue(task.queue_name).clear()
        result = super().enqueue(task, args, kwargs)
        return self._run(result)

    async def aenqueue(self, task, args, kwargs):
        """Run the task."""
        result = await super().aenqueue(task, args, kwargs)
        return await sync_to_async(self._run)(result)

    def _run(self, result):
        assert Worker(self, result.task.queue_name).run_one()
        return self.get_result(result.id)


with (
    mock.patch("django.tasks.backends.dummy.DummyBackend", Dummy),
    mock.patch("django.tasks.backends.immediate.ImmediateBackend", Immediate),
):
    from tasks import test_dummy_backend, test_immediate_backend, test_tasks


class InPlace:
    """Has the names in the settings of the tests mean our backends."""

    @classmethod
    def setUpClass(cls):
        for name, ours in (("dummy.DummyBackend", Dummy), ("immediate.ImmediateBackend", Immediate)):
            cls.enterClassContext(mock.patch(f"django.tasks.backends.{name}", ours))
        super().setUpClass()


class DummyTests(InPlace, test_dummy_backend.DummyBackendTestCase):
    """The tests of DummyBackend."""

    # They change an object in the memory of DummyBackend.
    test_refresh_result = test_refresh_result_async = None


class DummyTransactionTests(InPlace, test_dummy_backend.DummyBackendTransactionTestCase):
    """The tests of DummyBackend beside a transaction of the database."""


class ImmediateTests(InPlace, test_immediate_backend.ImmediateBackendTestCase):
    """The tests of ImmediateBackend."""

    # They demand that the backend has no results, and no tasks that run later.
    test_cannot_get_result = test_cannot_refresh_result = test_cannot_pass_run_after = None


class ImmediateTransactionTests(InPlace, test_immediate_backend.ImmediateBackendTransactionTestCase):
    """The tests of ImmediateBackend beside a transaction of the database."""


class TaskTests(InPlace, test_tasks.TaskTestCase):
    """The tests of tasks."""
