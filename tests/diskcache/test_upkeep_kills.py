"""A process that is killed while it removes or builds leaves rows, counts, indexes and files in accord."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Crew

from coshelf.diskcache import Cache

CALLS = {
    "cull": "cache.size_limit = 0; cache.cull()",
    "clear": "cache.clear()",
    "evict": "cache.evict('red')",
    "expire": "cache.expire(time.time() + 1_000)",
    "build the index of a policy": "cache.reset('eviction_policy', policies[round % 3])",
    "build the index of tags": "cache.create_tag_index(); cache.drop_tag_index()",
    "writes that cull": "cache.size_limit = 20_000",
}
PROGRAM = """
    from coshelf.diskcache import Cache
    policies = ["least-recently-stored", "least-recently-used", "least-frequently-used"]
    cache = Cache(sys.argv[1], size_limit=1 << 30, eviction_policy=sys.argv[3])
    for round in range(1_000_000):
        for number in range(30):
            cache.set(number, b"x" * (40_000 if number % 5 == 0 else 50), expire=500, tag="red")
            cache.get(number // 2)
        say("full")
        exec(sys.argv[2])
        cache.size_limit = 1 << 30
    """


@pytest.mark.parametrize("call", ["clear", "build the index of a policy", "writes that cull"])
def test_a_kill_in_the_middle_leaves_everything_in_accord(tmp_path: Path, crew: Crew, call: str) -> None:
    kill_again_and_again(tmp_path, crew, call, 1)


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
def test_many_kills_in_the_middle_leave_everything_in_accord(tmp_path: Path, crew: Crew, call: str) -> None:
    kill_again_and_again(tmp_path, crew, call, 20)


def kill_again_and_again(tmp_path: Path, crew: Crew, call: str, kills: int) -> None:
    for kill in range(kills):
        worker = crew.start(PROGRAM, tmp_path, CALLS[call], "least-recently-used")
        for _ in range(1 + kill % 3):
            worker.expect("full")
        worker.kill()
        cache = Cache(tmp_path)
        found = [str(warning.message) for warning in cache.check(fix=True)]
        # Files may be left over, and nothing else.
        assert [text for text in found if not text.startswith(("unknown file", "empty directory"))] == []
        assert [str(warning.message) for warning in cache.check()] == []
        assert len(cache) == len(list(cache))
        for key in cache:
            assert len(cache[key]) == (40_000 if key % 5 == 0 else 50)
        cache.close()
