"""Processes and threads make every call at once. At the end everything is in accord."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Crew

from coshelf.diskcache import Cache

PROGRAM = """
    import random
    from coshelf.diskcache import Cache

    def call(cache, chance):
        key = chance.choice([0, 1, "a", "b", b"c", ("d", 1), None, 2.5])
        value = chance.choice([1, "text", b"x" * 40_000, [1, 2], 7])
        expire, tag = chance.choice([None, None, 0, 0.01, 100]), chance.choice([None, "red", "blue"])
        what = chance.randrange(24)
        if what < 5: cache.set(key, value, expire=expire, tag=tag, retry=True)
        elif what < 9: cache.get(key)
        elif what == 9: cache.add(key, value, expire=expire, tag=tag, retry=True)
        elif what == 10: cache.pop(key, retry=True)
        elif what == 11: cache.delete(key, retry=True)
        elif what == 12: cache.incr("number", retry=True)
        elif what == 13: cache.push(value, "jobs", expire=expire, tag=tag, retry=True)
        elif what == 14: cache.pull("jobs", retry=True)
        elif what == 15: cache.peek("jobs", retry=True)
        elif what == 16: cache.touch(key, expire, retry=True)
        elif what == 17: cache.evict(tag, retry=True)
        elif what == 18: cache.expire(retry=True)
        elif what == 19: cache.cull(retry=True)
        elif what == 20: list(cache), list(cache.iterkeys()), len(cache)
        elif what == 21: cache.stats(enable=chance.choice([True, False]))
        elif what == 22: cache.reset("eviction_policy", chance.choice(policies))
        elif chance.randrange(4) == 0: chance.choice([cache.clear, cache.create_tag_index, cache.drop_tag_index])()
        else:
            with cache.transact(retry=True):
                cache.set(key, value, retry=True)
                cache.incr("number", retry=True)

    policies = ["least-recently-stored", "least-recently-used", "least-frequently-used", "none"]
    cache = Cache(path, size_limit=int(sys.argv[2]))
    failures = []

    def work(seed):
        chance = random.Random(seed)
        try:
            for _ in range(int(sys.argv[3])):
                call(cache, chance)
        except BaseException as error:
            failures.append(error)
            raise

    say("ready")
    hear()
    number = int(sys.argv[4])
    threads = [threading.Thread(target=work, args=(2 * number + each,)) for each in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not failures, failures
    """


def hammer(crew: Crew, directory: Path, calls: int, size_limit: int) -> None:
    for worker in crew.start_many(2, PROGRAM, directory, size_limit, calls):
        worker.finish()
    with Cache(directory) as cache:
        assert [str(warning.message) for warning in cache.check()] == []
        assert len(cache) == len(list(cache)) == len(list(cache.iterkeys()))
        for key in cache:
            assert cache.get(key, default="gone", expire_time=True)[0] != "gone" or key not in cache
        cache.clear()
        assert (len(cache), cache.volume(), cache.check()) == (0, 0, [])


def test_two_processes_with_threads_leave_everything_in_accord(tmp_path: Path, crew: Crew) -> None:
    hammer(crew, tmp_path, 60, 100_000)


@pytest.mark.long
@pytest.mark.parametrize("size_limit", [2_000, 100_000, 1 << 30])
def test_two_processes_with_threads_for_long(tmp_path: Path, crew: Crew, size_limit: int) -> None:
    hammer(crew, tmp_path, 5_000, size_limit)
