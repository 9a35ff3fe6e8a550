"""Many processes write at once: nothing is lost, nothing happens twice, nobody sees the half of it."""

from __future__ import annotations

from collections import Counter

from support import Crew

import coshelf


def test_counters_of_eight_processes_come_out_exact(crew: Crew, path: str) -> None:
    readers = [
        crew.start(
            """
            with coshelf.open(path) as shelf:
                say("ready")
                last = looks = 0
                while "over" not in shelf:
                    now = shelf.get("count", 0)
                    assert now >= last, (now, last)
                    last, looks = now, looks + 1
            assert looks
            """,
            path,
        )
        for _ in range(2)
    ]
    for reader in readers:
        reader.expect("ready")
    writers = crew.start_many(
        8,
        """
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            for turn in range(100):
                seen = shelf.modify("count", lambda n: n + 1, default=0)
                assert seen > turn
                with shelf.edit("log", default=[]) as log:
                    log.append(int(sys.argv[2]))
        """,
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


def test_replace_has_one_winner_a_round(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["turn"] = 0
    workers = crew.start_many(
        6,
        """
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            won = 0
            while (turn := shelf["turn"]) < 300:
                won += shelf.replace("turn", turn, turn + 1)
            say(won)
        """,
        path,
    )
    assert sum(int(worker.finish()[-1]) for worker in workers) == 300


def test_each_item_is_popped_once(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({number: number for number in range(200)})
        shelf.sub("queue").update({f"{number:03}": number for number in range(200)})
    workers = crew.start_many(
        6,
        """
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            for key in range(200):
                if shelf.pop(key, None) is not None:
                    say("pop", key)
            queue = shelf.sub("queue")
            while True:
                try:
                    key, value = queue.popitem(last=False)
                except KeyError:
                    break
                say("popitem", value)
        """,
        path,
    )
    got = Counter(line for worker in workers for line in worker.finish())
    assert got == Counter(f"{how} {number}" for how in ("pop", "popitem") for number in range(200))
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {}


def test_delete_of_one_key_succeeds_once(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(150)))
    workers = crew.start_many(
        4,
        """
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            done = 0
            for key in range(150):
                try:
                    del shelf[key]
                    done += 1
                except KeyError:
                    pass
            say(done)
        """,
        path,
    )
    assert sum(int(worker.finish()[-1]) for worker in workers) == 150


def test_setdefault_has_one_winner(crew: Crew, path: str) -> None:
    workers = crew.start_many(
        6,
        """
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            for key in range(100):
                say(shelf.setdefault(key, int(sys.argv[2])))
        """,
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
        """
        with coshelf.open(path) as shelf:
            accounts = [("account", number) for number in range(10)]
            say("ready"); hear()
            looks = 0
            while "over" not in shelf:
                assert sum(shelf.get_many(accounts).values()) == 0
                assert sum(shelf.values(prefix=("account",))) == 0
                assert sum(value for key, value in shelf.items(reverse=True) if key in accounts) == 0
                whole = shelf.copy()
                assert sum(whole[account] for account in accounts) == 0
                assert sum(whole.get(("moved", name), 0) for name in range(4)) == whole.get("total", 0)
                with shelf.snapshot() as snapshot:
                    total = snapshot.get("total", 0)
                    parts = sum(snapshot.get(("moved", name), 0) for name in range(4))
                    assert total == parts, (total, parts)
                    assert sum(snapshot[account] for account in accounts) == 0
                    assert sum(snapshot.copy()[account] for account in accounts) == 0
                looks += 1
            say(looks)
        """,
        path,
    )
    writers = crew.start_many(
        4,
        """
        import random
        name = int(sys.argv[2])
        chance = random.Random(name)
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            for turn in range(80):
                give, take = chance.sample(range(10), 2)
                with shelf.transaction() as t:
                    t["account", give] -= turn
                    t["account", take] += turn
                    t["moved", name] = t.get(("moved", name), 0) + turn
                    t["total"] = t.get("total", 0) + turn
                    assert sum(t["account", number] for number in range(10)) == 0
                    if turn % 8 == 7:
                        held = shelf["account", give]  # the shelf is the view of its own transaction
                        t["account", give] = 10 ** 9
                        assert shelf["account", give] == 10 ** 9
                        t["account", give] = held
        """,
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
        """
        with coshelf.open(path) as shelf:
            say("ready")
            while "over" not in shelf:
                assert shelf["value"] == "before"
        """,
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
        """
        keys = [f"{'long' * 200 * (n % 2)}{n}" for n in range(40)]
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            while True:
                found = shelf.get_many(keys)
                assert len(found) in (0, 40) and len(set(found.values())) <= 1
                with shelf.snapshot() as snapshot:
                    assert len(snapshot) in (0, 40)
                    assert len(set(snapshot.values())) <= 1
                if found.get("0") == "over":
                    break
        """,
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
