"""A cache that several processes and threads share, forks, and processes that are killed."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from support import Crew

from coshelf.diskcache import Cache, Timeout

SCRIPTS = Path(__file__).parent / "scripts"
IMPORTS = "from coshelf.diskcache import Cache\n"


@pytest.fixture
def directory(path: str) -> str:
    return os.path.dirname(path)


@pytest.mark.parametrize("stride", [61, pytest.param(3, marks=pytest.mark.long)])
def test_a_kill_at_any_line_leaves_no_entry_without_its_file(crew: Crew, directory: str, stride: int) -> None:
    kills = int(crew.run(SCRIPTS / "killed_anywhere.py", directory, stride)[0])
    assert kills > 600 // stride


def test_processes_count_add_push_and_pull_without_loss(crew: Crew, directory: str) -> None:
    program = (
        IMPORTS
        + """
with Cache(path) as cache:
    say("ready")
    hear()
    won = sum(cache.add(number, sys.argv[2], retry=True) for number in range(60))
    for number in range(60):
        cache.incr("count", retry=True)
        cache.push((sys.argv[2], number), "queue", retry=True)
        with cache.transact(retry=True):
            cache["a"] = cache["b"] = cache.get("a", 0) + 1
    pulled = [cache.pull("queue", retry=True)[1] for _ in range(60)]
say(repr((won, pulled)))
"""
    )
    workers = crew.start_many(3, program, directory)
    results = [eval(worker.finish()[0]) for worker in workers]
    with Cache(directory) as cache:
        assert (cache["count"], cache["a"], cache["b"]) == (180, 180, 180)
        assert sum(won for won, _ in results) == 60
        pulled = [item for _, items in results for item in items]
        assert len(set(pulled)) == len(pulled) == 180
        assert cache.pull("queue") == (None, None)
        assert cache.check() == []


def test_a_reader_never_waits_and_sees_whole_values_while_others_replace_them(crew: Crew, directory: str) -> None:
    program = (
        IMPORTS
        + """
with Cache(path) as cache:
    say("ready")
    hear()
    for number in range(150):
        cache["key"] = bytes([number]) * 40_000
"""
    )
    with Cache(directory) as cache:
        cache["key"] = b"\0" * 40_000
        worker = crew.start(program, directory)
        worker.expect("ready")
        worker.tell()
        seen = set()
        while worker.process.poll() is None:
            value = cache["key"]
            assert len(value) == 40_000 == value.count(value[:1])
            seen.add(value[:1])
        worker.finish()
        assert cache["key"][:1] == bytes([149])


def test_another_process_waits_for_the_timeout(crew: Crew, directory: str) -> None:
    holder = crew.start(IMPORTS + """
with Cache(path) as cache, cache.transact():
    cache["a"] = 1
    say("inside")
    hear()
""", directory)  # fmt: skip
    holder.expect("inside")
    cache = Cache(directory, timeout=0.05)
    with pytest.raises(Timeout):
        cache.set("b", b"v" * 40_000)
    with pytest.raises(Timeout):
        cache.transact().__enter__()
    assert cache.get("a") is None
    holder.kill()
    assert cache.set("b", 2)
    assert list(cache) == ["b"]
    assert cache.check() == []
    cache.close()


def test_a_forked_child_uses_the_cache_and_is_in_no_block_of_its_parent(crew: Crew, directory: str) -> None:
    said = crew.run(IMPORTS + """
cache = Cache(path)
cache["a"] = 1
seen_by_child, told = os.pipe()
with cache.transact():
    cache["b"] = b"v" * 40_000
    pid = os.fork()
    if pid == 0:
        seen = cache.get("a"), cache.get("b"), list(cache)
        os.write(told, b".")
        cache.set("child", seen, retry=True)
        cache.close()
        os._exit(0)
    os.read(seen_by_child, 1)
    cache["c"] = 3
assert reap(pid) == 0
say(repr(cache["child"]), list(cache), len(cache.check()))
cache.close()
""", directory)  # fmt: skip
    assert said == ["(1, None, ['a']) ['a', 'b', 'c', 'child'] 0"]


def test_a_fork_while_other_threads_work_can_open_the_cache(crew: Crew, directory: str) -> None:
    said = crew.run(IMPORTS + """
cache = Cache(path)
done = threading.Event()
def work():
    while not done.is_set():
        cache.incr("count", retry=True)
        cache.close()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for number in range(10):
    pid = os.fork()
    if pid == 0:
        cache.set(("child", number), number, retry=True)
        cache.close()
        os._exit(0)
    assert reap(pid) == 0
done.set()
for thread in threads: thread.join()
say(sorted(cache[("child", number)] for number in range(10)) == list(range(10)), len(cache), len(cache.check()))
""", directory)  # fmt: skip
    assert said == ["True 11 0"]


def test_threads_share_a_cache_and_close_it_for_themselves(directory: str) -> None:
    cache = Cache(directory)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                cache.incr("count", retry=True)
                cache.set((number, turn), bytes([turn]) * 33_000 if turn % 10 == 0 else turn, retry=True)
                with cache.transact(retry=True):
                    cache["total"] = cache.get("total", 0) + 1
                if turn % 7 == 0:
                    cache.close()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert (cache["count"], cache["total"], len(cache)) == (200, 200, 202)
    assert cache.check() == []
    cache.close()
    assert cache["count"] == 200
    cache.close()


def test_a_pickled_cache_opens_the_same_directory(crew: Crew, directory: str) -> None:
    with Cache(directory, timeout=5) as cache:
        cache["a"] = 1
        data = pickle.dumps(cache)
        other: Any = pickle.loads(data)
        assert (other["a"], other.directory, other.timeout, other == cache) == (1, cache.directory, 5, False)
        said = crew.run(
            "import pickle\ncache = pickle.loads(bytes.fromhex(sys.argv[2]))\ncache['b'] = 2\nsay(cache['a'])",
            directory,
            data.hex(),
        )
        assert said == ["1"]
        assert cache["b"] == 2
        other.close()
