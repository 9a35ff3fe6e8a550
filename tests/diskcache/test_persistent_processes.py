"""FanoutCache, Deque and Index between processes, one of which is killed: nothing is lost or doubled."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from support import Crew

from coshelf.diskcache import Deque, FanoutCache, Index

SCRIPTS = Path(__file__).parent / "scripts"
ROUNDS = 60


def _told(crew: Crew, script: str, directory: str, heard_before_the_kill: int) -> list[list[str]]:
    """What four processes tell, each in its order. The first one is killed after it has told so much."""
    workers = [crew.start(SCRIPTS / script, directory, 0 if name == 0 else ROUNDS, name) for name in range(4)]
    for worker in workers:
        worker.expect("ready")
    for worker in workers:
        worker.tell()
    killed = [workers[0].hear() for _ in range(heard_before_the_kill)]
    workers[0].process.kill()
    stdout = workers[0].process.stdout
    assert stdout is not None
    killed += stdout.read().rpartition("\n")[0].splitlines()  # without a line that the kill has cut off
    others = [worker.finish() for worker in workers[1:]]
    assert all(lines[-1] == "done" for lines in others)
    return [[line for line in lines if line != "done"] for lines in (killed, *others)]


@pytest.mark.parametrize("heard", [40, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 15, 75, 150))])
def test_a_deque_loses_and_doubles_nothing_when_a_process_is_killed(crew: Crew, tmp_path: Path, heard: int) -> None:
    told = _told(crew, "deque_user.py", str(tmp_path / "deque"), heard)
    put, got = set(), []
    for lines in told:
        last: dict[int, int] = {}
        for kind, name, number in ((kind, int(name), int(number)) for kind, name, number in map(str.split, lines)):
            if kind == "put":
                put.add((name, number))
            else:
                got.append((name, number))
                assert number > last.get(name, -1)  # values of one process come in its order
                last[name] = number
    deque = Deque(directory=str(tmp_path / "deque"))
    left = [value[:2] for value in deque]
    assert len(left) == len(deque)
    found = got + left
    assert len(found) == len(set(found))
    lost, untold = put - set(found), set(found) - put
    assert len(lost) <= 1  # what the killed process had taken, and had not told
    assert all(name == 0 for name, _ in untold)  # what it had appended, and had not told
    assert len(untold) <= 1
    deque.cache.check(fix=True)  # an orphaned file
    assert deque.cache.check() == []


@pytest.mark.parametrize("heard", [50, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 15, 75, 150))])
def test_a_fanout_cache_keeps_what_was_stored_when_a_process_is_killed(crew: Crew, tmp_path: Path, heard: int) -> None:
    told = _told(crew, "fanout_user.py", str(tmp_path / "fanout"), heard)
    with FanoutCache(tmp_path / "fanout") as cache:
        counted = sum(lines.count("counted") for lines in told)
        assert counted <= cache["count"] <= counted + 1
        winners: dict[int, list[int]] = {}
        for name, lines in enumerate(told):
            for kind, *number in map(str.split, lines):
                if kind == "stored":
                    assert cache[name, int(number[0])] == b"x" * (40_000 if int(number[0]) % 7 == 0 else 1)
                elif kind == "added":
                    winners.setdefault(int(number[0]), []).append(name)
        assert all(cache["once", number] == names[0] for number, names in winners.items())
        assert all(len(names) == 1 for names in winners.values())
        untold = [number for number in range(ROUNDS) if number not in winners]
        assert all(cache["once", number] == 0 for number in untold)
        assert len(untold) <= 1
        cache.check(fix=True)  # an orphaned file
        assert cache.check() == []


def test_of_several_processes_one_gets_each_item_of_an_index(crew: Crew, tmp_path: Path) -> None:
    index = Index(str(tmp_path / "index"), [(number, str(number)) for number in range(60)])
    program = """
        from coshelf.diskcache import Index
        index, other = Index(path), Index(path + "-other")
        say("ready")
        hear()
        say("set", other.setdefault("first", sys.argv[2]))
        while index:
            try:
                say("got", index.popitem(last=False)[0])
            except KeyError:
                break
    """
    lines = [worker.finish() for worker in crew.start_many(2, program, str(tmp_path / "index"))]
    got = [int(line.split()[1]) for line in itertools.chain(*lines) if line.startswith("got")]
    assert sorted(got) == list(range(60))
    assert len({line for line in itertools.chain(*lines) if line.startswith("set")}) == 1
    assert list(index) == []
