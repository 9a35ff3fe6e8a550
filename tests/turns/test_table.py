"""Lines of turns between processes: who has the turn, who is next, and what deaths, signals and forks do to a line."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kills
import pytest

import coshelf
from coshelf import native
from coshelf.contract import BARRIER, Engine
from coshelf.engines.turn_table import layout, table_file
from coshelf.engines.turn_table.layout import PLACES, SIZE
from coshelf.engines.turn_table.python_table import PythonTable
from coshelf.errors import (
    KeyTooLong,
    ReadOnlyShelf,
    ShelfClosed,
    ShelfPermissionError,
    StorageError,
    Unsupported,
)
from coshelf.system.processes.deaths import Deaths
from coshelf.system.threads.cooperation import ServiceThread
from coshelf.testing.contract.child import Child, Talk
from coshelf.testing.contract.task import Task
from service_threads import service_threads

WAIT = 60.0
KINDS = {"lmdb": "{}", "sqlite": "sqlite:{}", "files": "files:{}"}


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return KINDS[request.param].format(tmp_path / "shelf")


def table_of(address: str) -> Path:
    kind, _, path = address.rpartition(":")
    place, name = os.path.split(path)
    hidden = {
        "": f".{name}.coshelf/turns",
        "sqlite": f".{name}.coshelf-turns",
        "files": f".{name}.coshelf-staging/turns",
    }
    return Path(place) / hidden[kind]


@contextlib.contextmanager
def opened(address: str, **options: Any) -> Iterator[Engine]:
    with coshelf.open(address, **options) as shelf:
        yield shelf._handle.engine


def holding(address: str) -> Callable[[Talk], None]:
    """A child that joins the line, says whether it has the turn, and waits for a word before it ends."""

    def work(talk: Talk) -> None:
        with opened(address) as engine:
            place = engine.turns().join(b"line")
            talk.say(place.wait(0))
            talk.hear()
            talk.say(place.wait(WAIT))
            talk.hear()

    return work


# --- order, and deaths -----------------------------------------------------------------------------------------------


def test_twenty_processes_have_the_turn_in_order_of_arrival(address: str) -> None:
    with opened(address) as engine, contextlib.ExitStack() as stack:
        mine = engine.turns().join(b"line")
        children = []
        for _ in range(20):
            children.append(stack.enter_context(Child(holding(address))))
            assert children[-1].heard() == "False"
        for child in children:
            child.tell("wait")
        mine.leave()
        for child in children:
            assert child.heard() == "True"
            line = engine.turns().line(b"line")
            assert [who.pid for who in line.holders] == [child.pid]
            child.kill()


@pytest.mark.parametrize("killed", [0, 1, 2, 3])
def test_death_of_any_process_in_a_line_passes_it_by(address: str, killed: int) -> None:
    with opened(address) as engine, contextlib.ExitStack() as stack:
        children = []
        for at in range(4):
            children.append(stack.enter_context(Child(holding(address))))
            assert children[-1].heard() == str(at == 0)
        last = engine.turns().join(b"line")
        for child in children:
            child.tell("wait")
        assert children[0].heard() == "True"
        children.pop(killed).kill()
        for at, child in enumerate(children):
            assert (at == 0 and killed != 0) or child.heard() == "True"
            child.kill()
        assert last.wait(WAIT)


@pytest.mark.parametrize("native", [True, False])
def test_last_party_of_a_barrier_that_dies_while_it_opens_lets_the_others_go(address: str, native: bool) -> None:
    """It came last, so nobody watches it."""

    def work(talk: Talk) -> None:
        if not native:
            kills.do_without_the_module()
        with opened(address) as engine:
            place = engine.turns().join(b"line", BARRIER, 3)
            talk.say("waits")
            talk.say(place.wait(WAIT))

    def last(_: Talk) -> None:
        kills.do_without_the_module()
        PythonTable._call = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
        with opened(address) as engine:
            engine.turns().join(b"line", BARRIER, 3)

    with Child(work) as first, Child(work) as second:
        for child in (first, second):
            assert child.heard() == "waits"
        with Child(last) as dead:
            assert dead.heard() == ""
        for child in (first, second):
            assert child.heard() == "True"


def test_interrupt_while_a_process_begins_to_be_watched_leaves_no_death_unseen(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with opened(address) as engine, Child(holding(address)) as holder:
        assert holder.heard() == "True"
        with monkeypatch.context() as patched:
            patched.setattr(Deaths, "watch", interrupted)
            with pytest.raises(KeyboardInterrupt):
                engine.turns().join(b"line")
        place = engine.turns().join(b"line")
        assert not place.wait(0)
        holder.kill()
        assert place.wait(WAIT)


def test_death_is_seen_if_the_thread_cannot_be_started_again_after_a_fork(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise RuntimeError("no more threads")

    with opened(address) as engine, Child(holding(address)) as holder, ThreadPoolExecutor(1) as pool:
        assert holder.heard() == "True"
        place = engine.turns().join(b"line")
        sleeps = threading.Event()
        sleep = place.sleep  # type: ignore[attr-defined]

        class Sleeper:
            is_over = False

            def sleep(self, limit: float) -> bool:
                sleeps.set()
                return bool(sleep(limit))

        turns: Any = engine.turns()
        waits = pool.submit(turns._table._wait, Sleeper(), WAIT)
        assert sleeps.wait(WAIT)
        monkeypatch.setattr(ServiceThread, "start", refused)
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        assert turns._table.deaths.needs_look
        holder.kill()
        assert waits.result(WAIT)


def test_stopped_holder_keeps_its_turn(address: str) -> None:
    with opened(address) as engine, Child(holding(address)) as child:
        assert child.heard() == "True"
        place = engine.turns().join(b"line")
        os.kill(child.pid, signal.SIGSTOP)
        assert not place.wait(0.05)
        os.kill(child.pid, signal.SIGCONT)
        child.kill()
        assert place.wait(WAIT)


def test_turn_of_a_killed_process_is_free_for_one_who_does_not_wait(address: str) -> None:
    with opened(address) as engine:
        with Child(holding(address)) as child:
            assert child.heard() == "True"
        place = engine.turns().join(b"line")
        assert place.wait(0)


def test_killed_process_does_not_count_for_a_barrier(address: str) -> None:
    def work(talk: Talk) -> None:
        with opened(address) as engine:
            engine.turns().join(b"start", BARRIER, 2)
            talk.say("waits")
            talk.hear()

    with opened(address) as engine:
        with Child(work) as child:
            assert child.heard() == "waits"
        turns = engine.turns()
        second = turns.join(b"start", BARRIER, 2)
        assert not second.wait(0)
        third = turns.join(b"start", BARRIER, 2)
        assert second.wait(0)
        assert third.wait(0)


def test_holder_that_dies_is_told_to_event_loops(address: str) -> None:
    before = service_threads("coshelf-turns-called")
    with opened(address) as engine, Child(holding(address)) as child:
        assert child.heard() == "True"
        turns, called = engine.turns(), threading.Semaphore(0)
        places = [turns.join(b"line") for _ in range(3)]
        for place in places:
            place.when_called(called.release)
        child.kill()
        for place in places:
            assert called.acquire(timeout=WAIT)
            assert place.wait(0)
            place.leave()
        started = set(service_threads("coshelf-turns-called")) - set(before)
        assert len(started) == 1, "one thread for all places"


@pytest.mark.parametrize("mixed", [False, True])
def test_processes_that_are_killed_leave_one_holder(address: str, mixed: bool) -> None:
    result = kills.run(address, 15, 1, mixed=mixed)
    assert result.turns > 0


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_ten_thousand_kills_leave_one_holder(tmp_path: Path) -> None:
    result = kills.run(str(tmp_path / "shelf"), 10_000, 2)
    print(result)
    assert result.turns > 10_000


# --- signals, forks, and the end -------------------------------------------------------------------------------------

INTERRUPTED = """
import signal, sys, threading, coshelf
with coshelf.open(sys.argv[1]) as shelf:
    turns = shelf._handle.engine.turns()
    place = turns.join(b"line")
    print(place.wait(0), flush=True)
    handled = []
    signal.signal(signal.SIGUSR1, lambda *_: (handled.append(1), print("handled", flush=True)))
    try:
        print("ready", flush=True)
        place.wait(None)
    except KeyboardInterrupt:
        print("interrupted", len(turns.line(b"line").waiting), flush=True)
    place.leave()
    print("left", len(turns.line(b"line").waiting), flush=True)
