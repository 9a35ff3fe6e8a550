"""A Celery application whose tasks write through a shelf that was opened before the workers were forked.

Messages lie in a folder, so that no broker is needed.
"""

from __future__ import annotations

import os
from pathlib import Path

import celery

import coshelf

SHELF = coshelf.open(os.environ["CELERY_APPLICATION_SHELF"])
MESSAGES = Path(os.environ["CELERY_APPLICATION_MESSAGES"])
MESSAGES.mkdir(exist_ok=True)

app = celery.Celery("celery_application", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(MESSAGES),
    "data_folder_out": str(MESSAGES),
    "control_folder": str(MESSAGES / "control"),
}
app.conf.task_ignore_result = True


@app.task
def visit(name: str) -> None:
    SHELF.modify("count", lambda count: count + 1, default=0)
    SHELF["visits/" + name] = os.getpid()


@app.task
def send(first: int, count: int) -> None:
    for number in range(first, first + count):
        visit.delay(str(number))
