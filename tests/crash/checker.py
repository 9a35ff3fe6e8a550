"""Examines what a cut left, in a process of its own: damage may kill the process that opens it.

The program reads requests as lines of JSON, and answers each with the number of operations that it found, or with what
is wrong. :class:`Checker` is the other side.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from types import TracebackType
from typing import IO, Any, Self

from history import Operation, State, states
from planting import plant
from stores import STORES, ShelfOfBuffers
from writer import run_of

from coshelf.engines.lmdb.pages.header import read_metas, wrong_with
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.pages.structure import StructureCheck
from coshelf.inspection.reports import Report
from coshelf.system.processes import boot

AFTER = {"after the cut": "written", "long after the cut" * 100: b"written" * 900}


# Of the machine after the cut, and before it.
AFTERWARDS, BEFORE = "5a3c60d2-9f6e-4c43-8a77-0d3f4c1b2a01", bytes(range(16))


def check(root: str, store_name: str, which: str, least: int, most: int, *, rebooted: bool) -> int:
    """The number of operations whose state is found, from ``least`` to ``most``. AssertionError if none is found."""
    store = STORES[store_name](root)
    store.pause = 0
    expected = _states(which)
    if os.path.exists(store.path):
        verify(store.path)
        if rebooted and store_name.startswith("shelf") and least % 2:
            plant(store.path, BEFORE)
    else:
        assert least == 0, f"the shelf is gone, but {least} operations had returned"
    store.perform(Operation("open"))
    try:
        contents = store.read()
        assert store.count() == len(contents), f"it counts {store.count()} entries and has {len(contents)}"
        found = _which_state(contents, expected, least, most)
        store.perform(Operation("set", AFTER))
        second = Operation("transaction", {"turn": 2}, tuple(contents)[:1])
        store.perform(second)
        state = second.apply({**contents, **AFTER})
        assert store.read() == state, "what was written after the cut is not what is read"
        store.perform(Operation("reopen"))
        assert store.read() == state, "what was written after the cut is not found when it is opened again"
    finally:
        store.close()
    verify(store.path)
    if isinstance(store, ShelfOfBuffers):
        large = sum(len(store.stored(value)) >= store.large for value in state.values())
        assert len(store.blobs()) == large, f"{store.blobs()} are the blobs of {large} values"
    if store_name.startswith("shelf"):
        _check_beside(store.path)
    return found


def _check_beside(path: str) -> None:
    """Only the shelf is left, and perhaps what an earlier attempt at making it was to remove; but no second name."""
    own = (".new", ".coshelf-blobs")
    beside = [name for name in os.listdir(os.path.dirname(path)) if not name.endswith(own)]
    assert beside == [os.path.basename(path)], f"left beside the shelf: {beside}"
    assert os.stat(path).st_nlink == 1, "the shelf has a second name"


def verify(path: str) -> None:
    """Look at all pages that LMDB would follow. ``lmdb.verify`` takes runs that are longer than needed for damage."""
    report = Report(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        metas = read_metas(descriptor, path)
        wrong = wrong_with(metas)
        assert wrong is None, f"damaged: {wrong}"
        meta = max(metas, key=lambda meta: meta.transaction)
        StructureCheck(Pages(descriptor, meta.page_size), meta, report).run()
    finally:
        os.close(descriptor)
    assert report.ok, f"damaged: {'; '.join(map(str, report.problems))[:1000]}"


@cache
def _states(which: str) -> list[State]:
    return states(run_of(which))


def _which_state(contents: State, expected: list[State], least: int, most: int) -> int:
    """The number of the last state that equals what was found."""
    for number in range(min(most, len(expected) - 1), least - 1, -1):
        if contents == expected[number]:
            return number
    elsewhere = [number for number, state in enumerate(expected) if state == contents]
    lost = sorted(map(_short, expected[least].keys() - contents.keys()))
    raise AssertionError(
        f"contents ({len(contents)} entries) are no state between {least} and {most} operations "
        f"({f'but that after {elsewhere}' if elsewhere else 'nor any other'}); missing of {least}: {lost}"
    )


def _short(key: Any) -> str:
    return repr(key)[:40]


class Checker:
    """A checking process, started again when it was killed. ``interpreter`` runs it, as Python would."""

    def __init__(self, interpreter: Sequence[str] = (sys.executable,)) -> None:
        self._interpreter = interpreter
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """End the process, which gives back all that it has open; the next question starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def ask(
        self, root: str, store: str, which: str, least: int, most: int, *, rebooted: bool = True
    ) -> tuple[int, str]:
        """The number of operations found, and what is wrong, if something is. ``rebooted``: in another boot."""
        if self._process is None:
            state = os.path.join(root, "state")
            self._process = subprocess.Popen(
                [*self._interpreter, "-W", "error", os.path.abspath(__file__)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "XDG_STATE_HOME": state},
            )  # fmt: skip
        stdin, stdout = _pipes(self._process)
        stdin.write(json.dumps([root, store, which, least, most, rebooted]) + "\n")
        answer = stdout.readline()
        if answer:
            found, wrong = json.loads(answer)
            return found, wrong
        status = self._process.wait()
        stdin.close()
        stdout.close()
        self._process = None
        return -1, f"the process that opened it was killed by {signal.Signals(-status).name}" if status < 0 else "ended"


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def main() -> None:
    real = boot._BOOT_ID
    other_boot = tempfile.NamedTemporaryFile("w")  # noqa: SIM115 (for as long as this runs)
    other_boot.write(AFTERWARDS)
    other_boot.flush()
    for line in sys.stdin:
        root, store, which, least, most, rebooted = json.loads(line)
        os.environ["XDG_STATE_HOME"] = os.path.join(root, "state")
        boot._BOOT_ID = other_boot.name if rebooted else real
        try:
            answer = (check(root, store, which, least, most, rebooted=rebooted), "")
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            answer = (-1, f"{type(error).__name__}: {error} ({os.path.basename(last.filename)}:{last.lineno})")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
