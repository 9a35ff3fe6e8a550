"""A worker that interrupts itself: at each step of the interpreter within coshelf it calls it once more, as a signal
handler or a finalizer does. Arguments: target, durability, outer call, inner calls, how many steps to try, seed.

It prints how many inner calls worked and how many were refused. Whatever else happens is an error.
"""

from __future__ import annotations

import faulthandler
import os
import random
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import coshelf

HANGS_AFTER = 200  # seconds
_SOURCE = os.path.dirname(coshelf.__file__)
_LARGE = 1_200  # entries, more than the delta takes in one batch


class Calls:
    """The calls on a shelf, each with what it must have done when it returned."""

    def __init__(self, target: str, durability: Any) -> None:
        self.target = target
        self.durability = durability
        self.shelf: coshelf.Shelf[Any, Any] = self.open()
        self.shelf["count"] = 0
        self.counted = self.queued = 0
        self.may_be_left = False
        for _ in range(3):  # from then on the quick ways are taken, where there are some
            self.modify()
            self.get()

    def open(self) -> coshelf.Shelf[Any, Any]:
        mapping: Any = {} if self.target == "mapping" else self.target
        return coshelf.open(mapping, timeout=30, flush_interval=1000, durability=self.durability)

    def set(self) -> None:
        self._set(self.shelf.__setitem__)

    def update(self) -> None:
        self._set(lambda key, value: self.shelf.update({key: value}))

    def large(self) -> None:
        self._set(lambda key, value: self.shelf.update(dict.fromkeys(map(str, range(_LARGE)), 0) | {key: value}))

    def _set(self, store: Callable[[str, int], object]) -> None:
        key, value = random.Random().choice("abc"), random.Random().randrange(1 << 30)
        store(f"set/{key}", value)
        # What interrupted us came before or after; it must not be lost that this was stored in between.
        self.stored = key, value

    def modify(self) -> None:
        self.shelf.modify("count", lambda number: number + 1)
        self.counted += 1

    def incr(self) -> None:
        self.shelf.incr("count")
        self.counted += 1

    def touch(self) -> None:
        """A step whose function uses the shelf, so that its overlay is made late."""

        def counted(number: int) -> int:
            self.shelf["touched"] = number
            return number + 1

        self.shelf.modify("count", counted)
        self.counted += 1

    def edit(self) -> None:
        with self.shelf.edit("list", default=[]) as edited:
            edited.append(0)

    def transaction(self) -> None:
        with self.shelf.transaction() as transaction:
            transaction.modify("count", lambda number: number + 1)
        self.counted += 1

    def setdefault(self) -> None:
        self.shelf.pop("default", None)
        assert self.shelf.setdefault("default", 1) == 1

    def popitem(self) -> None:
        """Put an item behind a queue, and take the first one. A put may be deferred where taking one is refused."""
        self.queued += 1
        queue = self.shelf.sub("queue")
        try:
            queue[f"{self.queued:06}"] = 1
            assert queue.popitem(last=False)[1] == 1
        except coshelf.TransactionInProgress:
            self.may_be_left = True
            raise

    def get(self) -> None:
        assert self.shelf["count"] >= 0

    def iterate(self) -> None:
        assert dict(self.shelf.items(prefix="c"))["count"] >= 0

    def wait(self) -> None:
        assert self.shelf.wait("count", 20) >= 0

    def sync(self) -> None:
        self.shelf.sync()

    def sync_and_close(self) -> None:
        self.shelf.sync()
        self.shelf.close()

    def reopen(self) -> None:
        self.shelf.close()
        self.shelf = self.open()

    def open_another(self) -> None:
        with self.open() as another:
            another["another"] = 1
            assert another["count"] == self.counted

    def check(self) -> None:
        assert self.shelf["count"] == self.counted, f"{self.shelf['count']} instead of {self.counted}"
        queue = self.shelf.sub("queue")
        if self.may_be_left:
            queue.clear()
            self.may_be_left = False
        assert not queue


class Interruption:
    """Calls ``inner`` once, at the step with this number within coshelf."""

    def __init__(self, inner: Callable[[], None], at: int) -> None:
        self._inner = inner
        self._at = at
        self.steps = 0
        self.outcome = "not called"

    def run(self, outer: Callable[[], None]) -> None:
        sys.settrace(self._enter)
        try:
            outer()
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        if not _is_ours(frame.f_code):
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, argument: object) -> Any:
        if event in ("line", "opcode"):  # early versions of Python 3.12 have lines alone
            self.steps += 1
            if self.steps == self._at:
                self._call()
        return self._step

    def _call(self) -> None:
        try:
            self._inner()
        except coshelf.TransactionInProgress:
            self.outcome = "refused"
        else:
            self.outcome = "worked"


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(_SOURCE)


def main() -> None:
    target, durability, outer = sys.argv[1:4]
    inners, wanted, chance = sys.argv[4].split(","), int(sys.argv[5]), random.Random(sys.argv[6])
    calls = Calls(target, durability)
    getattr(calls, outer)()  # what is done once only is done by now
    trial = Interruption(calls.get, 0)
    trial.run(getattr(calls, outer))
    trials = [(at, inner) for at in range(1, trial.steps + 1) for inner in inners]
    if wanted:
        trials = sorted(chance.sample(trials, min(wanted, len(trials))))
    outcomes = {"worked": 0, "refused": 0, "not called": 0}
    for at, inner in trials:
        faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
        interruption = Interruption(getattr(calls, inner), at)
        try:
            interruption.run(getattr(calls, outer))
        except coshelf.ShelfClosed:
            assert inner == "sync_and_close", at
        outcomes[interruption.outcome] += 1
        if calls.shelf.closed:
            calls.shelf = calls.open()
        try:
            calls.check()
        except AssertionError as error:
            error.add_note(f"{inner} {interruption.outcome} at step {at} of {trial.steps} of {outer}")
            raise
        if inner in ("set", "update") and interruption.outcome == "worked":
            assert calls.shelf[f"set/{calls.stored[0]}"] >= 0
    faulthandler.cancel_dump_traceback_later()
    calls.shelf.sync()
    if "/" in target:
        assert calls.shelf.check().ok
    calls.shelf.close()
    print(outcomes["worked"], outcomes["refused"])


if __name__ == "__main__":
    main()
