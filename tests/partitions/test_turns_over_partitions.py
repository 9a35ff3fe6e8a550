"""Locks and queues while servers pause, and while hosts are cut off and come back.

No two holders have valid tokens, and no job is lost.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import namespaces
import pytest
from namespaces import Host, Network
from partitioned import ClusterStore, PostgresqlStore, SentinelStore, Store
from turn_notes import Held, Notes, out_of_order, overlapping

_WORKER = Path(__file__).parent / "scripts" / "turns_worker.py"
_WORKERS = 4
_EPISODES = int(os.environ.get("COSHELF_PARTITIONS", "8"))
_PATIENCE = 240.0


@pytest.fixture
def net() -> Iterator[Network]:
    if not namespaces.can_be_made():
        pytest.skip("network namespaces need root and iproute2")
    with namespaces.network() as made:
        yield made


class Workers:
    """Workers, each on a host of its own."""

    def __init__(self, net: Network, url: str, place: Path) -> None:
        self.hosts = [net.host() for _ in range(_WORKERS)]
        self._files = [place / f"worker{number}" for number in range(_WORKERS + 1)]
        self._processes = [self._start(host, url, number) for number, host in enumerate(self.hosts)]
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def _start(self, host: Host, url: str, number: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            host.command(sys.executable, str(_WORKER), url, f"w{number}", str(self._files[number])),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def notes(self) -> Notes:
        notes = Notes()
        for file in self._files:
            if file.exists():
                notes.read(file)
        return notes

    def finish(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        for process in self._processes:
            assert process.wait(_PATIENCE) == 0

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate(timeout=60)


def _eventually(what: str, ready: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        assert time.monotonic() < end, f"{what}: not within {_PATIENCE:.0f} s"
        time.sleep(0.2)


def _misfortune(rng: random.Random, store: Store, workers: Workers) -> None:
    """One fault, for some seconds."""
    kind = rng.choice(("pause server", "cut server", "cut worker", "cut worker", "cut two workers"))
    length = rng.uniform(1.0, 14.0)  # shorter and longer than a lease
    if kind == "pause server":
        host = rng.choice(store.hosts)
        store.pause(host)
        time.sleep(length)
        store.go_on(host)
        return
    hosts = [rng.choice(store.hosts)] if kind == "cut server" else rng.sample(workers.hosts, 1 + ("two" in kind))
    for host in hosts:
        host.cut()
    time.sleep(length)
    for host in hosts:
        host.heal()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [PostgresqlStore, SentinelStore, ClusterStore])
def test_no_two_holders_and_no_lost_job(kind: type[Store], net: Network, tmp_path: Path) -> None:
    rng = random.Random(17)
    store = kind(net, tmp_path)
    try:
        store.start()
        workers = Workers(net, store.url(), tmp_path)
        try:
            for _ in range(_EPISODES):
                before = len(workers.notes().held)
                _misfortune(rng, store, workers)
                _eventually("turns go on", lambda before=before: len(workers.notes().held) > before + 3)  # type: ignore[misc]
            workers.finish()
        finally:
            workers.kill()
        _drain(net, store, tmp_path)
        notes = workers.notes()
        notes.read(tmp_path / "rest")
        print(f"{len(notes.held)} turns, {len(notes.put)} jobs, {sum(notes.done.values())} deliveries, {notes.errors}")
        assert len(notes.held) > 3 * _EPISODES
        assert len(notes.put) > 10 * _EPISODES
        assert out_of_order(notes.held) == []
        if not store.loses_writes:
            assert overlapping(notes.held) == []
        assert notes.invented_jobs() == []
        assert notes.lost_jobs() == []
    finally:
        store.stop()


def _drain(net: Network, store: Store, place: Path) -> None:
    """Take the jobs that are left."""
    program = (
        "import json, queue, sys, coshelf\n"
        "with coshelf.open(sys.argv[1]) as shelf, open(sys.argv[2], 'w') as file:\n"
        "    try:\n"
        "        while True:\n"
        "            with shelf.queue('jobs').take(timeout=15) as job:\n"
        "                file.write(json.dumps(['done', job]) + '\\n')\n"
        "    except queue.Empty:\n"
        "        pass\n"
    )
    done = subprocess.run(
        net.host().command(sys.executable, "-c", program, store.url(), str(place / "rest")),
        capture_output=True, text=True, timeout=_PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_checks_find_two_holders_and_tokens_out_of_order() -> None:
    one, two = Held("a", 1, 0.0, 1.0, 5.0), Held("b", 2, 2.0, 4.0, 6.0)
    assert overlapping([two, one]) == [(one, two)]
    assert out_of_order([one, two]) == []
    late = Held("c", 1, 7.0, 8.0, 9.0)
    assert out_of_order([two, late]) == [(two, late)]
    assert out_of_order([one, late]) == [(one, late)]
