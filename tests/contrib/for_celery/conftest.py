"""Fixtures: an application of Celery with results in a shelf, on each engine that processes of one machine share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery._state import _deregister_app
from fixtures import crew, own_state

__all__ = ["crew", "own_state"]

BACKEND = "coshelf.contrib.celery:CoshelfBackend"
TARGETS = {"lmdb": "coshelf://{}/a.shelf", "sqlite": "sqlite://{}/a.sqlite", "memory": "memory://"}


@pytest.fixture
def make_app() -> Iterator[Callable[..., Any]]:
    """Makes applications whose result backend has this URL."""
    apps = []

    def make(url: str, **settings: Any) -> Any:
        app = Celery("tests", broker="memory://", backend=f"{BACKEND}+{url}", set_as_current=False)
        app.conf.update(settings)
        apps.append(app)
        return app

    yield make
    for app in apps:
        _deregister_app(app)
        if app._backend is not None:
            app.backend.part.close()


@pytest.fixture(params=TARGETS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return TARGETS[request.param].format(tmp_path)


@pytest.fixture
def app(make_app: Callable[..., Any], url: str) -> Any:
    return make_app(url)
