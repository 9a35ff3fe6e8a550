"""Runs real threads one at a time, and switches between them at chosen bytecodes.

Code that is right only because the interpreter seldom switches threads between two bytecodes is found by switching
there. A run is determined by its schedule: the same schedule gives the same steps, so a fault can be repeated.

- A *step* is a bytecode of a traced module that can touch what threads share. Locals are not shared.
- Only the thread that has the *turn* runs. At each step the schedule decides who has it next.
- Locks and threads that the code makes are those of the scheduler. So it knows which threads can run, a lock with a
  timeout times out when nothing else can happen, and a deadlock is found and not waited for.
- A thread may block where the scheduler does not see it, in a call of C. If it takes no step for a while, another
  thread gets the turn. That can change which schedule is run, and nothing else.
- The time passes only while a thread waits or sleeps.
"""

from __future__ import annotations

import _thread
import contextlib
import dis
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any, ClassVar, Protocol
from unittest.mock import patch

import coshelf
from coshelf.engines.lmdb.registry import REGISTRY
from coshelf.system.memory import futex, mutexes
from coshelf.system.threads import alone, cooperation

__all__ = ["Deadlock", "Preempting", "Run", "Schedule", "Seeded", "Stuck", "explore", "raise_errors", "run"]

_UNSEEN = 15.0  # seconds without a step after which a thread counts as blocked unseen; a busy machine is slow, too
_PATIENCE = 240.0
_MOST_STEPS = 400_000

_sleep = time.sleep
_STARTS = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"
_start_thread = getattr(threading, _STARTS)

_SHARED = (
    "LOAD_ATTR LOAD_METHOD STORE_ATTR DELETE_ATTR LOAD_GLOBAL STORE_GLOBAL BINARY_SUBSCR STORE_SUBSCR DELETE_SUBSCR "
    "CONTAINS_OP FOR_ITER CALL CALL_FUNCTION_EX CALL_KW LOAD_DEREF STORE_DEREF LIST_EXTEND GET_ITER"
).split()
if sys.version_info >= (3, 14):
    _SHARED.append("BINARY_OP")  # it has the place of BINARY_SUBSCR
_POINTS = {dis.opmap[name] for name in _SHARED if name in dis.opmap}

_SOURCE = os.path.dirname(coshelf.__file__) + os.sep
_LIBRARY = {os.path.join(os.path.dirname(os.__file__), name) for name in ("_weakrefset.py", "weakref.py")}


class Deadlock(AssertionError):
    """Every thread waits for another one, and none of them has a time limit."""


class Stuck(AssertionError):
    """The threads did not end."""


class Schedule(Protocol):
    """Who runs next.

    Attributes:
        first: the thread that begins.
    """

    first: int

    def switches(self, step: int) -> bool:
        """Whether another thread may get the turn before a step, though the current one can go on."""
        ...

    def choose(self, current: int, ready: Sequence[int]) -> int:
        """The thread that runs next, one of ``ready``. ``current`` is the one that has the turn, or had it."""
        ...


class Preempting:
    """Each thread runs until it waits or ends, but for switches to the next one at some steps.

    Args:
        steps: the numbers of the steps before which another thread gets the turn.
        first: the thread that begins.
    """

    def __init__(self, *steps: int, first: int = 0) -> None:
        self._steps = frozenset(steps)
        self.first = first

    def __repr__(self) -> str:
        return f"Preempting({', '.join(map(str, sorted(self._steps)))}, first={self.first})"

    def switches(self, step: int) -> bool:
        """Whether the step was named."""
        return step in self._steps

    def choose(self, current: int, ready: Sequence[int]) -> int:
        """The next one in a circle."""
        return next((each for each in ready if each > current), ready[0])