"""


@pytest.mark.parametrize("native", ["1", "0"])
def test_waiting_process_handles_signals(address: str, native: str) -> None:
    with opened(address) as engine:
        place = engine.turns().join(b"line")
        command = [sys.executable, "-c", INTERRUPTED, address]
        environment = {**os.environ, "COSHELF_NATIVE": native}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "False\n"
            assert child.stdout.readline() == "ready\n"
            for _ in range(2):
                child.send_signal(signal.SIGUSR1)
                assert child.stdout.readline() == "handled\n"
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "interrupted 1\n"
            assert child.stdout.readline() == "left 0\n"
            assert child.wait(WAIT) == 0
        assert place.wait(0)


def test_fork_beside_a_waiting_thread_keeps_the_line(address: str) -> None:
    with opened(address) as engine, Child(holding(address)) as child:
        assert child.heard() == "True"
        turns = engine.turns()
        task = Task(lambda: turns.join(b"line").wait(WAIT))
        assert task.still_runs()

        def look(talk: Talk) -> None:
            talk.say(len(turns.line(b"line").waiting))
            talk.say(engine.turns().join(b"other").wait(0))

        with Child(look) as other:
            assert other.heard() == "1"
            assert other.heard() == "True"
        child.kill()
        assert task.finish() is True


def test_closing_ends_the_places_of_the_handle(address: str) -> None:
    with opened(address) as other, contextlib.ExitStack() as stack:
        place = other.turns().join(b"line")
        engine = stack.enter_context(opened(address))
        turns = engine.turns()
        mine = turns.join(b"line")
        task = Task(lambda: mine.wait(WAIT))
        assert task.still_runs()
        bell = turns.bell(b"bell")
        listener = Task(lambda: bell.wait(bell.sequence(), WAIT))
        assert listener.still_runs()
        stack.close()
        assert task.finish() is False
        listener.finish()
        assert other.turns().line(b"line").waiting == ()
        assert place.wait(0)
        with pytest.raises(ShelfClosed):
            turns.join(b"line")
        mine.leave()


def test_last_one_to_close_removes_the_table(address: str) -> None:
    with opened(address) as engine:
        assert list(engine.turns().lines()) == []
        assert not table_of(address).exists(), "looking makes no table"
        with opened(address) as other:
            other.turns().join(b"line").leave()
            engine.turns().join(b"line").leave()
        assert table_of(address).exists()
    assert not table_of(address).exists()


def test_without_locks_there_is_no_table(address: str) -> None:
    with coshelf.open(address) as shelf:
        shelf["key"] = 1
        shelf._handle.engine.turns().ring(b"nobody listens")
        assert not table_of(address).exists()


def test_processes_with_and_without_the_module_pass_the_turn_around(address: str) -> None:
    program = (
        "import sys, coshelf\n"
        "with coshelf.open(sys.argv[1]) as shelf:\n"
        "    turns = shelf._handle.engine.turns()\n"
        "    for _ in range(200):\n"
        "        place = turns.join(b'line')\n"
        "        assert place.wait(60)\n"
        "        print(place.token)\n"
        "        place.leave()\n"
    )
    with opened(address) as engine:
        first = engine.turns().join(b"line")
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program, address],
                stdout=subprocess.PIPE,
                env={**os.environ, "COSHELF_NATIVE": native},
            )
            for native in "0101"
        ]
        first.leave()
        tokens = [[int(text) for text in each.communicate(timeout=WAIT)[0].split()] for each in running]
        assert [each.returncode for each in running] == [0, 0, 0, 0]
        assert all(each == sorted(each) for each in tokens)
        assert len({token for each in tokens for token in each}) == 800
        assert list(engine.turns().lines()) == []


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not native.in_use, reason="without the module in C it takes a minute to fill the table")
def test_full_table_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    with opened(str(tmp_path / "shelf")) as engine:
        turns = engine.turns()
        places = [turns.join(b"line", 3) for _ in range(PLACES)]
        with pytest.raises(StorageError, match="all 4,096 places"):
            turns.join(b"line", 3)
        assert [place.wait(0) for place in places[:4]] == [True, True, True, False]
        places[0].leave()
        assert places[3].wait(0)
        assert turns.join(b"other").wait(0)
        del places[1:]


def test_name_that_is_too_long_is_an_error(address: str) -> None:
    with opened(address) as engine:
        with pytest.raises(KeyTooLong, match="257 bytes"):
            engine.turns().join(b"n" * 257)
        assert engine.turns().join(b"n" * 256).wait(0)


def test_handle_that_only_reads_has_no_turns(address: str) -> None:
    coshelf.open(address).close()
    with opened(address, flag="r") as engine, pytest.raises(ReadOnlyShelf):
        engine.turns().join(b"line")


def test_table_of_another_boot_is_made_anew(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(address)
    with opened(address) as engine:
        before = engine.turns().join(b"line").token
        left = table.read_bytes()
    table.parent.mkdir(exist_ok=True)
    table.write_bytes(left)
    os.chmod(table, 0o600)
    monkeypatch.setattr(table_file, "_boot", lambda: b"the boot after it"[:16])
    with opened(address) as engine:
        place = engine.turns().join(b"line")
        assert place.wait(0), "the holder of before has died with its boot"
        assert before is not None
        assert place.token is not None
        assert place.token > before


@pytest.mark.parametrize("content", [b"", b"something else", bytes(SIZE), b"\xff" * SIZE])
def test_damaged_table_is_made_anew(address: str, content: bytes) -> None:
    with opened(address) as engine:
        table = table_of(address)
        table.parent.mkdir(exist_ok=True)
        table.write_bytes(content)
        os.chmod(table, 0o600)
        assert engine.turns().join(b"line").wait(0)


def test_table_of_another_version_stays_while_it_is_used(address: str) -> None:
    with opened(address) as engine, opened(address) as other:
        place = engine.turns().join(b"line")
        with open(table_of(address), "r+b") as file:
            file.write(b"coshtrn\2")
        with pytest.raises(StorageError, match="version"):
            other.turns().join(b"line")
        assert place.wait(0)
        with open(table_of(address), "r+b") as file:
            file.write(layout.MAGIC)
        assert not other.turns().join(b"line").wait(0)


def test_table_that_others_can_write_is_refused(address: str) -> None:
    with opened(address) as engine:
        table = table_of(address)
        table.parent.mkdir(exist_ok=True)
        table.write_bytes(bytes(SIZE))
        os.chmod(table, 0o666)
        with pytest.raises(ShelfPermissionError):
            engine.turns().join(b"line")


def test_lines_stay_while_the_file_is_made_smaller(tmp_path: Path) -> None:
    path = str(tmp_path / "shelf")
    with coshelf.open(path) as shelf:
        turns = shelf._handle.engine.turns()
        place = turns.join(b"line")
        shelf["key"] = 1
        shelf.compact()
        with Child(holding(path)) as child:
            assert child.heard() == "False"
            child.tell("wait")
            place.leave()
            assert child.heard() == "True"


def test_line_is_joined_inside_a_transaction(address: str) -> None:
    with coshelf.open(address) as shelf:
        with shelf.transaction() as transaction:
            place = shelf._handle.engine.turns().join(b"line")
            assert place.wait(0)
            transaction["key"] = 1
        assert shelf["key"] == 1
        place.leave()


def test_files_on_a_network_have_no_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coshelf.engines.files.engine.shared", lambda _: "on a network file system (nfs)")
    with opened(f"files:{tmp_path / 'shelf'}") as engine:
        assert engine.capabilities.turns is None
        with pytest.raises(Unsupported, match="nfs"):
            engine.turns()


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import gevent, sys, coshelf
with coshelf.open(sys.argv[1]) as shelf:
    turns, order = shelf._handle.engine.turns(), []
    def work(name):
        place = turns.join(b"line")
        assert place.wait(60)
        order.append(name)
        gevent.sleep(0.01)
        order.append(name)
        place.leave()
    gevent.joinall([gevent.spawn(work, name) for name in range(4)], raise_error=True)
    assert order == [0, 0, 1, 1, 2, 2, 3, 3], order
"""


