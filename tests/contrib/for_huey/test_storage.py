"""The storage for huey: its own tests of storages, and what consumers that share a shelf see."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

os.environ["HUEY_SLOW_TESTS"] = "1"  # read when the suite is imported

from huey.exceptions import ResultTimeout
from huey.tests.base import BaseTestCase
from huey.tests.test_storage import StorageTests
from support import Crew

import coshelf
from coshelf.contrib.huey import CoshelfHuey, CoshelfStorage

CONSUMER = Path(__file__).parent / "scripts" / "consumer.py"
TARGETS = {"lmdb": "{}/a.shelf", "sqlite": "sqlite:{}/a.sqlite", "memory": "memory:", "files": "files:{}/a"}


class TestStorageOfHuey(StorageTests, BaseTestCase):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "a.shelf"

    def get_huey(self) -> CoshelfHuey:
        return CoshelfHuey("tests", target=self.path, utc=False, read_timeout=0.01)


del StorageTests, BaseTestCase  # which pytest would collect, too


@pytest.fixture(params=TARGETS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CoshelfStorage]:
    storage = CoshelfStorage("tests", target=TARGETS[request.param].format(tmp_path), read_timeout=0.01)
    yield storage
    storage.close()


# --- the queue -------------------------------------------------------------------------------------------------------


def test_a_waiting_worker_wakes_for_a_task(tmp_path: Path) -> None:
    huey = CoshelfHuey("tests", target=tmp_path / "a.shelf", read_timeout=60)
    found = []
    worker = threading.Thread(target=lambda: found.append(huey.storage.dequeue()))
    worker.start()
    huey.storage.enqueue(b"1")
    worker.join(30)
    assert found == [b"1"]
    huey.storage.close()


def test_the_order_is_that_of_priorities_then_of_arrival(storage: CoshelfStorage) -> None:
    for data, priority in ((b"a", None), (b"b", 2), (b"c", 0), (b"d", 2.5), (b"e", -1)):
        storage.enqueue(data, priority)
    assert storage.enqueued_items() == [b"d", b"b", b"a", b"c", b"e"]
    assert storage.enqueued_items(2) == [b"d", b"b"]
    assert [storage.dequeue() for _ in range(6)] == [b"d", b"b", b"a", b"c", b"e", None]


def test_the_schedule_gives_each_task_once_and_in_order(storage: CoshelfStorage) -> None:
    now = datetime(2030, 1, 1, 12, tzinfo=UTC)
    for data, seconds in ((b"b", 1), (b"a", 0), (b"c", 1), (b"later", 1.000001)):
        storage.add_to_schedule(data, now + timedelta(seconds=seconds))
    assert storage.scheduled_items(1) == [b"a"]
    assert storage.read_schedule(now + timedelta(seconds=1)) == [b"a", b"b", b"c"]
    assert storage.read_schedule(now + timedelta(seconds=1)) == []
    assert (storage.schedule_size(), storage.scheduled_items()) == (1, [b"later"])


def test_applications_share_a_shelf(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        one, two = (CoshelfStorage(name, target=shelf, blocking=False) for name in ("one", "two"))
        one.enqueue(b"1")
        one.put_data("key", b"mine")
        assert (two.dequeue(), two.has_data_for_key("key")) == (None, False)
        two.flush_all()
        one.close()
        assert (one.dequeue(), one.peek_data(b"key")) == (b"1", b"mine")
        assert shelf["huey/one/results/key"] == b"mine"


# --- data ------------------------------------------------------------------------------------------------------------


def test_of_several_threads_one_puts(storage: CoshelfStorage) -> None:
    start, won = threading.Barrier(4), []

    def put(data: bytes) -> None:
        start.wait()
        if storage.put_if_empty("lock", data):
            won.append(data)

    threads = [threading.Thread(target=put, args=(b"%d" % number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [storage.peek_data("lock")]


def test_keys_that_are_no_text_are_kept_as_bytes(storage: CoshelfStorage) -> None:
    storage.put_data(b"\xff", b"1")
    assert storage.result_items() == {b"\xff": b"1"}
    assert storage.peek_many([b"\xff", "a"]) == {b"\xff": b"1"}


def test_a_result_wakes_who_waits_for_it(tmp_path: Path) -> None:
    huey = CoshelfHuey("tests", target=tmp_path / "a.shelf")
    add = huey.task()(lambda: 5)
    result = add()
    with pytest.raises(ResultTimeout):
        result.get(blocking=True, timeout=0.01)
    worker = threading.Thread(target=lambda: huey.execute(huey.dequeue()))
    worker.start()
    # The longest pause of huey's own way to wait is longer than this test may take.
    assert result.get(blocking=True, timeout=60, backoff=1e6, max_delay=1000) == 5
    worker.join()
    huey.storage.close()


def test_what_expires_needs_an_engine_with_expiry(tmp_path: Path) -> None:
    storage = CoshelfStorage("tests", target=f"files:{tmp_path}/a")
    with pytest.raises(NotImplementedError):
        storage.put_if_empty("a", b"1", ttl=60)
    assert not storage.has_data_for_key("a")
    storage.close()


def test_something_else_at_the_path_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(coshelf.NotAShelf):
        CoshelfStorage("tests", target=tmp_path / "a").enqueue(b"1")
    assert (tmp_path / "a").read_text() == "mine"


def test_immediate_mode_needs_no_shelf(tmp_path: Path) -> None:
    huey = CoshelfHuey("tests", target=tmp_path / "a.shelf", immediate=True)
    assert huey.task()(lambda: 5)().get() == 5
    assert not (tmp_path / "a.shelf").exists()


# --- tasks that are given out again ----------------------------------------------------------------------------------


@pytest.fixture
def huey(tmp_path: Path) -> Iterator[CoshelfHuey]:
    huey = CoshelfHuey("tests", target=tmp_path / "a.shelf", read_timeout=0.01, redeliver=1)
    yield huey
    huey.storage.close()


def test_a_task_is_done_when_it_was_executed(huey: CoshelfHuey) -> None:
    @huey.task()
    def work(fails: bool) -> None:
        if fails:
            raise ValueError

    for fails in (False, True):
        work(fails)
        huey.execute(huey.dequeue())
        assert (huey.dequeue(), huey.storage.queue.join(0)) == (None, None)


def test_a_task_that_was_interrupted_is_given_out_again_as_often_as_asked(huey: CoshelfHuey) -> None:
    @huey.task()
    def work() -> None:
        raise KeyboardInterrupt

    work()
    for _ in range(2):
        huey.execute(huey.dequeue())
    assert huey.dequeue() is None
    (failed,) = huey.storage.queue.failed
    assert failed.attempts == 2
    assert "was interrupted" in failed.error
    huey.storage.flush_queue()
    assert not len(huey.storage.queue.failed)


def test_data_that_is_no_task_stops_no_worker(huey: CoshelfHuey) -> None:
    huey.storage.enqueue(b"no pickle")
    with pytest.raises(pickle.UnpicklingError):
        huey.dequeue()
    assert huey.dequeue() is None


@pytest.mark.parametrize(("redeliver", "is_back"), [(0, False), (1, True)])
def test_a_killed_consumer_loses_a_task_unless_it_is_given_out_again(
    redeliver: int, is_back: bool, crew: Crew, tmp_path: Path
) -> None:
    path = tmp_path / "a.shelf"
    first = crew.start(CONSUMER, path, redeliver, "put")
    first.expect("begun")
    storage = CoshelfStorage("tests", target=path, blocking=False, redeliver=redeliver)
    assert storage.queue_size() == 0
    first.kill()
    if is_back:
        second = crew.start(CONSUMER, path, redeliver, "")
        second.expect("begun")
        second.tell("end")
        second.expect("ended")
        storage.queue.join(60)  # until it is done
        second.kill()
    assert storage.dequeue() is None
    storage.close()
