"""Celery's times are seconds. 0 and None keep a result for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery import Celery, states
from edge import Edge

KEY = "celery/results/celery-task-meta-1"


def rows() -> list[Edge]:
    return [
        Edge("result_expires not given", stored(), "expires", 86400),
        Edge("result_expires=None", stored(result_expires=None), "kept"),
        Edge("result_expires=0", stored(result_expires=0), "kept"),
        Edge("result_expires=-1", stored(result_expires=-1), "gone"),
        Edge("result_expires=100", stored(result_expires=100), "expires", 100),
        Edge("result_expires=100.5", stored(result_expires=100.5), "expires", 100.5),
        Edge("result_expires=timedelta(hours=1)", stored(result_expires=timedelta(hours=1)), "expires", 3600),
        Edge("result_failure_expires not given", stored(states.FAILURE, result_expires=100), "expires", 100),
        Edge("result_failure_expires=200", stored(states.FAILURE, result_failure_expires=200), "expires", 200),
        Edge("result_failure_expires=0", stored(states.FAILURE, result_failure_expires=0), "kept"),
        Edge("result_failure_expires of a success", stored(result_failure_expires=0), "expires", 86400),
        Edge("expire(key, 200)", stored(then=200), "expires", 200),
        Edge("expire(key, 0)", stored(then=0), "kept"),
        Edge("expire(key, None)", stored(then=None), "kept"),
        Edge("expire(key, -1)", stored(then=-1), "gone"),
        Edge("result_expires=nan", stored(result_expires=float("nan")), "refused", error=ValueError),
    ]


def stored(state: str = states.SUCCESS, then: object = "not given", **settings: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        app = Celery("tests", broker="memory://", set_as_current=False)
        app.conf.update(settings, result_backend=f"coshelf.contrib.celery:CoshelfBackend+coshelf://{path}")
        with app.backend.part:
            app.backend.store_result("1", ValueError() if state == states.FAILURE else 5, state)
            if then != "not given":
                app.backend.expire(app.backend.get_key_for_task("1"), then)
        return KEY

    return run
