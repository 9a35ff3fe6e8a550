"""What takes long tells its progress in one way: to a function, on a terminal, or in a notebook."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.system import extras
from coshelf.system.progress import bars, choosing, showing
from coshelf.system.progress.amounts import Amount
from coshelf.transfer import copy_entries, export_entries, import_entries

ENTRIES = {f"users/{number}": {"name": f"user {number}", "roles": []} for number in range(3_000)}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update(ENTRIES)
    return tmp_path


def train(place: Path, progress: Any) -> Any:
    with coshelf.open("memory:", codec="json", compress="zstd") as shelf:
        shelf.update(ENTRIES)
        return shelf.train_dictionary(size=4_096, progress=progress)


def with_shelf(place: Path, method: str, *args: Any, **options: Any) -> Any:
    with coshelf.open(place / "a.shelf") as shelf:
        return getattr(shelf, method)(*args, **options)


WORKS: dict[str, Callable[[Path, Any], Any]] = {
    "check of a file": lambda place, progress: coshelf.check(place / "a.shelf", progress=progress),
    "check": lambda place, progress: with_shelf(place, "check", progress=progress),
    "salvage": lambda place, progress: coshelf.salvage(place / "a.shelf", place / "b.shelf", progress=progress),
    "backup": lambda place, progress: with_shelf(place, "backup", place / "b.shelf", progress=progress),
    "compact": lambda place, progress: with_shelf(place, "compact", progress=progress),
    "train": train,
    "copy": lambda place, progress: copy_entries(place / "a.shelf", place / "b.shelf", progress=progress),
    "export": lambda place, progress: export_entries(place / "a.shelf", place / "b.jsonl", progress=progress),
    "import": lambda place, progress: import_entries(place / "a.shelf", place / "b.shelf", progress=progress),
}


@pytest.mark.parametrize("name", WORKS)
def test_everything_that_takes_long_tells_a_function(name: str, place: Path) -> None:
    told: list[tuple[int, int | None]] = []
    WORKS[name](place, lambda done, total: told.append((done, total)))
    done = [each[0] for each in told]
    assert done == sorted(done) and done[-1] > 0
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize("name", WORKS)
def test_what_raises_while_it_is_told_leaves_everything_whole(name: str, place: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    before = set(os.listdir(place))
    with pytest.raises(KeyboardInterrupt):
        WORKS[name](place, interrupt)
    left = set(os.listdir(place)) - before
    assert left <= ({"b.shelf", ".b.shelf.coshelf"} if name in ("copy", "import") else set())  # which continue later
    with coshelf.open(place / "a.shelf") as shelf:
        assert len(shelf) == len(ENTRIES) and shelf["users/7"] == ENTRIES["users/7"]
        assert shelf.check().ok
    WORKS[name](place, None)


def test_nothing_is_shown_where_nobody_looks(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for work in WORKS.values():
        for made in ("b.shelf", "b.jsonl"):
            (place / made).unlink(missing_ok=True)
        work(place, True)
    assert capfd.readouterr() == ("", "")


class FakeBar:
    def __init__(self, what: str) -> None:
        self.shown: list[Amount] = []
        self.ended: list[bool] = []

    def show(self, amount: Amount) -> None:
        self.shown.append(amount)

    def end(self, amount: Amount, *, is_whole: bool) -> None:
        self.ended.append(is_whole)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that stands still until it is moved, and the bars that are made."""
    made: list[FakeBar] = []
    found = types.SimpleNamespace(now=100.0, bars=made)

    def bar(what: str) -> FakeBar:
        made.append(FakeBar(what))
        return made[-1]

    monkeypatch.setattr(choosing, "_bar", bar)
    monkeypatch.setattr(choosing, "time", types.SimpleNamespace(monotonic=lambda: found.now))
    return found


def test_bar_appears_after_a_second_and_changes_a_few_times_a_second(clock: Any) -> None:
    with showing(True, "a.shelf", "pages", size=1_000) as tell:
        assert tell is not None
        for now, done in ((100.5, 1), (101.5, 2), (101.55, 3), (102.0, 4)):
            clock.now = now
            tell(done, 10)
    assert [amount.done for amount in clock.bars[0].shown] == [2, 4]
    assert clock.bars[0].ended == [True]
    with pytest.raises(ZeroDivisionError), showing(True, "a.shelf", "pages"):
        raise ZeroDivisionError
    assert clock.bars[1].ended == [False]


