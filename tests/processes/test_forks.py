"""A shelf survives fork in parent and child: what the parent holds stays whole, and the child has its own."""

from __future__ import annotations

import pytest
from support import Crew, beside

import coshelf

ENDS = {
    "os._exit": "os._exit(0)",
    "sys.exit": "sys.exit(0)",
    "exception": "raise SystemExit",
    "end of script": "pass",
}

# The parent holds a snapshot, an iterator half way, a cursor; the children overwrite everything, many times.
HELD = """
BIG = "x" * 3000
shelf = coshelf.open(path)
shelf.update({number: (0, BIG) for number in range(200)})
snapshot = shelf.snapshot()
items = iter(shelf.items())
held = iter(snapshot.values())
first = [next(items) for _ in range(20)]
next(held)
cursor = snapshot.cursor()
cursor.first()

def child():
    assert shelf[0][1] == BIG  # it reads
    mine = dict(shelf)
    for turn in range(1, 15):
        shelf.update({number: (os.getpid(), BIG) for number in range(200)})  # pages are used again and again
    with shelf.transaction() as t:
        t["child", os.getpid()] = shelf.modify is not None
    with shelf.snapshot() as own:
        assert len(own) == len(shelf)
    for use in (
        lambda: snapshot[0], lambda: len(snapshot), lambda: snapshot.copy(), lambda: next(items), lambda: next(held),
        lambda: snapshot.get_many([1]), lambda: cursor.next(), lambda: list(snapshot.sub("a")), lambda: list(snapshot),
    ):
        try:
            use()
        except ShelfClosed:
            continue
        raise AssertionError("the parent's snapshot works in the child")

def check():
    assert {value for _, value in first} == {(0, BIG)}
    rest = list(items)
    assert len(rest) == 180 and {value for _, value in rest} == {(0, BIG)}
    assert len(snapshot) == 200 and set(snapshot.values()) == {(0, BIG)}
    assert set(held) == {(0, BIG)}
    assert cursor.next() == (1, (0, BIG))
    assert shelf[0] != (0, BIG)
    snapshot.close()
    shelf["parent"] = "still writes"
    shelf.close()
"""


@pytest.mark.parametrize("end", ENDS)
def test_what_the_parent_holds_stays_whole_while_children_commit(crew: Crew, path: str, end: str) -> None:
    crew.run(
        HELD
        + f"""
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        child()
        say("child")
        {ENDS[end]}
        break
    assert reap(pid) == 0
else:
    check()
    say("parent")
""",
        path,
    )
    with coshelf.open(path) as shelf:
        assert len(shelf) == 200 + 4 + 1
    assert beside(path) == ["a.shelf"]


def test_a_child_that_fails_leaves_the_parent_alone(crew: Crew, path: str) -> None:
    crew.run(
        HELD
        + """
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os.close(2)
        child()
        raise LookupError("on purpose")
    assert reap(pid) == 1
check()
""",
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_children_at_the_same_time_and_their_children(crew: Crew, path: str) -> None:
    crew.run(
        HELD
        + """
def generation(depth):
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            shelf.modify("count", lambda n: n + 1, default=0)
            own = shelf.snapshot()
            before = own.get("count")
            if depth:
                generation(depth - 1)
            shelf.update({number: (depth, BIG) for number in range(200)})
            assert own["count"] == before
            shelf.modify("count", lambda n: n + 1)
            own.close()
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert reap(pid) == 0

generation(2)
assert shelf["count"] == 2 * (2 + 4 + 8)
check()
""",
        path,
    )
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "raise LookupError", "pass"])
def test_a_child_forked_inside_a_transaction_neither_commits_nor_releases(crew: Crew, path: str, end: str) -> None:
    crew.run(
        f"""
        shelf = coshelf.open(path, timeout=0.05)
        shelf["a"] = "before"
        parent = os.getpid()
        try:
            with shelf.transaction() as t:
                t["a"] = "inside"
                pid = os.fork()
                if pid == 0:
                    os.close(2)
                    for use in (
                        lambda: t["a"], lambda: t.update(a="child"), lambda: len(t), lambda: t.sub("a").pop("b"),
                    ):
                        try:
                            use()
                        except ShelfClosed:
                            continue
                        os._exit(3)
                    assert shelf["a"] == "before"
                    {end}
                else:
                    code = reap(pid)
                    assert code in (0, 1), code
                    # The lock is still ours: another process is kept out.
                    pid = os.fork()
                    if pid == 0:
                        try:
                            shelf["b"] = 1
                        except ShelfLocked as error:
                            os._exit(0 if error.pid == parent else 4)
                        os._exit(5)
                    assert reap(pid) == 0
                    t["a"] = "committed"
        except ShelfClosed:
            if os.getpid() == parent:
                raise
            sys.exit(1)
        say(os.getpid() == parent, shelf["a"])
        """,
        path,
    )
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": "committed"}


