"""Many processes write at once: nothing is lost, nothing happens twice, nobody sees the half of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from support import Crew

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "races"


def test_counters_of_eight_processes_come_out_exact(crew: Crew, path: str) -> None:
    readers = [
        crew.start(
            SCRIPTS / "reader_of_counters.py",
            path,
        )
        for _ in range(2)
    ]
    for reader in readers:
        reader.expect("ready")
    writers = crew.start_many(
        8,
        SCRIPTS / "counter.py",
        path,
    )
    for writer in writers:
        writer.finish()
    with coshelf.open(path) as shelf:
        shelf["over"] = True
        assert shelf["count"] == 800
        assert Counter(shelf["log"]) == dict.fromkeys(range(8), 100)
    for reader in readers:
        reader.finish()


def test_numbers_that_several_processes_add_to_come_out_exact(crew: Crew, path: str) -> None:
    ways = ["incr", "incr", "modify", "modify", "incr a float", "incr a float"]
    workers = [crew.start(SCRIPTS / "adds.py", path, way) for way in ways]
    for worker in workers:
        worker.expect("ready")
    for worker in workers:
        worker.tell()
    for worker in workers:
        worker.finish()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"count": 2000, "float": 500.0}


def test_replace_has_one_winner_a_round(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["turn"] = 0
    workers = crew.start_many(
        6,
        SCRIPTS / "one_winner.py",
        path,
    )
    assert sum(int(worker.finish()[-1]) for worker in workers) == 300


def test_each_item_is_popped_once(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({number: number for number in range(200)})
        shelf.sub("queue").update({f"{number:03}": number for number in range(200)})
    workers = crew.start_many(
        6,
        SCRIPTS / "pop_each_once.py",
        path,
    )
    got = Counter(line for worker in workers for line in worker.finish())
    assert got == Counter(f"{how} {number}" for how in ("pop", "popitem") for number in range(200))
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {}


def test_each_item_of_a_queue_is_taken_once(crew: Crew, path: str) -> None:
    """Three take the first item, one the last, while all put others behind."""
    first = {f"{number:04}/x": number for number in range(1_000)}
    with coshelf.open(path) as shelf:
        shelf.sub("queue").update(first)
    workers = [crew.start(SCRIPTS / "puts_and_takes.py", path, own) for own in range(4)]
    for worker in workers:
        worker.expect("ready")
    for worker in workers:
        worker.tell()
    got = Counter(line for worker in workers for line in worker.finish())
    assert len(got) == got.total() == 1_200
    with coshelf.open(path) as shelf:
        left = set(shelf.sub("queue"))
    assert left.isdisjoint(got)
    assert left.union(got) == {*first, *(f"{1_000 + number:04}/{own}" for number in range(300) for own in range(4))}


def test_delete_of_one_key_succeeds_once(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(150)))
    workers = crew.start_many(
        4,
        SCRIPTS / "delete_once.py",
        path,
    )
    assert sum(int(worker.finish()[-1]) for worker in workers) == 150


def test_setdefault_has_one_winner(crew: Crew, path: str) -> None:
    workers = crew.start_many(
        6,
        SCRIPTS / "setdefault_once.py",
        path,
    )
    answers = [worker.finish() for worker in workers]
    assert len(answers[0]) == 100
    assert all(answer == answers[0] for answer in answers)
    with coshelf.open(path) as shelf:
        assert [str(value) for value in shelf.values()] == answers[0]


def test_transfers_sum_to_zero_in_every_way_of_reading(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({("account", number): 0 for number in range(10)})
    readers = crew.start_many(
        2,
        SCRIPTS / "reader_of_transfers.py",
        path,
    )
    writers = crew.start_many(
        4,
        SCRIPTS / "transfers.py",
        path,
    )
    for writer in writers:
        writer.finish()
    with coshelf.open(path) as shelf:
        shelf["over"] = True
        assert shelf["total"] == 4 * sum(range(80))
    assert all(int(reader.finish()[-1]) > 0 for reader in readers)


def test_a_transaction_that_raises_is_seen_by_nobody(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["value"] = "before"
    reader = crew.start(
        SCRIPTS / "reader_of_nothing.py",
        path,
    )
    reader.expect("ready")
    with coshelf.open(path) as shelf:
        for turn in range(100):
            try:
                with shelf.transaction() as t:
                    t["value"] = turn
                    raise LookupError
            except LookupError:
                pass
        shelf["over"] = True
    reader.finish()


def test_one_update_is_seen_whole_or_not_at_all(crew: Crew, path: str) -> None:
    readers = crew.start_many(
        2,
        SCRIPTS / "reader_of_updates.py",
        path,
    )
    with coshelf.open(path) as shelf:
        keys = [f"{'long' * 200 * (n % 2)}{n}" for n in range(40)]
        for turn in range(60):
            shelf.update(dict.fromkeys(keys, turn))
            if turn % 3 == 0:
                shelf.clear()
        shelf.update(dict.fromkeys(keys, "over"))
        for reader in readers:
            reader.finish()
