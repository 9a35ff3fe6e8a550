"""The tasks of the site."""

import os
import time

from django.tasks import task


@task
def add(first, second):
    return first + second


@task
async def add_soon(first, second):
    return first + second


@task(takes_context=True)
def attempt(context):
    return [context.attempt, context.task_result.id]


@task
def fail(text):
    raise ValueError(text)


@task
def leave():
    raise SystemExit(3)


@task
def interrupt():
    raise KeyboardInterrupt


@task
def unwritable():
    return object()


@task
def note(path, text):
    """Append a line to a file."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


@task
def note_and_wait(path, stop):
    """Append the number of the process, and wait until a file exists."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    while not os.path.exists(stop):
        time.sleep(0.01)
    return os.getpid()
