"""What processes that share a shelf rely on, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import coshelf
from coshelf.errors import TurnTimeout

Begin = Callable[..., Any]


def test_entries_are_there_for_the_next_process(target: str, worker: Begin) -> None:
    with coshelf.open(target) as shelf:
        shelf.update({"b": [1, None], "a": "ä"})
    reader = worker("read", target)
    assert reader.hear() == "[('a', 'ä'), ('b', [1, None])]"
    reader.finish()


def test_counts_of_processes_come_out_exact(target: str, worker: Begin) -> None:
    crew = [worker("count", target, "12") for _ in range(3)]
    for each in crew:
        assert each.hear() == "ready"
    for each in crew:
        each.tell()
    for each in crew:
        assert each.hear() == "counted"
        each.finish()
    with coshelf.open(target) as shelf:
        assert shelf["count"] == 36


def test_lock_is_held_by_one_process(target: str, worker: Begin) -> None:
    holder = worker("hold", target)
    assert holder.hear() == "holds"
    with coshelf.open(target) as shelf, pytest.raises(TurnTimeout), shelf.lock("turn", timeout=0):
        pass


def test_lock_of_a_killed_process_is_free(target: str, worker: Begin) -> None:
    holder = worker("hold", target)
    assert holder.hear() == "holds"
    with coshelf.open(target) as shelf:
        holder.kill()
        with shelf.lock("turn", timeout=60) as turn:
            assert turn.token > 0


def test_transaction_of_a_killed_process_leaves_nothing(target: str, worker: Begin) -> None:
    with coshelf.open(target) as shelf:
        shelf["begun"] = "whole"
        writer = worker("transact", target)
        assert writer.hear() == "within"
        writer.kill()
        with shelf.transaction(timeout=60) as transaction:
            transaction["after"] = transaction["begun"]
        assert dict(shelf) == {"after": "whole", "begun": "whole"}


def test_items_of_a_queue_are_taken_once(target: str, worker: Begin) -> None:
    with coshelf.open(target) as shelf:
        jobs = shelf.queue("jobs")
        for number in range(12):
            jobs.put(number)
    crew = [worker("take", target) for _ in range(2)]
    for each in crew:
        assert each.hear() == "ready"
    for each in crew:
        each.tell()
    taken = []
    for each in crew:
        while (said := each.hear()) != "empty":
            taken.append(int(said))
        each.finish()
    assert sorted(taken) == list(range(12))


def test_wait_ends_when_another_process_stores_the_entry(target: str, worker: Begin) -> None:
    with coshelf.open(target) as shelf:
        waiter = worker("wait", target, "6 * 7")
        assert waiter.hear() == "waits"
        shelf["6 * 7"] = 42
        assert waiter.hear() == "42"
    waiter.finish()


def test_watcher_is_told_of_commits_of_another_process(target: str, worker: Begin) -> None:
    with coshelf.open(target) as shelf:
        watcher = worker("watch", target, "last")
        assert watcher.hear() == "watches"
        shelf["first"] = 1
        del shelf["first"]
        shelf["last"] = 2
        said = []
        while (line := watcher.hear()) != "set last":
            said.append(line)
        assert set(said) <= {"set first", "deleted first", "gap None"}
    watcher.finish()
