"""Kill a process after each instruction of a call: ``python call_steps.py LIBRARY PATH OPERATION STRIDE``.

The operations take a lock, change an entry, and give the lock back. For every STRIDE instructions, a process opens the
shelf, makes the call, and dies there. Another process, which has the shelf open, then looks at what the dead one left.
With a STRIDE of 0 the places are the instructions that change what processes share. Prints the number of places.
LIBRARY is built from ``call_steps.c``, for x86-64 only.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import Pipe
from typing import Any, NamedTuple, NoReturn

import coshelf
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, state_path
from coshelf.system.threads.participants import current_party

WAIT = 60.0  # seconds for a lock that a dead process had
INTERVAL = 3600.0  # seconds between flushes: no thread flushes during the calls
KEY = "counter"
KEPT = {"before": [1, "one"], "counter 2": 2, "later": None}
BEFORE, ACKNOWLEDGED = 0, 1  # words that the processes share


class Operation(NamedTuple):
    calls: Callable[[Any, int], list[tuple[Any, tuple[Any, ...]]]]
    """The calls that change the entry, whose value is given."""
    works: Callable[[list[Any]], bool]
    """Whether the calls returned what they do if they do their work in C."""
    adds: int = 1
    """What is added to the value; 0: the entry is deleted."""
    is_flushed: bool = False
    """Whether the base alone has the entry."""


def _added(shelf: Any, _: int) -> list[tuple[Any, tuple[Any, ...]]]:
    return [(shelf._handle.engine.quick_add, (KEY, 1, None))]


def _stored_while_held(shelf: Any, value: int) -> list[tuple[Any, tuple[Any, ...]]]:
    engine = shelf._handle.engine
    hold = engine.quick_hold(current_party())
    return [
        (hold.__enter__, ()),
        (engine.quick, (KEY, None)),
        (engine.quick_store, (KEY, value + 1, None, True)),
        (hold.__exit__, (None, None, None)),
    ]


OPERATIONS = {
    "add": Operation(_added, lambda results: results[0] is not NotImplemented),
    "add-flushed": Operation(_added, lambda results: results[0] is not NotImplemented, is_flushed=True),
    "hold-store": Operation(_stored_while_held, lambda results: results[0] is True and results[2] is not False),
    "incr": Operation(lambda shelf, _: [(shelf.incr, (KEY,))], lambda results: results[0] > 0),
    "modify": Operation(lambda shelf, _: [(shelf.modify, (KEY, (1).__add__))], lambda results: results[0] > 0),
    "pop": Operation(lambda shelf, _: [(shelf.pop, (KEY,))], lambda results: results[0] > 0, adds=0),
}


class Steps:
    def __init__(self, library: str, path: str, operation: Operation, stride: int) -> None:
        self._path = path
        self._stride = stride
        self._operation = operation
        self._words = memoryview(mmap.mmap(-1, 4096)).cast("Q")
        loaded = ctypes.PyDLL(library)
        loaded.call_stepped.argtypes = [ctypes.py_object, ctypes.c_ulong, ctypes.c_ulong]
        loaded.call_stepped.restype = ctypes.py_object
        self._library = loaded
        self._looks = self._place = 0
        self._parent, self._end_of_mother = Pipe()

    def run(self) -> None:
        mother = self._start_mother()
        with coshelf.open(self._path, flush_interval=INTERVAL) as shelf:
            shelf.update(KEPT | {"looks": 0})
            for place in itertools.count(1, self._stride or 1):
                self._place = place
                self._parent.send(place)
                is_killed = self._parent.recv()
                self._examine(shelf, is_killed)
                if not is_killed:
                    break
        self._parent.close()
        os.waitpid(mother, 0)
        if not coshelf.check(self._path).ok:
            self._fail("the file is damaged")
        print(f"{self._looks} places, {self._place} {'instructions' if self._stride else 'changes'}")

    # --- the processes that die --------------------------------------------------------------------------------------

    def _start_mother(self) -> int:
        """A process that has not opened the shelf, and starts those that die."""
        mother = os.fork()
        if mother:
            self._end_of_mother.close()
            return mother
        self._parent.close()
        try:
            while True:
                place = self._end_of_mother.recv()
                child = os.fork()
                if not child:
                    self._change(place)
                self._end_of_mother.send(_was_killed(child))
        except EOFError:
            os._exit(0)

    def _change(self, place: int) -> NoReturn:
        try:
            shelf = coshelf.open(self._path, flush_interval=INTERVAL)
            self._prepare(shelf, place)
            calls = self._operation.calls(shelf, place)
            self._words[BEFORE], self._words[ACKNOWLEDGED] = place, 0
            if not self._stride:
                self._library.watch_files(delta_path(self._path, 0).encode(), state_path(self._path).encode())
            results = self._library.call_stepped(calls, place if self._stride else 0, 0 if self._stride else place)
            self._words[ACKNOWLEDGED] = 1
            os._exit(0 if self._operation.works(results) else 3)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(2)

    def _prepare(self, shelf: Any, value: int) -> None:
        """Store the value, by a process that has done the same before: so it goes the quick way."""
        shelf[KEY] = 1
        for function, arguments in self._operation.calls(shelf, 1):
            function(*arguments)
        shelf[KEY] = value
        shelf.sync()
        if not self._operation.is_flushed:
            shelf[KEY] = value

    # --- the process that looks --------------------------------------------------------------------------------------

    def _examine(self, shelf: Any, is_killed: bool) -> None:
        before = self._words[BEFORE]
        after = before + self._operation.adds if self._operation.adds else None
        found = shelf.get(KEY)
        if found != after and (self._words[ACKNOWLEDGED] or found != before):
            self._fail(f"a reader finds {found}, not {before} or {after}")
        if not is_killed and not self._words[ACKNOWLEDGED]:
            self._fail("the call did not return")
        self._looks += 1
        if shelf.incr("looks") != self._looks:  # which takes the mutex, and recovers what the dead process left
            self._fail("a commit is lost")
        self._compare(shelf, found)
        with shelf.transaction(timeout=WAIT):
            shelf["free"] = self._looks
        self._compare(shelf, found)

    def _compare(self, shelf: Any, found: int | None) -> None:
        expected = KEPT | {"looks": self._looks} | ({} if found is None else {KEY: found})
        shown = dict(shelf)
        shown.pop("free", None)
        if shown != expected:
            self._fail(f"the recovery leaves {shown}, not {expected}")

    def _fail(self, sentence: str) -> NoReturn:
        raise SystemExit(f"{'instruction' if self._stride else 'change'} {self._place}: {sentence}")


def _was_killed(child: int) -> bool:
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        raise SystemExit(f"the call ended with the status {status}")
    return False


if __name__ == "__main__":
    Steps(sys.argv[1], sys.argv[2], OPERATIONS[sys.argv[3]], int(sys.argv[4])).run()
