"""The result backend: what is stored, for how long, and who is woken."""

from __future__ import annotations

import pickle
import threading
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import states
from celery.app import backends
from celery.exceptions import ImproperlyConfigured, TimeoutError
from support import Crew

import coshelf
from coshelf.contrib.celery import CoshelfBackend

MakeApp = Callable[..., Any]
PROJECT = Path(__file__).parents[3] / "pyproject.toml"


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "target"),
    [
        ("coshelf://{}/a.shelf", "{}/a.shelf"),
        ("coshelf://localhost{}/a.shelf", "{}/a.shelf"),
        ("coshelf+sqlite://{}/a.sqlite", "sqlite://{}/a.sqlite"),
        ("coshelf+memory://", "memory:"),
    ],
)
def test_celery_finds_the_backend_by_the_scheme_of_the_url(
    backend: str, target: str, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["celery.result_backends"]
    monkeypatch.setattr(backends, "load_extension_class_names", lambda _: tuple(points.items()))
    app = make_app("memory://")
    app.backend_cls = backend.format(tmp_path)
    assert type(app.backend) is CoshelfBackend
    assert app.backend.part.target == target.format(tmp_path)
    assert app.backend.part.name == "celery/results"


@pytest.mark.parametrize("url", ["coshelf://", "coshelf:///", "coshelf://results.shelf", "nothing://host/x"])
def test_a_url_without_a_shelf_is_refused_at_once(url: str, make_app: MakeApp) -> None:
    with pytest.raises(ImproperlyConfigured, match="result backend"):
        _ = make_app(url).backend


def test_an_unknown_option_is_refused_by_name(make_app: MakeApp) -> None:
    app = make_app("memory://", result_backend_transport_options={"durable": True, "global_keyprefix": "a"})
    with pytest.raises(ImproperlyConfigured, match="durable, which"):
        _ = app.backend


def test_options_reach_the_shelf(make_app: MakeApp, tmp_path: Path) -> None:
    options = {"max_entries": 1000, "part": "mine", "global_keyprefix": "a"}
    app = make_app(f"coshelf://{tmp_path}/a.shelf", result_backend_transport_options=options)
    app.backend.store_result("1", 2, states.SUCCESS)
    assert list(app.backend.part.whole) == ["mine/a_celery-task-meta-1"]
    assert app.backend.part.whole.info().max_entries == 1000


def test_something_else_at_the_path_stops_the_program_and_is_not_changed(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "a.shelf").write_text("mine")
    with pytest.raises(coshelf.NotAShelf):
        _ = make_app(f"coshelf://{tmp_path}/a.shelf").backend
    assert (tmp_path / "a.shelf").read_text() == "mine"


def test_an_engine_without_expiry_is_refused(make_app: MakeApp, tmp_path: Path) -> None:
    with pytest.raises(coshelf.Unsupported, match="expiry"):
        _ = make_app(f"files://{tmp_path}/a").backend


def test_a_server_that_is_away_is_asked_again_at_the_first_use(make_app: MakeApp) -> None:
    app = make_app("redis://127.0.0.1:1/0/results", result_backend_transport_options={"timeout": 0.1})
    backend = app.backend
    with pytest.raises(coshelf.Unavailable) as found:
        backend.get_state("1")
    assert backend.exception_safe_to_retry(found.value)
    assert not backend.exception_safe_to_retry(ValueError())


# --- storing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_results_are_bytes_as_the_serializer_made_them(serializer: str, make_app: MakeApp) -> None:
    app = make_app("memory://", result_serializer=serializer, accept_content=[serializer])
    app.backend.store_result("1", {"a": [1, None]}, states.SUCCESS)
    stored = app.backend.shelf["celery-task-meta-1"]
    assert type(stored) is bytes
    assert app.backend.decode(stored)["result"] == {"a": [1, None]}
    assert app.AsyncResult("1").result == {"a": [1, None]}


def test_a_result_is_whole_or_missing_and_never_loses_to_a_late_failure(app: Any) -> None:
    backend = app.backend
    backend.store_result("1", 5, states.SUCCESS)
    backend.store_result("1", ValueError("late"), states.FAILURE)
    assert (backend.get_state("1"), backend.get_result("1")) == (states.SUCCESS, 5)
    backend.store_result("2", ValueError("first"), states.FAILURE)
    backend.store_result("2", 6, states.SUCCESS)
    assert backend.get_state("2") == states.SUCCESS


def test_failures_are_kept_for_their_own_time(make_app: MakeApp) -> None:
    app = make_app("memory://", result_expires=1000, result_failure_expires=100_000)
    app.backend.store_result("1", 5, states.SUCCESS)
    app.backend.store_result("2", ValueError(), states.FAILURE)
    shelf = app.backend.shelf
    assert shelf.expires("celery-task-meta-2") - shelf.expires("celery-task-meta-1") > 98_000


def test_cleanup_removes_what_has_expired(app: Any) -> None:
    backend = app.backend
    backend.store_result("1", 5, states.SUCCESS)
    backend.expire(backend.get_key_for_task("1"), -1)
    assert backend.get_state("1") == states.PENDING
    backend.cleanup()
    backend.store_result("2", 5, states.SUCCESS)
    assert len(backend.shelf) == 1


def test_deleting_what_is_missing_is_fine(app: Any) -> None:
    app.backend.forget("1")
    assert not app.backend.task_result_exists("1")


def test_a_group_is_saved_and_restored(app: Any) -> None:
    group = app.GroupResult("g", [app.AsyncResult("1"), app.AsyncResult("2")])
    group.save()
    assert app.GroupResult.restore("g") == group
    group.delete()
    assert app.GroupResult.restore("g") is None


def test_a_pickled_backend_finds_the_same_results(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(f"coshelf://{tmp_path}/a.shelf", result_expires=500)
    app.backend.store_result("1", 5, states.SUCCESS)
    app.set_current()
    with pickle.loads(pickle.dumps(app.backend)).part as part:
        assert list(part.shelf) == ["celery-task-meta-1"]


def test_threads_share_a_backend(make_app: MakeApp) -> None:
    app = make_app("memory://")
    found = []
    thread = threading.Thread(target=lambda: found.append(app.backend))
    backend = app.backend
    thread.start()
    thread.join()
    assert found == [backend]


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the module ``time`` from Celery's own ways to wait, which all call ``time.sleep``."""
    monkeypatch.setattr("celery.backends.base.time", None)


def later(begun: threading.Event, call: Callable[[], Any]) -> threading.Thread:
    """Calls ``call`` in a thread when a wait has begun."""

    def run() -> None:
        assert begun.wait(60)
        call()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_waiter_wakes_without_polling(app: Any, no_polling: None) -> None:
    backend, begun = app.backend, threading.Event()

    def store() -> None:
        backend.store_result("other", 0, states.SUCCESS)
        backend.store_result("1", None, states.STARTED)
        backend.store_result("1", 5, states.SUCCESS)

    thread = later(begun, store)
    # The interval is longer than the test may take: a backend that polls would find the result too late.
    assert app.AsyncResult("1").get(timeout=60, interval=1000, on_interval=begun.set) == 5
    thread.join()


def test_results_of_a_group_come_as_they_are_ready(app: Any, no_polling: None) -> None:
    backend, begun, told = app.backend, threading.Event(), []
    backend.store_result("1", 10, states.SUCCESS)
    found = backend.get_many(["1", "2", "3"], timeout=60, interval=1000, on_interval=begun.set, on_message=told.append)
    assert next(found)[0] == "1"
    thread = later(begun, lambda: backend.store_result("3", 30, states.SUCCESS))
    assert next(found)[0] == "3"
    backend.store_result("2", 20, states.SUCCESS)
    assert [(task_id, meta["result"]) for task_id, meta in found] == [("2", 20)]
    assert [meta["result"] for meta in told] == [10, 30, 20]
    thread.join()
    assert len(list(backend.get_many(["1", "2", "3"]))) == 3


def test_a_failure_wakes_and_is_raised(app: Any) -> None:
    begun = threading.Event()
    thread = later(begun, lambda: app.backend.store_result("1", ValueError("no"), states.FAILURE))
    with pytest.raises(ValueError, match="no"):
        app.AsyncResult("1").get(timeout=60, on_interval=begun.set)
    thread.join()


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_wait_ends_at_its_timeout(app: Any, timeout: float) -> None:
    with pytest.raises(TimeoutError):
        app.AsyncResult("1").get(timeout=timeout)
    with pytest.raises(TimeoutError):
        list(app.backend.get_many(["1", "2"], timeout=timeout))


def test_get_many_ends_after_as_many_looks_as_it_may_take(app: Any) -> None:
    assert list(app.backend.get_many(["1"], interval=0.01, max_iterations=2)) == []


def test_a_result_that_is_forgotten_meanwhile_is_waited_for(app: Any) -> None:
    backend, begun = app.backend, threading.Event()
    backend.store_result("1", None, states.STARTED)

    def store() -> None:
        backend.forget("1")
        backend.store_result("1", 5, states.SUCCESS)

    thread = later(begun, store)
    assert app.AsyncResult("1").get(timeout=60, on_interval=begun.set) == 5
    thread.join()


# --- several processes -----------------------------------------------------------------------------------------------

FORKED = """
from celery import Celery, states
app = Celery("tests", broker="memory://", backend="coshelf.contrib.celery:CoshelfBackend+coshelf://" + path)
app.backend.store_result("0", 1, states.SUCCESS)
key, children = app.backend.get_key_for_chord("g"), []
for task_id in "12":
    children.append(os.fork())
    if not children[-1]:
        counted = [app.backend.incr(key) for _ in range(300)]
        app.backend.store_result(task_id, counted, states.SUCCESS)
        os.kill(os.getpid(), signal.SIGKILL)
for task_id in "12":
    say(*app.AsyncResult(task_id).get(timeout=60))
say(*map(reap, children))
"""


def test_forked_workers_count_each_part_of_a_chord_once_and_wake_their_parent(
    crew: Crew, tmp_path: Path, make_app: MakeApp
) -> None:
    path = tmp_path / "a.shelf"
    *counted, ends = crew.run(FORKED, path)
    assert ends == "-9 -9"
    assert sorted(int(number) for line in counted for number in line.split()) == list(range(1, 601))
    shelf = make_app(f"coshelf://{path}").backend.shelf
    assert 80_000 < shelf.expires("chord-unlock-g") - time.time() < 90_000