def test_terminal_that_has_gone_does_not_stop_the_work(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeBar, amount: Amount, **_: bool) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(FakeBar, "show", fail)
    monkeypatch.setattr(FakeBar, "end", fail)
    with showing(True, "a.shelf", "pages") as tell:
        clock.now += 5
        assert tell is not None
        tell(1, 2)


def test_amounts_are_told_with_bytes_and_the_time_left() -> None:
    amount = Amount(1_200, 4_800, "pages", 20_000_000, 3.0)
    assert amount.counted() == "1,200 of 4,800 pages, 5.0 of 20.0 MB"
    assert amount.left() == "0:00:09 left"
    assert Amount(0, 0, "entries", 0, 1.0).counted() == "0 of 0 entries"
    assert Amount(5, None, "entries", 7, 61.0).left() == "0:01:01"


def test_bar_of_a_notebook_is_text_and_html_that_nothing_escapes_from() -> None:
    shown = bars._Shown("<b>\x1b[2J", Amount(1, 2, "entries", None, 1.0), "0:00:01 left")
    assert repr(shown) == "<b>\\x1b[2J: 1 of 2 entries, 0:00:01 left"
    assert "<b>" not in shown._repr_html_() and 'value="0.500"' in shown._repr_html_()


def test_missing_rich_is_told_before_anything_is_done(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, extra: str, feature: str) -> Any:
        raise coshelf.MissingExtra(f"{feature} needs {module}", name=module)

    monkeypatch.setattr(choosing, "_bar", bars.TerminalBar)
    monkeypatch.setattr(extras, "imported", missing)
    with pytest.raises(coshelf.MissingExtra, match="progress=True on a terminal"):
        export_entries(place / "a.shelf", place / "b.jsonl", progress=True)
    assert not (place / "b.jsonl").exists()


SHOWN = """
import sys
from coshelf.system.progress import choosing
choosing._PATIENCE = choosing._INTERVAL = 0
from coshelf.cli import main
sys.argv = ["coshelf", *sys.argv[1:]]
main()
"""


def on_a_terminal(place: Path, *arguments: str, stdout: Any = None) -> str:
    """What a command writes to a terminal, whose standard output may be elsewhere. The bar appears at once."""
    ours, theirs = pty.openpty()
    found: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                return
            if not data:
                return
            found.append(data)

    with os.fdopen(ours, "rb"):
        child = subprocess.Popen(
            [sys.executable, "-c", SHOWN, *arguments],
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
            cwd=place,
        )
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        code = child.wait(120)
        reader.join(60)
    said = b"".join(found).decode()
    assert code == 0, said
    return said


@pytest.mark.parametrize(
    ("command", "bar", "result"),
    [
        ("check", r"a\.shelf.* of \d+ pages, .* kB", "no damage"),
        ("salvage", r"a\.shelf.* of \d+ pages, .* kB", "3,000 entries taken"),
        ("backup", r"a\.shelf.* of 3,000 entries", "3,000 entries"),
        ("compact", r"a\.shelf.* of 3,000 entries", "bytes before"),
        ("copy", r"b\.shelf.* of 6,000 entries copied or compared", "3,000 copied"),
        ("import", r"b\.shelf.* of 3,000 entries", "3,000 imported"),
        ("export", r"b\.shelf.* of 3,000 entries", "3,000 exported"),
    ],
)
def test_bar_on_a_terminal_tells_what_is_done_and_disappears(command: str, bar: str, result: str, place: Path) -> None:
    names = ["a.shelf"] if command in ("check", "compact") else ["a.shelf", "b.shelf"]
    said = on_a_terminal(place, command, *names)
    assert re.search(bar, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said))
    assert result in said
    assert said.count("\x1b[?25h") >= said.count("\x1b[?25l") > 0, "the cursor comes back"


def test_bar_on_a_terminal_does_not_take_what_goes_to_a_file(place: Path) -> None:
    with (place / "out.jsonl").open("wb") as file:
        said = on_a_terminal(place, "export", "a.shelf", "-", stdout=file)
    assert "entries" in said
    assert (place / "out.jsonl").read_bytes().count(b"\n") == len(ENTRIES)
