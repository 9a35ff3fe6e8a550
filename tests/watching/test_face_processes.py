"""Watches across processes: writers and watchers are killed, and nothing is lost or told twice."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from support import Crew

import coshelf

SCRIPTS = Path(__file__).parent / "scripts"
SHARED = ("lmdb", "sqlite")


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest, path: str) -> str:
    """Of a shelf that processes share, and that tells every commit."""
    return path if request.param == "lmdb" else f"{request.param}:{path}"


def commits_in(lines: list[list[Any]]) -> list[Any]:
    """The numbers of the batches that were told, each of which must have been told whole."""
    numbers = []
    for at in range(0, len(lines), 3):
        some = [line[1:] for line in lines[at : at + 3]]
        number = some[0][2]
        assert some == [
            ["set", f"jobs/{number % 3}", number],
            ["set", "last", number],
            ["set", f"('batch', {number % 5})", number],
        ]
        numbers.append(number)
    return numbers


@pytest.mark.parametrize(
    ("seed", "rounds"), [(0, 3), *(pytest.param(seed, 10, marks=pytest.mark.long) for seed in range(1, 9))]
)
def test_killed_watcher_goes_on_without_loss_or_doubles_beside_killed_writers(
    crew: Crew, url: str, seed: int, rounds: int
) -> None:
    chance = random.Random(seed)
    last = 30 * rounds
    with coshelf.open(url) as shelf:
        version = shelf.version
        told: list[list[Any]] = []
        for number in range(rounds):
            watcher = crew.start(SCRIPTS / "watches.py", url, json.dumps(version))
            watcher.expect("watches")
            writer = crew.start(SCRIPTS / "writes.py", url, last * (number + 1) // rounds)
            is_end = number == rounds - 1
            goal = 3 * last if is_end else len(told) + chance.randrange(1, 60)
            while len(told) < goal:
                told.append(json.loads(watcher.hear()))
            if is_end:
                writer.finish()
                watcher.kill()
            else:
                (writer, watcher)[number % 2].kill()
                watcher.kill()
                assert watcher.process.stdout is not None
                told += map(json.loads, watcher.process.stdout.read().splitlines())
                writer.kill()
            version = told[-1][0]
        assert commits_in(told) == list(range(1, last + 1))
        assert shelf["last"] == last


def test_watcher_in_another_process_is_told_what_this_one_writes(crew: Crew, url: str) -> None:
    with coshelf.open(url) as shelf:
        watchers = [crew.start(SCRIPTS / "watches.py", url, "null") for _ in range(3)]
        for watcher in watchers:
            watcher.expect("watches")
        for number in range(50):
            shelf[number] = [number]
        with shelf.transaction() as transaction:
            del transaction[0]
            transaction["end"] = 1
        expected = [["set", str(number), [number]] for number in range(50)]
        expected += [["deleted", "0", None], ["set", "end", 1]]
        for watcher in watchers:
            assert [json.loads(watcher.hear())[1:] for _ in expected] == expected
            watcher.kill()


_WAITS = """
import coshelf
shelf = coshelf.open(path, "w")
watch = shelf.watch()
for _ in range(2):
    say("waits")
    try:
        next(watch)
    except KeyboardInterrupt:
        say("interrupted")
say(next(watch).key)
shelf.close()
"""


def test_ctrl_c_ends_the_wait_and_the_watch_goes_on(crew: Crew, url: str) -> None:
    with coshelf.open(url) as shelf:
        worker = crew.start(_WAITS, url)
        for _ in range(2):
            worker.expect("waits")
            _until_it_sleeps(worker.pid)
            worker.interrupt()
            worker.expect("interrupted")
        shelf["a"] = 1
        assert worker.finish() == ["a"]


def _until_it_sleeps(pid: int) -> None:
    state = ""
    while state != "S":
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_signal_handler_may_close_the_watch_in_which_its_thread_waits(crew: Crew, url: str) -> None:
    program = """
    shelf = coshelf.open(path, "c")
    watch = shelf.watch()
    signal.signal(signal.SIGUSR2, lambda *_: watch.close())
    say("waits")
    say(list(watch))
    shelf.close()
    """
    worker = crew.start(program, url)
    worker.expect("waits")
    worker.process.send_signal(signal.SIGUSR2)
    assert worker.finish() == ["[]"]


def test_waits_for_changes_across_processes(crew: Crew, url: str) -> None:
    with coshelf.open(url) as shelf:
        shelf["turn"] = 0
        program = """
        with coshelf.open(path, "w") as shelf:
            say("ready")
            version = shelf.version
            if shelf["turn"] == 0:
                shelf.wait("turn", 60, since=version)
            say(shelf["turn"])
        """
        workers = [crew.start(program, url) for _ in range(3)]
        for worker in workers:
            worker.expect("ready")
        shelf["turn"] = 1
        for worker in workers:
            assert worker.finish() == ["1"]


def test_slow_watcher_is_told_thousands_of_changes(crew: Crew, url: str) -> None:
    with coshelf.open(url) as shelf, shelf.watch("*") as watch:
        program = """
        with coshelf.open(path) as shelf:
            for number in range(3000):
                shelf[f"k{number % 10}"] = number
        """
        crew.start(program, url).finish()
        found = []
        while len(found) < 3000:
            change = watch.next(60)
            assert change is not None
            found.append(change.value)
        assert found == list(range(3000))
        assert watch.next(0) is None


def test_forked_children_write_and_the_parent_watches(crew: Crew, url: str) -> None:
    program = """
    shelf = coshelf.open(path)
    watch = shelf.watch()
    for number in range(3):
        if not os.fork():
            shelf[number] = os.getpid()
            with shelf.watch() as mine:
                shelf["child", number] = 1
                assert mine.next(60).key == ("child", number)
            os._exit(0)
        assert reap(-1) == 0
    for number in range(3):
        assert watch.next(60).key == number
        assert watch.next(60).key == ("child", number)
    assert watch.next(0) is None
    shelf.close()
    """
    crew.start(program, url).finish()


def test_thread_that_waits_does_not_keep_the_interpreter_from_ending(crew: Crew, url: str) -> None:
    program = """
    shelf = coshelf.open(path)
    threading.Thread(target=lambda: list(shelf.watch()), daemon=True).start()
    shelf["a"] = 1
    """
    crew.start(program, url).finish()
