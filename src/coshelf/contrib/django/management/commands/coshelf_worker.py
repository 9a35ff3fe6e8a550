"""``manage.py coshelf_worker``: run the tasks of a ``CoshelfBackend``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

if TYPE_CHECKING:
    from coshelf.contrib.django.tasks import CoshelfBackend
    from coshelf.contrib.django.tasks.crew import Crew

__all__ = ["Command"]

_SIGNALS = signal.SIGTERM, signal.SIGINT


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types
    """Runs tasks until it is stopped. Start it as often as there are processors."""

    help = (
        "Run the tasks of a CoshelfBackend. SIGTERM or Ctrl-C stops it after the tasks that run now; the second one "
        "stops it at once, and these tasks go back to the queue."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of the command."""
        parser.add_argument("--backend", default="default", help="the name in TASKS (default: default)")
        parser.add_argument(
            "--queue", action="append", default=[], help="a queue to work on; repeatable (default: all in QUEUES)"
        )
        parser.add_argument("--threads", type=int, default=1, help="how many tasks of each queue run at once (1)")
        parser.add_argument("--batch", action="store_true", help="end when the queues have no task to run now")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the workers."""
        if options["threads"] < 1:
            raise CommandError(f"--threads is 1 or more, not {options['threads']}")
        backend = _backend(options["backend"])
        queues = dict.fromkeys(options["queue"] or sorted(backend.queues) or ["default"])
        unknown = sorted(queues.keys() - backend.queues) if backend.queues else []
        if unknown:
            raise CommandError(
                f"--queue {unknown[0]}: the QUEUES of the backend are {', '.join(sorted(backend.queues))}"
            )
        from coshelf.contrib.django.tasks.crew import Crew
        from coshelf.contrib.django.tasks.worker import Worker

        workers = [Worker(backend, queue) for queue in queues for _ in range(options["threads"])]
        crew = Crew(workers, until_empty=options["batch"])
        with _stopped_by_signals(crew):
            self.stdout.write(f"working on {', '.join(queues)} in {backend.shelf.name}")
            self.stdout.flush()  # a supervisor reads it from a pipe
            crew.run()


def _backend(alias: str) -> CoshelfBackend:
    try:
        from django.tasks import task_backends

        from coshelf.contrib.django.tasks import CoshelfBackend

        backend = task_backends[alias]
    except ImportError as error:
        raise CommandError(f"Tasks are new in Django 6.0: {error}") from error
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
    if not isinstance(backend, CoshelfBackend):
        raise CommandError(f"--backend {alias}: this is a {type(backend).__name__}, and not a CoshelfBackend")
    return backend


@contextmanager
def _stopped_by_signals(crew: Crew) -> Iterator[None]:
    """The first signal stops the crew after its tasks. The second one ends the process."""
    before = {each: signal.getsignal(each) for each in _SIGNALS}

    def stop(number: int, _: object) -> None:
        crew.stop()
        signal.signal(number, signal.SIG_DFL)

    for each in _SIGNALS:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each in _SIGNALS:
            signal.signal(each, before[each])
