"""A real ``celery worker`` with two processes. It says "ready" when it takes tasks."""

import sys

from applications import make_app
from celery.signals import worker_ready
from talking import path, say


@worker_ready.connect
def tell(**_):
    say("ready")


sys.argv[1:] = []
make_app(path).worker_main(
    ["--quiet", "worker", "--concurrency", "2", "--loglevel", "ERROR", "--statedb", f"{path}/state.shelf"]
)