class Seeded:
    """Switches at random, determined by a seed.

    Args:
        seed: of the generator.
        chance: of a switch at a step.
    """

    def __init__(self, seed: int, chance: float = 0.05) -> None:
        self.first = 0
        self._seed, self._chance = seed, chance
        self._random = random.Random(seed)

    def __repr__(self) -> str:
        return f"Seeded({self._seed}, {self._chance})"

    def switches(self, step: int) -> bool:
        """With the chance of a switch."""
        return self._random.random() < self._chance

    def choose(self, current: int, ready: Sequence[int]) -> int:
        """Any thread that can run."""
        return self._random.choice(ready)


class _Task:
    """A thread of a run."""

    def __init__(self, number: int, call: Callable[[], object]) -> None:
        self.number = number
        self.call = call
        self.turn = _thread.allocate_lock()
        self.turn.acquire()
        self.waits_for: _Lock | None = None
        self.can_time_out = False
        self.timed_out = False
        self.is_outside = False
        self.is_over = False
        self.result: object = None
        self.error: BaseException | None = None
        self.began = self.ended = 0

    @property
    def is_ready(self) -> bool:
        """Whether it can run now."""
        waits = self.waits_for is not None and self.waits_for.taken and not self.timed_out
        return not (self.is_over or self.is_outside or waits)


