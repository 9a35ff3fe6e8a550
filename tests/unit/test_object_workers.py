"""The threads of object stores: a finalizer that needs them, wherever it is called, gets its results."""

from __future__ import annotations

import threading

import pytest

from coshelf.engines.objects import workers as module
from coshelf.engines.objects.workers import Workers
from coshelf.system.threads.cooperation import ServiceThread


def results(workers: Workers, first: int) -> list[int]:
    return workers.all([lambda number=number: number for number in range(first, first + 3)])  # type: ignore[misc]


@pytest.mark.parametrize("use", ["all", "close"])
@pytest.mark.parametrize("where", ["in this thread", "in the thread that begins"])
def test_a_finalizer_that_is_called_while_a_thread_is_started_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch, where: str, use: str
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    workers, found = Workers("a store"), list[object]()
    start = threading.Thread.start

    def finalize() -> None:
        found.append(results(workers, 10) if use == "all" else workers.close())

    def start_with_a_finalizer(self: threading.Thread) -> None:
        if self.name.startswith("coshelf-objects") and not found:
            if where == "in this thread":
                finalize()
            else:
                beginning = ServiceThread("beginning", finalize)
                beginning.start()
                beginning.join()  # as Thread.start does
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_with_a_finalizer)
    assert results(workers, 0) == [0, 1, 2]
    assert found == [[10, 11, 12] if use == "all" else None]
    workers.close()