def test_a_child_waits_for_the_parents_transaction_like_any_other(crew: Crew, path: str) -> None:
    crew.run(
        """
        shelf = coshelf.open(path, timeout=0.05)
        parent = os.getpid()
        with shelf.transaction() as t:
            t["a"] = 1
            pid = os.fork()
            if pid == 0:
                assert shelf.pop("c", 0) == 0  # nothing is there, so nothing is written
                transaction = shelf.transaction()
                for write in (lambda: shelf.update(b=1), lambda: shelf.clear(), lambda: transaction.__enter__()):
                    try:
                        write()
                    except ShelfLocked as error:
                        assert error.pid == parent
                    else:
                        os._exit(1)
                os._exit(0)
            assert reap(pid) == 0
        pid = os.fork()
        if pid == 0:
            shelf["c"] = shelf.pop("a")
            os._exit(0)
        assert reap(pid) == 0
        assert dict(shelf) == {"c": 1}
        shelf.close()
        """,
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_the_lock_of_a_parent_that_died_is_not_kept_by_its_child(crew: Crew, path: str) -> None:
    mother = crew.start(
        """
        shelf = coshelf.open(path)
        shelf["a"] = 1
        transaction = shelf.transaction()
        t = transaction.__enter__()
        t["a"] = 2
        if os.fork() == 0:
            os.close(1)
            hear()  # stays, without ever touching the shelf
            os._exit(0)
        say("holding")
        time.sleep(100)
        """,
        path,
    )
    mother.expect("holding")
    mother.kill()
    with coshelf.open(path, timeout=5) as shelf:
        shelf["b"] = 1
        with shelf.transaction() as t:
            assert dict(t) == {"a": 1, "b": 1}
    mother.tell()
    assert beside(path) == ["a.shelf"]


def test_a_child_that_stays_does_not_keep_the_file_locked(crew: Crew, path: str) -> None:
    """The parent goes on to close and to open again, alone and with others."""
    crew.run(
        """
        shelf = coshelf.open(path, timeout=5)
        shelf["a"] = 1
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            assert shelf["a"] == 2
            shelf.close()
            os._exit(0)
        shelf.close()
        assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
        for _ in range(3):
            with coshelf.open(path, timeout=5) as again:
                again["a"] = 2
            assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
        os.write(writing, b"x")
        assert reap(pid) == 0
        assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
        """,
        path,
    )


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.long)])
def test_a_fork_at_any_step_of_opening_and_closing_leaves_no_lock_in_the_child(
    crew: Crew, path: str, every: int
) -> None:
    """As another thread may fork at that moment: the child has copies of descriptors that nobody in it knows of."""
    crew.run(
        """
        import coshelf.engines.lmdb.engine
        step, forked = 0, True
        while forked:
            step, count, forked, where = step + int(sys.argv[-1]), 0, None, None
            reading, writing = os.pipe()
            def profile(frame, event, argument):
                global count, forked, where
                if event == "c_return" and "/coshelf/" in frame.f_code.co_filename:
                    count += 1
                    if count == step:
                        sys.setprofile(None)
                        where = (frame.f_code.co_filename, frame.f_lineno, str(argument))
                        forked = os.fork()
                        if forked == 0:
                            os.close(writing)
                            os.read(reading, 1)
                            os._exit(0)
            sys.setprofile(profile)
            try:
                for turn in range(2):
                    with coshelf.open(path, timeout=0.2) as shelf:  # made, and opened again
                        shelf["a"] = turn
                sys.setprofile(None)
                with coshelf.open(path, timeout=0.2) as shelf:
                    assert dict(shelf) == {"a": 1}
            except CoshelfError as error:
                raise AssertionError(where) from error
            assert os.listdir(os.path.dirname(path)) == ["a.shelf"], where
            os.close(writing)
            os.close(reading)
            if forked:
                assert reap(forked) == 0
            os.unlink(path)
        assert step > 100
        """,
        path,
        every,
    )


