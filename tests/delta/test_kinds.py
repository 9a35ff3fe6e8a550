"""What holds with a delta that is written through its map holds with one written by system calls, and with none."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from insides import MODES
from support import Crew, Worker, beside

import coshelf
from coshelf.engines.lmdb.delta import state

OPEN = """
from insides import *
from coshelf.engines.lmdb.files.sidecar_directory import delta_path
kind = sys.argv[2]
use_kind(kind)

def open_shelf(**options):
    return coshelf.open(path, mode=MODES[kind], **options)
"""


@pytest.fixture(params=MODES)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def test_it_is_the_kind_that_it_is_said_to_be(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        OPEN
        + """
with open_shelf() as shelf:
    assert shelf.capabilities.acknowledged == ("durable" if kind == "DIRECT" else "machine")
    environment = environment_of(shelf)
    assert environment.has_delta == (kind != "DIRECT")
    assert not os.path.exists(delta_path(path, 0))
    before = commits_to_base(path)
    shelf["a"] = 1
    shelf["b"] = 1
    assert os.path.exists(delta_path(path, 0)) == (kind != "DIRECT")
    assert environment.page.delta.identity().kind == getattr(state, kind)
    if kind == "DIRECT":
        assert commits_to_base(path) == before + 2
        assert not flush_threads()
""",
        path,
        kind,
    )


def test_who_comes_later_does_as_the_first_though_it_would_have_decided_otherwise(
    crew: Crew, path: str, kind: str
) -> None:
    holder = crew.start(OPEN + 'shelf = open_shelf()\nshelf["a"] = 1\nsay("open")\nhear()\nsay(shelf["b"])', path, kind)
    holder.expect("open")
    os.chmod(path, 0o600 if kind == "PLAIN" else 0o660)
    with coshelf.open(path) as shelf:
        environment = shelf._handle.engine._environment  # type: ignore[attr-defined]
        assert environment.page.delta.identity().kind == getattr(state, kind)
        assert shelf["a"] == 1
        shelf["b"] = 2
    holder.tell()
    assert holder.finish() == ["2"]


def test_everything_a_dict_does(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        OPEN
        + """
import random
chance = random.Random(7)
shelf, model = open_shelf(flush_interval=1000), {}
names = [*range(30), *("x" * 490 + str(n) for n in range(15)), *("y" * 2000 + str(n) for n in range(5))]
for turn in range(1500):
    name, value = chance.choice(names), chance.choice([turn, "x" * 500, b"y" * 70_000])
    match chance.randrange(12):
        case 0 | 1 | 2 | 3 | 4:
            shelf[name] = model[name] = value
        case 5 | 6:
            assert shelf.pop(name, None) == model.pop(name, None)
        case 7:
            assert shelf.setdefault(name, value) == model.setdefault(name, value)
        case 8:
            new = {chance.choice(names): turn for _ in range(20)}
            shelf.update(new)
            model.update(new)
        case 9:
            with shelf.transaction() as t:
                t[name] = model[name] = value
                t.pop(names[0], None)
                model.pop(names[0], None)
        case 10 if turn % 3 == 0:
            shelf.sync()
        case 11 if turn % 40 == 0:
            shelf.clear()
            model.clear()
    assert len(shelf) == len(model)
    assert shelf.get(name) == model.get(name)
    if turn % 25 == 0:
        ordered = sorted(model, key=lambda key: (isinstance(key, str), key))
        assert list(shelf) == ordered
        assert list(shelf.items(reverse=True)) == [(key, model[key]) for key in reversed(ordered)]
        assert set(shelf.keys(prefix="x" * 490)) == {key for key in model if str(key).startswith("x")}
shelf.close()
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == model
""",
        path,
        kind,
    )
    assert beside(path) == ["a.shelf"]


def test_counters_of_several_processes_come_out_exact(crew: Crew, path: str, kind: str) -> None:
    workers = crew.start_many(
        3,
        OPEN
        + """
