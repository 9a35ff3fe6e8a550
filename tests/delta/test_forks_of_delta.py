"""A fork in the middle of it: parent and child each have the delta, and what waits in it is there once."""

from __future__ import annotations

import pytest
from support import Crew, beside

import coshelf


def test_what_waits_at_the_fork_is_there_for_both(crew: Crew, path: str) -> None:
    crew.run(
        """
        from insides import *
        shelf = coshelf.open(path, flush_interval=1000)
        shelf["first"] = 0
        flush_all(shelf)
        shelf["waiting"] = 1
        snapshot = shelf.snapshot()
        pid = os.fork()
        if pid == 0:
            assert dict(shelf) == {"first": 0, "waiting": 1}
            shelf["child"] = 2
            shelf.sync()
            assert is_clean(shelf)
            shelf["child, waiting"] = 3
            os._exit(0)
        assert reap(pid) == 0
        assert dict(snapshot) == {"first": 0, "waiting": 1}
        assert dict(shelf) == {"first": 0, "waiting": 1, "child": 2, "child, waiting": 3}
        snapshot.close()
        shelf.close()
        """,
        path,
    )
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as shelf:
        assert len(shelf) == 4


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_children_of_a_parent_that_writes_and_flushes_all_the_time(crew: Crew, path: str, durability: str) -> None:
    crew.run(
        """
        shelf = coshelf.open(path, durability=sys.argv[2], flush_interval=0.001)
        shelf["count"] = 0
        pids = []
        for turn in range(12):
            shelf.modify("count", lambda number: number + 1)
            pid = os.fork()
            if pid == 0:
                for _ in range(15):
                    shelf.modify("count", lambda number: number + 1)
                with shelf.transaction() as t:
                    t["child", turn] = t["count"]
                if turn % 2:
                    shelf.close()
                os._exit(0)
            pids.append(pid)
            for _ in range(10):
                shelf.modify("count", lambda number: number + 1)
        for pid in pids:
            assert reap(pid) == 0
        assert shelf["count"] == 12 * (1 + 15 + 10)
        assert len(shelf.keys(prefix=("child",))) == 12
        shelf.close()
        """,
        path,
        durability,
    )
    assert beside(path) == ["a.shelf"]


def test_a_fork_while_another_thread_is_in_its_flush(crew: Crew, path: str) -> None:
    """The child must not find a lock that is held for ever; the parent's flush goes on."""
    crew.run(
        """
        from insides import *
        from coshelf.engines.lmdb.base_writer import BaseWriter
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # the thread is this script's own
        shelf = coshelf.open(path, flush_interval=1000)
        shelf["first"] = 1
        flush_all(shelf)
        shelf["waiting"] = 1
        inside, forked = threading.Event(), threading.Event()
        finish = BaseWriter.finish
        def wait_and_finish(self, *arguments):
            inside.set()
            assert forked.wait(20)
            finish(self, *arguments)
        BaseWriter.finish = wait_and_finish
        thread = threading.Thread(target=shelf.sync)
        thread.start()
        assert inside.wait(20)
        pid = os.fork()
        if pid == 0:
            BaseWriter.finish = finish
            assert dict(shelf) == {"first": 1, "waiting": 1}
            shelf["child"] = 1
            os._exit(0)
        assert reap(pid) == 0
        forked.set()
        thread.join()
        assert dict(shelf) == {"first": 1, "waiting": 1, "child": 1}
        shelf.close()
        """,
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_a_child_whose_parent_replaced_the_delta_meanwhile_follows(crew: Crew, path: str) -> None:
    crew.run(
        """
        from insides import *
        from coshelf.engines.lmdb.delta.committer import Committer
        shelf = coshelf.open(path, flush_interval=1000)
        shelf["a"] = 1
        children = []
        for used in (False, True):
            to_child, from_child = os.pipe(), os.pipe()
            pid = os.fork()
            if pid == 0:
                if used:
                    assert shelf["a"] == 1
                os.write(from_child[1], b"x")
                os.read(to_child[0], 1)
                assert shelf["a"] == 2
                shelf["child", used] = current_delta(shelf).identity.generation
                os._exit(0)
            os.read(from_child[0], 1)
            children.append((pid, to_child))
        environment = environment_of(shelf)
        with environment.exclusive.hold(5):
            Committer(environment).replace_delta()
        shelf["a"] = 2
        for pid, to_child in children:
            os.write(to_child[1], b"x")
            assert reap(pid) == 0
        assert dict(shelf) == {"a": 2, ("child", False): 1, ("child", True): 1}
        shelf.close()
        """,
        path,
    )
    assert beside(path) == ["a.shelf"]