def test_fork_while_threads_write_and_read(crew: Crew, path: str) -> None:
    crew.run(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads are this script's own
        shelf = coshelf.open(path)
        shelf.update(a=0, b=0)
        stop = threading.Event()
        failures = []
        def write():
            while not stop.is_set():
                with shelf.transaction() as t:
                    t["a"] += 1
                    t["b"] -= 1
                shelf["time"] = 1
        def read():
            while not stop.is_set():
                with shelf.snapshot() as snapshot:
                    assert snapshot["a"] + snapshot["b"] == 0
                sum(shelf.get_many(["a", "b"]).values())
        def run(function):
            try:
                function()
            except BaseException as error:
                failures.append(error)
        threads = [threading.Thread(target=run, args=(function,)) for function in (write, write, read)]
        for thread in threads:
            thread.start()
        for turn in range(60):
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)
                found = shelf.get_many(["a", "b"])
                assert sum(found.values()) == 0
                shelf["child", turn] = turn
                with shelf.transaction() as t:
                    t["a"] += 1
                    t["b"] -= 1
                os._exit(0)
            assert reap(pid) == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures
        assert sum(1 for key in shelf.keys(prefix=("child",))) == 60
        assert shelf["a"] + shelf["b"] == 0
        shelf.close()
        """,
        path,
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_hands_a_shelf_over(crew: Crew, path: str, method: str) -> None:
    crew.run(
        f"""
        import multiprocessing
        import support
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            shelf = coshelf.open(path)
            snapshot = shelf.snapshot()
            children = [context.Process(target=support.count_up_and_close, args=(shelf, 50)) for _ in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
            assert dict(snapshot) == {{}}
            assert dict(shelf) == {{"count": 150}}
            snapshot.close()
            shelf.close()
        """,
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_the_childs_writeback_cache_is_its_own(crew: Crew, path: str) -> None:
    crew.run(
        """
        shelf = coshelf.open(path, writeback=True)
        shelf["parents"] = []
        shelf["childs"] = []
        shelf["parents"].append(1)
        pid = os.fork()
        if pid == 0:
            assert shelf["parents"] == []  # what the parent changed is the parent's to write
            shelf["childs"].append(2)
            shelf.close()
            os._exit(0)
        assert reap(pid) == 0
        assert shelf["parents"] == [1]
        shelf.close()
        """,
        path,
    )
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"parents": [1], "childs": [2]}
    assert beside(path) == ["a.shelf"]


def test_a_child_that_never_touches_the_shelf_may_end_in_any_way(crew: Crew, path: str) -> None:
    crew.run(
        """
        shelf = coshelf.open(path, writeback=True)
        shelf["a"] = []
        shelf["a"].append("parents")
        with shelf.snapshot() as snapshot:
            for _ in range(5):
                pid = os.fork()
                if pid == 0:
                    sys.exit(7)
                assert reap(pid) == 7
            assert snapshot["a"] == []
        from support import SIDECARS, beside
        assert beside(path) == ["a.shelf", *SIDECARS]
        shelf.close()
        with coshelf.open(path) as shelf:
            assert shelf["a"] == ["parents"]
        """,
        path,
    )


def test_a_shelf_that_was_closed_before_the_fork_is_closed_in_the_child(crew: Crew, path: str) -> None:
    crew.run(
        """
        shelf = coshelf.open(path)
        shelf.close()
        pid = os.fork()
        if pid == 0:
            try:
                shelf["a"]
            except ShelfClosed:
                os._exit(0)
            os._exit(1)
        assert reap(pid) == 0
        """,
        path,
    )


def test_a_child_opens_what_its_parent_has_open(crew: Crew, path: str) -> None:
    crew.run(
        """
        shelf = coshelf.open(path)
        shelf["a"] = 1
        pid = os.fork()
        if pid == 0:
            with coshelf.open(path) as mine:  # before the inherited one was used
                mine["b"] = 2
            assert dict(shelf) == {"a": 1, "b": 2}
            with coshelf.open(path) as mine:
                mine["c"] = 3
            shelf.close()
            os._exit(0)
        assert reap(pid) == 0
        assert dict(shelf) == {"a": 1, "b": 2, "c": 3}
        shelf.close()
        """,
        path,
    )
    assert beside(path) == ["a.shelf"]
