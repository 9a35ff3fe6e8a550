"""Programs that gevent patches: before the shelf is opened, or after it, as ``gunicorn --preload -k gevent`` does."""

from __future__ import annotations

import pytest
from support import Crew

pytest.importorskip("gevent")

# gevent 25 under -W error: its own use of what Python deprecates is not ours.
OPTIONS: tuple[str, ...] = ("-W", "default")
PATCHED_LATE = """
shelf = coshelf.open(sys.argv[2] + path, flush_interval=0.01)
if sys.argv[3] == "used":
    shelf["before"] = 1
from gevent import monkey; monkey.patch_all()
import gevent
"""
PATCHED_EARLY = """
from gevent import monkey; monkey.patch_all()
import gevent
shelf = coshelf.open(sys.argv[2] + path, flush_interval=0.01)
"""
WORK = """
def count(number):
    for _ in range(20):
        shelf.modify("count", lambda count: count + 1, default=0)
        shelf[str(number)] = number
        gevent.sleep(0)

gevent.joinall([gevent.spawn(count, number) for number in range(5)], raise_error=True)
shelf.sync()
waiter = gevent.spawn(shelf.wait, "late", 50)  # while it waits the other greenlets run
gevent.spawn_later(0.1, shelf.__setitem__, "late", "here")
waiter.join()
assert waiter.value == "here", waiter.exception
assert shelf["count"] == 100
pid = os.fork()
if not pid:
    shelf["child"] = 1
    shelf.close()
    os._exit(0)
assert reap(pid) == 0
assert shelf["child"] == 1
shelf.close()
say("done")
"""


@pytest.mark.parametrize("engine", ["", "sqlite:", "files:"])
@pytest.mark.parametrize("beginning", ["fresh", "used", "early"])
def test_greenlets_write_and_wait_through_one_shelf(crew: Crew, path: str, beginning: str, engine: str) -> None:
    script = (PATCHED_EARLY if beginning == "early" else PATCHED_LATE) + WORK
    worker = crew.start(script, path, engine, beginning, options=OPTIONS)
    worker.expect("done")
    worker.process.wait()
    assert worker.process.returncode == 0, worker.errors()


def test_memory_works_for_greenlets_too(crew: Crew, path: str) -> None:
    script = (
        PATCHED_LATE.replace("sys.argv[2] + path", '"memory:"')
        + WORK.split("pid = os.fork()", maxsplit=1)[0]
        + 'say("done")'
    )
    worker = crew.start(script, path, "", "used", options=OPTIONS)
    worker.expect("done")
    worker.process.wait()
    assert worker.process.returncode == 0, worker.errors()