shelf = open_shelf(flush_interval=0.003)
say("ready")
hear()
for turn in range(60):
    shelf.modify("count", lambda value: value + 1, default=0)
    with shelf.transaction() as t:
        t["left"] = t.get("left", 0) + 1
        t["right"] = t.get("right", 0) - 1
    with shelf.snapshot() as snapshot:
        assert snapshot["left"] + snapshot["right"] == 0
shelf.close()
""",
        path,
        kind,
    )
    for worker in workers:
        worker.finish()
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"count": 180, "left": 180, "right": -180}
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_what_had_returned_survives_a_kill(crew: Crew, path: str, kind: str, durability: str) -> None:
    for turn in range(3):
        victim = crew.start(
            OPEN
            + """
shelf = open_shelf(durability=sys.argv[3], flush_interval=0.002)
start = shelf.get("turn", 0)
for turn in range(start + 1, start + 500):
    shelf["turn"] = turn
    shelf.update({("half", n): turn for n in range(5)})
    say(turn)
hear()
""",
            path,
            kind,
            durability,
        )
        for _ in range(30 * (turn + 1)):
            returned = int(victim.hear())
        victim.kill()
        with coshelf.open(path, timeout=5) as shelf:
            assert shelf["turn"] >= returned
            halves = {shelf["half", n] for n in range(5)}
            assert len(halves) == 1 and halves <= {shelf["turn"], shelf["turn"] - 1}
        assert beside(path) == ["a.shelf"]


def test_a_batch_too_large_for_the_delta(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        OPEN
        + """
with open_shelf(flush_interval=1000) as shelf:
    shelf["waiting"] = 1
    shelf.update({n: n for n in range(3000)} | {"large": bytes(3_000_000)})
    shelf["later"] = 1
    assert len(shelf) == 3003
with coshelf.open(path, "r") as shelf:
    assert len(shelf) == 3003 and shelf["large"] == bytes(3_000_000)
""",
        path,
        kind,
    )


def test_forked_children_commit_too(crew: Crew, path: str, kind: str) -> None:
    crew.run(
        OPEN
        + """
shelf = open_shelf(flush_interval=1000)
shelf["count"] = 0
for turn in range(5):
    pid = os.fork()
    if pid == 0:
        shelf["count"] += 1
        os._exit(0)
    assert reap(pid) == 0
    shelf["count"] += 1
assert shelf["count"] == 10
shelf.close()
""",
        path,
        kind,
    )
    assert beside(path) == ["a.shelf"]


PLACES = ["commit-applied", "flush-copied", "flush-committed", "empty-begun", "direct-committed"]


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_failpoint_a_written_delta_loses_nothing(
    path: str, armed: Callable[..., Worker], place: str
) -> None:
    """The kind that is written through its map has tests of its own."""
    victim = armed(
        f"{place}=kill@1000",
        OPEN
        + """
shelf = open_shelf(flush_interval=1000)
shelf["first"] = 1
flush_all(shelf)
shelf["returned"] = 1
arm(sys.argv[3])
shelf["under way"] = 1
shelf.sync()
shelf.update({n: n for n in range(1001)})
""",
        path,
        "PLAIN",
        place,
    )
    victim.finish(-signal.SIGKILL)
    with coshelf.open(path, timeout=5) as shelf:
        found = shelf.copy()
        assert found.pop("first") == found.pop("returned") == 1
        assert ("under way" in found) == (place != "commit-applied")
        found.pop("under way", None)
        assert len(found) in (0, 1001)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_system_without_a_boot_id_has_no_delta(crew: Crew, path: str) -> None:
    """Some sandboxes have an empty file there."""
    crew.run(
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        NEW_NAMESPACE, BIND, PRIVATE, RECURSIVE = 0x20000, 4096, 1 << 18, 16384
        if libc.unshare(NEW_NAMESPACE) or libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None):
            sys.exit()
        if libc.mount(b"/dev/null", b"/proc/sys/kernel/random/boot_id", None, BIND, None):
            sys.exit()
        with coshelf.open(path) as shelf:
            assert shelf.capabilities.acknowledged == "durable"
            assert not os.path.exists(os.path.join(os.path.dirname(path), ".a.shelf.coshelf/delta"))
            shelf["a"] = 1
            assert shelf["a"] == 1
        """,
        path,
    )
