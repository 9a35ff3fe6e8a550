"""Kills children at every so many lines of the cache's code, and looks at what they leave. Arguments: path, stride."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

from talking import path, say

import coshelf
from coshelf.diskcache import Cache, EmptyDirWarning, UnknownFileWarning

ORPHANS = (UnknownFileWarning, EmptyDirWarning)
LARGE, LARGER = b"v" * 40_000, b"w" * 50_000
INSIDE = tuple(os.path.join(os.path.dirname(coshelf.__file__), part) for part in ("diskcache", "dropin"))


def work(cache: Cache) -> None:
    cache["a"] = LARGE
    cache["a"] = LARGER
    cache.set("b", LARGE, expire=60, tag="red")
    cache.add("c", LARGE)
    cache.pop("a")
    cache.push(LARGE)
    cache.push(1)
    cache.pull()
    with cache.transact():
        cache["b"] = LARGER
        del cache["c"]
        cache["d"] = LARGE
    del cache["b"]
    cache["d"] = 5


def kill_at(count: int) -> Any:
    left = [count]

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(INSIDE):
            return None
        if event == "line":
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def look(directory: str, count: int) -> None:
    """No entry is without its value, and the counts are right. At most a file is left over."""
    with Cache(directory) as cache:
        keys = list(cache)
        for key in keys:
            assert cache.get(key, "missing") in (LARGE, LARGER, 1, 5), (count, key)
        assert len(cache) == len(keys), (count, keys)
        found = cache.check(fix=True)
        told = [str(warning.message) for warning in found]
        assert all(issubclass(warning.category, ORPHANS) for warning in found), (count, told)
        left = [str(warning.message) for warning in cache.check()]
        assert left == [], (count, told, left)
        assert [cache.get(key, "missing") for key in keys].count("missing") == 0, (count, keys)


def main() -> None:
    stride, count, kills = int(sys.argv[2]), 1, 0
    while True:
        directory = os.path.join(path, str(count))
        pid = os.fork()
        if pid == 0:
            cache = Cache(directory)
            sys.settrace(kill_at(count))
            work(cache)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        look(directory, count)
        if status == 0:
            break
        assert status == -signal.SIGKILL, status
        kills += 1
        count += stride
    say(kills)


main()