class _Lock:
    """A lock of the scheduler, in place of ``_thread.allocate_lock`` and ``_thread.RLock``."""

    def __init__(self, *, is_reentrant: bool) -> None:
        self._is_reentrant = is_reentrant
        self._owner: int | None = None
        self.taken = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As those of the standard library. A time limit is over when no other thread can run."""
        me = _thread.get_ident()
        if self._is_reentrant and self.taken and self._owner == me:
            self.taken += 1
            return True
        Run.step_of_this_thread()
        if self.taken and (not blocking or not Run.wait_of_this_thread(self, timeout=timeout)):
            return False
        self.taken, self._owner = 1, me
        return True

    def release(self) -> None:
        """As those of the standard library."""
        if not self.taken:
            raise RuntimeError("release unlocked lock")
        if self._is_reentrant and self._owner != _thread.get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self.taken -= 1
        Run.step_of_this_thread()

    def locked(self) -> bool:
        """Whether a thread has it."""
        return bool(self.taken)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    # What threading.Condition asks of a reentrant lock.

    def _is_owned(self) -> bool:
        return bool(self.taken) and self._owner == _thread.get_ident()

    def _release_save(self) -> int:
        taken, self.taken = self.taken, 1
        self.release()
        return taken

    def _acquire_restore(self, taken: int) -> None:
        self.acquire()
        self.taken = taken


class Run:
    """One run of some threads under a schedule.

    Attributes:
        tasks: the threads, also those that the code has started.
        steps: how many steps were taken.
        latest: the run that is under way. What outlives a run may have locks of it, so locks ask for the latest one.
    """

    latest: ClassVar[Run | None] = None

    def __init__(self, schedule: Schedule, *, also: Sequence[str] = ()) -> None:
        self.tasks: list[_Task] = []
        self.steps = 0
        self._schedule = schedule
        self._also = tuple(also)
        self._by_thread: dict[int, _Task] = {}
        self._current: _Task | None = None
        self._is_started = False
        self._all_over = threading.Event()
        self._fault: BaseException | None = None
        self._traced: dict[str, bool] = {}
        self.now = 1e6
        self._sleep_really, self._real_time = time.sleep, time.monotonic
        self._soon_really = mutexes._soon

    # --- what the code under test gets -------------------------------------------------------------------------------

    def original(self, name: str) -> Any:
        """In place of the attribute of ``_thread`` that :mod:`coshelf.system.threads.cooperation` asks for."""
        if name == "allocate_lock":
            return lambda: _Lock(is_reentrant=False)
        if name == "RLock":
            return lambda: _Lock(is_reentrant=True)
        if name == "start_new_thread":
            return self._start_new_thread
        return getattr(_thread, name)

    def _allocate(self) -> Any:
        """In place of the lock at which a thread waits for a condition."""
        return _thread.allocate_lock() if self._mine() is None else _Lock(is_reentrant=False)

    def _start_new_thread(self, call: Callable[..., object], arguments: tuple[object, ...]) -> int:
        if self._mine() is None:
            return _thread.start_new_thread(call, arguments)
        task = self.add(partial(call, *arguments))
        self._begin(task)
        return task.number

    def _start_thread(self, call: Callable[..., object], *arguments: Any, **named: Any) -> object:
        """In place of the function of :mod:`threading` that starts a thread."""
        if self._mine() is not None:
            task = self.add(call)
            call = partial(self._run_task, task)
        return _start_thread(call, *arguments, **named)

    def _sleep(self, seconds: float) -> None:
        if self._mine() is None:
            self._sleep_really(seconds)
        else:
            self.now += seconds
            self._give_way()

    def _sleep_at_word(self, page: memoryview, offset: int, value: int, timeout: float | None) -> None:
        """In place of ``futex.sleep_while``, which may always return early."""
        if int.from_bytes(page[offset : offset + 4], sys.byteorder) == value:
            self._sleep(0.25 if timeout is None else timeout)

    def _soon(self) -> Any:
        """In place of the time limit of a mutex of the C library: its holder may run, and it is tried again."""
        if self._mine() is not None:
            self._give_way()
        return self._soon_really()

    def _monotonic(self) -> float:
        """The time passes only while a thread waits or sleeps."""
        return self.now

    # --- threads -----------------------------------------------------------------------------------------------------

    def add(self, call: Callable[[], object]) -> _Task:
        """Add a thread."""
        task = _Task(len(self.tasks), call)
        self.tasks.append(task)
        return task

    def _begin(self, task: _Task) -> None:
        _thread.start_new_thread(self._run_task, (task,))

    def _run_task(self, task: _Task) -> None:
        self._by_thread[_thread.get_ident()] = task
        task.turn.acquire()
        try:
            if self._fault is None:
                task.began = self.steps
                if Run.latest is self:
                    sys.settrace(self._trace)
                task.result = task.call()
        except BaseException as error:
            task.error = error
        finally:
            sys.settrace(None)
            task.ended = self.steps
            task.is_over = True
            self._pass_on(task)

    def _mine(self) -> _Task | None:
        task = self._by_thread.get(_thread.get_ident())
        return None if task is None or task.is_over else task

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        name = frame.f_code.co_filename
        is_traced = self._traced.get(name)
        if is_traced is None:
            is_traced = name.startswith(_SOURCE) or name in _LIBRARY or name.endswith(self._also or ("\0",))
            self._traced[name] = is_traced
        if not is_traced:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        code = frame.f_code.co_code

        def at(frame: FrameType, event: str, _: object) -> Any:
            if event == "opcode" and code[frame.f_lasti] in _POINTS:
                self.step()
            return at

        return at

    # --- turns -------------------------------------------------------------------------------------------------------

    @classmethod
    def step_of_this_thread(cls) -> None:
        """A step at a lock."""
        if cls.latest is not None:
            cls.latest.step()

    @classmethod
    def wait_of_this_thread(cls, lock: _Lock, *, timeout: float) -> bool:
        """Wait at a lock."""
        run = cls.latest
        if run is not None and run._mine() is not None:
            return run.wait(lock, timeout=timeout)
        end = time.monotonic() + (_PATIENCE if timeout < 0 else timeout)  # a thread that is not part of the run
        while lock.taken:
            if time.monotonic() > end:
                if timeout < 0:
                    raise Deadlock("a lock is held after the end of all threads")
                return False
            _sleep(0.001)
        return True

    def step(self) -> None:
        """A step of this thread: another one may get the turn."""
        task = self._mine()
        if task is None:
            return
        self._return_from_outside(task)
        self.steps += 1
        if self.steps > _MOST_STEPS:
            self._fail(Stuck(f"no end after {self.steps} steps under {self._schedule!r}"))
        if self._fault is not None:
            raise SystemExit
        if self._schedule.switches(self.steps):
            self._choose(task)

    def wait(self, lock: _Lock, *, timeout: float) -> bool:
        """Wait until a lock is free. Return whether it is; if not, nothing else could happen, and the time is over."""
        task = self._mine()
        assert task is not None
        until = self.now + timeout
        task.waits_for, task.can_time_out, task.timed_out = lock, timeout >= 0, False
        try:
            self._choose(task)
        finally:
            task.waits_for = None
        if self._fault is not None:
            raise SystemExit
        if lock.taken:
            self.now = max(self.now, until)
        return not lock.taken

    def _give_way(self) -> None:
        """Let another thread run, if one can: this one would sleep."""
        task = self._mine()
        assert task is not None
        self.steps += 1
        if self.steps > _MOST_STEPS:
            self._fail(Stuck(f"no end after {self.steps} steps under {self._schedule!r}"))
        if self._fault is not None:
            raise SystemExit
        others = [each.number for each in self.tasks if each.is_ready and each is not task]
        if others:
            self._hand_over(task, self.tasks[next((each for each in others if each > task.number), others[0])])

    def _ready(self) -> list[int]:
        found = [each.number for each in self.tasks if each.is_ready]
        if not found and not any(each.is_outside for each in self.tasks):
            for task in self.tasks:
                if task.waits_for is not None and task.can_time_out and not task.is_over:
                    task.timed_out = True
                    return [task.number]
        return found

    def _choose(self, task: _Task) -> None:
        ready = self._ready()
        if not ready:
            if any(each.is_outside for each in self.tasks):
                self._hand_over(task, None)
                return
            self._fail(Deadlock(f"all threads wait for locks under {self._schedule!r}"))
            return
        self._hand_over(task, self.tasks[self._schedule.choose(task.number, ready)])

    def _hand_over(self, task: _Task, to: _Task | None) -> None:
        if to is task:
            return
        self._current = to
        if to is not None:
            to.turn.release()
        task.turn.acquire()

    def _pass_on(self, task: _Task) -> None:
        """A thread has ended."""
        if all(each.is_over for each in self.tasks):
            self._all_over.set()
            return
        if self._current not in (task, None):
            return  # it ended outside: another thread has the turn
        ready = self._ready()
        if self._fault is not None:
            return
        if ready:
            self._current = self.tasks[self._schedule.choose(task.number, ready)]
            self._current.turn.release()
        elif any(each.is_outside for each in self.tasks):
            self._current = None
        else:
            self._fail(Deadlock(f"all threads wait for locks under {self._schedule!r}"))

    def _fail(self, fault: BaseException) -> None:
        """End the run: every thread gets a SystemExit at its next step."""
        if self._fault is None:
            self._fault = fault
            for each in self.tasks:
                with contextlib.suppress(RuntimeError):
                    each.turn.release()

    # --- what blocks unseen ------------------------------------------------------------------------------------------

    def _return_from_outside(self, task: _Task) -> None:
        if task.is_outside:
            task.is_outside = False
            if self._current is None:
                self._current = task
            else:
                task.turn.acquire()

    def _watch(self) -> None:
        """Give the turn to another thread when the one that has it takes no step."""
        end = self._real_time() + _PATIENCE
        seen = (-1, None)
        while not self._all_over.wait(_UNSEEN):
            now = (self.steps, self._current)
            task = self._current
            if now == seen and task is not None and not task.is_over and self._fault is None:
                others = [each for each in self.tasks if each.is_ready and each is not task]
                if others:
                    task.is_outside = True
                    self._current = others[0]
                    others[0].turn.release()
            seen = now
            if self._real_time() > end:
                self._fail(Stuck(f"no end after {_PATIENCE:g} s under {self._schedule!r}"))
                if not self._all_over.wait(_PATIENCE):
                    raise Stuck(f"threads do not end under {self._schedule!r}")

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """For a block, coshelf gets its locks and threads from the scheduler."""
        with contextlib.ExitStack() as stack:
            for owner, name, instead in (
                (cooperation, "_original", self.original),
                (futex, "sleep_while", self._sleep_at_word),
                (mutexes, "_soon", self._soon),
                (mutexes, "_LONGEST_WAIT", 0.0),
                (threading, "_allocate_lock", self._allocate),
                (threading, "Lock", lambda: _Lock(is_reentrant=False)),
                (threading, "RLock", lambda: _Lock(is_reentrant=True)),
                (threading, _STARTS, self._start_thread),
                (time, "sleep", self._sleep),
                (time, "monotonic", self._monotonic),
            ):
                stack.enter_context(patch.object(owner, name, instead))
            Run.latest = self
            _renew_locks_of_modules()
            try:
                yield
            finally:
                Run.latest = None
        _renew_locks_of_modules()

    def go(self, calls: Sequence[Callable[[], object]]) -> None:
        """Run the calls, each in a thread of its own, until all threads have ended."""
        for call in calls:
            self.add(call)
        for task in self.tasks[:]:
            self._begin(task)
        self._current = self.tasks[self._schedule.first]
        self._current.turn.release()
        self._watch()
        if self._fault is not None:
            raise self._fault


def _renew_locks_of_modules() -> None:
    """Make the locks anew that modules have made at their import. No thread holds one now."""
    REGISTRY._renew_locks()
    alone._renew()


Scene = tuple[Any, Sequence[Callable[[], object]]]
"""What the threads share, and what each of them does."""


def run(schedule: Schedule, make: Callable[[], Scene], *, also: Sequence[str] = ()) -> tuple[Any, Run]:
    """Run the threads of a scene under a schedule. Return what they share, and the run.

    Args:
        schedule: who runs when.
        make: makes the scene, with the scheduler's locks.
        also: ends of the names of further files whose bytecodes are steps.
    """
    made = Run(schedule, also=also)
    with made.installed():
        scene, calls = make()
        made.go(calls)
    return scene, made


def explore(
    make: Callable[[], Scene],
    check: Callable[[Any, Run], object],
    *,
    threads: int = 2,
    preemptions: int = 1,
    seeds: Iterable[int] = (),
    chance: float = 0.05,
    stride: int = 1,
    also: Sequence[str] = (),
) -> int:
    """Run a scene under all schedules with a number of preemptions, and under some random ones. Return how many.

    Args:
        make: makes the scene, anew for each run.
        check: raises AssertionError if the outcome is wrong. The schedule is added to its message.
        threads: how many calls a scene has.
        preemptions: 0, 1 or 2. The schedules with fewer are run, too, beginning with each thread.
        seeds: of random schedules.
        chance: of a switch at a step of a random schedule.
        stride: a switch is tried at each so many-th step.
        also: as for :func:`run`.
    """
    count = 0

    def one(schedule: Schedule) -> int:
        nonlocal count
        count += 1
        scene, made = run(schedule, make, also=also)
        try:
            check(scene, made)
        except AssertionError as error:
            raise AssertionError(f"under {schedule!r}: {error}") from error
        return made.steps

    for first in range(threads):
        steps = one(Preempting(first=first))
        if preemptions >= 1:
            for at in range(1, steps, stride):
                all_steps = one(Preempting(at, first=first))
                if preemptions >= 2:
                    for then in range(at + 1, all_steps, stride):
                        one(Preempting(at, then, first=first))
    for seed in seeds:
        one(Seeded(seed, chance))
    return count


def raise_errors(made: Run) -> None:
    """Raise what a thread has raised."""
    for task in made.tasks:
        if task.error is not None:
            raise AssertionError(f"thread {task.number} raised {task.error!r}") from task.error
