"""An application of Celery that a test and the workers that it starts share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery

from coshelf.contrib.celery import WorkerState

__all__ = ["make_app"]


def make_app(place: str) -> Any:
    """An application whose messages and results are in this directory."""
    messages = Path(place, "messages")
    messages.mkdir(exist_ok=True)
    app = Celery(
        "tests",
        broker="filesystem://",
        backend=f"coshelf.contrib.celery:CoshelfBackend+coshelf://{place}/results.shelf",
        set_as_current=False,
    )
    app.conf.update(
        worker_redirect_stdouts=False,
        broker_transport_options={
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(Path(place, "control")),
        },
    )
    app.steps["worker"].add(WorkerState)

    @app.task(name="add", shared=False)
    def add(a: int, b: int) -> int:
        return a + b

    @app.task(name="total", shared=False)
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    return app