def test_greenlets_wait_without_stopping_others(address: str) -> None:
    pytest.importorskip("gevent")
    subprocess.run([sys.executable, "-c", GREENLETS, address], check=True, timeout=WAIT)


def test_handle_that_only_reads_sees_the_lines(address: str) -> None:
    with opened(address) as engine, opened(address, flag="r") as reader:
        place = engine.turns().join(b"line")
        assert [who.token for who in reader.turns().line(b"line").holders] == [place.token]
        with pytest.raises(ReadOnlyShelf):
            reader.turns().join(b"line")


def test_process_that_opens_the_shelf_again_and_again_is_watched_once(address: str) -> None:
    def work(talk: Talk) -> None:
        while talk.hear() == "again":
            with opened(address) as engine:
                place = engine.turns().join(b"line")
                place.wait(WAIT)
                talk.say("joined")
                talk.hear()
                place.leave()
            talk.say("closed")

    with opened(address) as engine, Child(work) as child:
        turns = engine.turns()
        for _ in range(5):
            child.tell("again")
            assert child.heard() == "joined"
            mine = turns.join(b"line")
            child.tell("leave")
            assert child.heard() == "closed"
            assert mine.wait(WAIT)
            mine.leave()
        assert turns._table is not None
        assert len(turns._table.deaths._watches) <= 1
        child.tell("end")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_table_with_any_content_ends_no_process(tmp_path: Path, seed: int) -> None:
    """Whoever may write the shelf can write anything into the table. The mutex and the head stay as they are."""
    chance, address = random.Random(seed), str(tmp_path / "shelf")
    script = (
        "import sys, coshelf, contextlib\n"
        "from coshelf.contract import BARRIER\n"
        "with coshelf.open(sys.argv[1]) as shelf:\n"
        "    turns = shelf._handle.engine.turns()\n"
        "    places = []\n"
        "    for number in range(3):\n"
        "        with contextlib.suppress(coshelf.CoshelfError):\n"
        "            places.append(turns.join(b'line', number % 3, 2))\n"
        "            places[-1].wait(0)\n"
        "            turns.line(b'line')\n"
        "            list(turns.lines())\n"
        "            turns.ring(b'bell')\n"
        "    for place in places:\n"
        "        place.leave()\n"
    )
    with opened(address) as engine:
        engine.turns().join(b"line").leave()
        content = bytearray(chance.randbytes(SIZE - 128))
        for _ in range(200):  # some of it is plausible
            place = layout.PLACES_AT + chance.randrange(64) * layout.PLACE.size - 128
            content[place : place + 16] = struct.pack("=IIII", chance.randrange(3), 1, 1, chance.randrange(8))
        with open(table_of(address), "r+b") as file:
            file.seek(128)
            file.write(content)
        done = subprocess.run([sys.executable, "-c", script, address], capture_output=True, timeout=4 * WAIT)
        assert done.returncode == 0, done.stderr.decode()
