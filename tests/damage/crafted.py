"""Files made to crash the process that opens them: base, delta and state page, with changes in their structure.

By hand: ``python tests/damage/crafted.py --trials 20000 --seed 0``. Each is used in a child process that did not make
it. ``--only NUMBER`` prints the changes of one trial and its outcome.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import pkgutil
import random
import re
import shutil
import signal
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import trials
from shapes import SHAPES
from trials import Outcome

import coshelf
import coshelf.engines.lmdb
import coshelf.inspection.files
import coshelf.inspection.preview
import coshelf.trust.gate
import coshelf.values
from coshelf import CoshelfError
from coshelf.engines.lmdb.delta import files
from coshelf.engines.lmdb.delta.flusher import Flusher
from coshelf.engines.lmdb.delta.state import MAPPED, PLAIN, DeltaState
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, sidecar_directory, state_path
from coshelf.engines.lmdb.pages import closing_stamp
from coshelf.engines.lmdb.pages.header import read_metas
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.pages.structure import StructureCheck
from coshelf.inspection.reports import Report

__all__ = ["Left", "left_shelves", "main", "run_many"]

PAGE = 4096
_SECONDS = 200  # in which a trial ends, or it hangs
_TOGETHER = 20  # trials in one process, as long as it lives
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 255, 4095, 4096, 65535, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62,
            (1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1)  # fmt: skip
_KINDS_OF_PAGE = (0, 1, 2, 3, 4, 6, 8, 0x10, 0x12, 0x20, 0x22, 0x40, 0x42, 0x62, 0x4002, 0x8002, 0x8001)
# Of a header page: where each field is, and its size.
_HEADER_FIELDS = (
    (0, 8), (8, 2), (10, 2), (16, 4), (20, 4), (24, 8), (32, 8), (40, 4), (44, 2), (46, 2), (48, 8), (56, 8), (64, 8),
    (72, 8), (80, 8), (88, 4), (92, 2), (94, 2), (96, 8), (104, 8), (112, 8), (120, 8), (128, 8), (136, 8), (144, 8),
)  # fmt: skip
_STATE_FIELDS = (
    (24, 8), (32, 1), (64, 4), (68, 4), (72, 8), (128, 4), (132, 4), (256, 4), (260, 4), (264, 8), (272, 8), (280, 8),
    (288, 8), (368, 4), (376, 8), (384, 8),
)  # fmt: skip
_COUNTS = struct.Struct("<QQQQ")


class Left(NamedTuple):
    """What a process left that was killed: the base, the state page, and the beginning of the delta."""

    name: str
    base: bytes
    state: bytes
    delta: bytes
    delta_length: int


def _hundreds(shelf: Any) -> None:
    """As many as take two levels of pages, and free some: thousands take their time."""
    shelf.update({f"user/{number:05}": "x" * (number % 90) for number in range(400)})
    shelf.sync()
    shelf.update({f"user/{number:05}": "y" * (number % 300) for number in range(0, 400, 3)})


def left_shelves(directory: str, names: Iterable[str] = SHAPES) -> list[Left]:
    """Of these shapes, with the newest header in either page, and a delta, which is a table, with rows in it."""
    _import_everything()
    found = []
    for name in names:
        fill = _hundreds if name == "thousands" else SHAPES[name]
        for turn in range(2):
            path = os.path.join(directory, "a.shelf")
            child = os.fork()
            if child == 0:
                try:
                    _leave(path, fill, turn)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
            delta = delta_path(path, 0)
            content = [_read(file) for file in (path, state_path(path))]
            with open(delta, "rb") as file:
                last = max(read_metas(file.fileno(), delta), key=lambda meta: meta.transaction).last_page
                begun = file.read((last + 1) * PAGE)
            found.append(Left(f"{name} {turn}", *content, begun, os.path.getsize(delta)))
            os.unlink(path)
            shutil.rmtree(sidecar_directory(path))
    return found


def _import_everything() -> None:
    """Once, and not in each child."""
    for package in (coshelf.engines.lmdb, coshelf.trust.gate, coshelf.inspection.preview, coshelf.values):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            with contextlib.suppress(ImportError):  # what is not installed here
                importlib.import_module(module.name)


def _leave(path: str, fill: Callable[[Any], None], turn: int) -> None:
    files.native = SimpleNamespace(in_use=False, shares_memory=False)  # type: ignore[assignment]  # so that the delta is a table
    Flusher.notice = lambda self: None  # type: ignore[method-assign]  # nothing is flushed but by sync()
    shelf = coshelf.open(path, flush_interval=1_000)
    fill(shelf)
    shelf.sync()
    for number in range(turn + 1):
        shelf["turn"] = number
        shelf.sync()
    shelf.update({("new", number): "n" * number for number in range(150)})
    shelf.update({"k" * 700: 1, "large": bytes(20_000)})
    for number in range(0, 150, 3):
        del shelf["new", number]
    os._exit(0)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


# --- changing --------------------------------------------------------------------------------------------------------


class _Content:
    """The pages of a file, to be changed."""

    def __init__(self, content: bytes, chance: random.Random) -> None:
        self.content = bytearray(content)
        self.chance = chance
        self.pages = len(content) // PAGE
        self.newest = max((0, 1), key=lambda page: self.number(page * PAGE + 144, 8))
        self.done: list[str] = []

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.content[at : at + size], "little")

    def put(self, at: int, size: int, number: int, what: str) -> None:
        self.content[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
        self.done.append(f"{what} at {at} := {number:#x}")

    def other(self, at: int, size: int) -> int:
        """Another number for this place: near to what there is, or one at which something ends, or a page."""
        chance = self.chance
        old = self.number(at, size)
        return chance.choice(
            (old + 1, old - 1, old ^ 1 << chance.randrange(8 * size), chance.choice(_NUMBERS), chance.choice(_NUMBERS),
             chance.randrange(self.pages + 2), old * 2, old // 2)
        )  # fmt: skip

    def tree_pages(self) -> list[int]:
        return [page for page in range(2, self.pages) if self.number(page * PAGE + 10, 2) in (1, 2)]

    def nodes(self, page: int) -> list[int]:
        start = page * PAGE
        lower = min(self.number(start + 12, 2), PAGE)
        pointers = struct.unpack_from(f"<{max(0, lower - 16) // 2}H", self.content, start + 16)
        return [start + pointer for pointer in pointers if pointer <= PAGE - 16]

    # --- kinds of changes

    def header(self) -> None:
        page = self.newest if self.chance.random() < 0.6 else 1 - self.newest
        at, size = self.chance.choice(_HEADER_FIELDS)
        number = self.other(page * PAGE + at, size)
        self.put(page * PAGE + at, size, number, "header")
        if self.chance.random() < 0.3:
            self.put((1 - page) * PAGE + at, size, number, "header")

    def exchanged_headers(self) -> None:
        first, second = self.content[:512], self.content[PAGE : PAGE + 512]
        self.content[:512], self.content[PAGE : PAGE + 512] = second, first
        self.put(0, 8, 0, "headers exchanged")
        self.put(PAGE, 8, 1, "headers exchanged")
        if self.chance.random() < 0.5:  # so that their numbers fit again, and only the trees are the others'
            one, other = self.number(144, 8), self.number(PAGE + 144, 8)
            self.put(144, 8, other, "transaction")
            self.put(PAGE + 144, 8, one, "transaction")

    def later_headers(self) -> None:
        """Both as of later transactions, in their own places or in the other's."""
        by = self.chance.choice((1, 2, 3, 1 << 32, 1 << 61))
        for page in (0, 1):
            self.put(page * PAGE + 144, 8, self.number(page * PAGE + 144, 8) + by, "transaction")

    def page_header(self) -> None:
        page = self.chance.randrange(2, max(3, self.pages)) * PAGE
        at, size = self.chance.choice(((0, 8), (8, 2), (10, 2), (10, 2), (12, 2), (14, 2), (12, 4)))
        number = self.chance.choice(_KINDS_OF_PAGE) if at == 10 else self.other(page + at, size)
        self.put(page + at, size, number, "page header")

    def node(self) -> None:
        pages = self.tree_pages()
        nodes = self.nodes(self.chance.choice(pages)) if pages else []
        if not nodes:
            return
        node = self.chance.choice(nodes)
        length = self.number(node + 6, 2)
        at, size = self.chance.choice(((0, 2), (2, 2), (4, 2), (4, 2), (6, 2), (8 + length, 8), (8, 8), (0, 4)))
        if node + at + size <= len(self.content):
            self.put(node + at, size, self.other(node + at, size), "node")

    def pointer(self) -> None:
        pages = self.tree_pages()
        if not pages:
            return
        page = self.chance.choice(pages) * PAGE
        count = max(1, (min(self.number(page + 12, 2), PAGE) - 16) // 2)
        one, other = (page + 16 + 2 * self.chance.randrange(count) for _ in range(2))
        number = self.number(one, 2) if self.chance.random() < 0.5 else self.other(other, 2)
        self.put(other, 2, number, "pointer")

    def free_list(self) -> None:
        """A row of the list of free pages, as the newest header knows it."""
        root = self.number(self.newest * PAGE + 80, 8)
        nodes = self.nodes(root) if 2 <= root < self.pages else []
        if not nodes:
            return
        node = self.chance.choice(nodes)
        at = self.chance.choice((8, 16, 24, 32, 40))
        self.put(node + at, 8, self.other(node + at, 8), "free list")

    def copied_page(self) -> None:
        one, other = (self.chance.randrange(2, max(3, self.pages)) * PAGE for _ in range(2))
        self.content[one : one + PAGE] = self.content[other : other + PAGE]
        self.done.append(f"page {other // PAGE} copied to {one // PAGE}")
        if self.chance.random() < 0.7:
            self.put(one, 8, one // PAGE, "page number")

    def cut(self) -> None:
        length = self.chance.randrange(len(self.content))
        del self.content[length - length % self.chance.choice((1, 512, PAGE)) :]
        self.done.append(f"cut to {len(self.content)}")

    def change(self) -> None:
        kinds = (self.header, self.exchanged_headers, self.later_headers, self.page_header, self.node, self.pointer,
                 self.free_list, self.copied_page, self.cut)  # fmt: skip
        weights = (4, 1, 1, 4, 6, 2, 3, 2, 0.3)
        for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
            with contextlib.suppress(struct.error, IndexError):  # what was changed before is in the way
                self.chance.choices(kinds, weights)[0]()


def _repair_counts(path: str) -> None:
    """Have the newest header count what can be found, so that not the count is what gives a change away."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        with contextlib.suppress(CoshelfError, OverflowError, MemoryError):
            metas = read_metas(descriptor, path)
            if not metas:
                return
            meta = max(metas, key=lambda meta: meta.transaction)
            report = Report(path)
            StructureCheck(Pages(descriptor, meta.page_size), meta, report).run()
            for problem in report.problems:
                found = re.match(
                    r"the (tree|list of free pages) has (\d+) (branch|leaf|overflow|rows)", problem.message
                )
                if found is not None:
                    at = 96 if found[1] == "tree" else 48
                    at += 8 * ("branch", "leaf", "overflow", "rows").index(found[3])
                    os.pwrite(descriptor, int(found[2]).to_bytes(8, "little"), meta.place * PAGE + at)
    finally:
        os.close(descriptor)


def _restamp(path: str) -> None:
    """Give the file the stamp that its last closer would have given it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        metas = sorted(read_metas(descriptor, path), key=lambda meta: meta.transaction)
        if len(metas) == 2 and metas[1].page_size == PAGE:
            for page in (0, 1):
                os.pwrite(descriptor, bytes(PAGE - 512), page * PAGE + 512)
            stamp = closing_stamp.make_stamp(descriptor, metas[1], metas[0], has_damage=False)
            if stamp is not None:
                closing_stamp.write_stamp(descriptor, PAGE, stamp)
    except (CoshelfError, OverflowError, MemoryError):
        pass  # headers of which no stamp can be made
    finally:
        os.close(descriptor)


def _changed_state(state: bytearray, chance: random.Random) -> list[str]:
    done = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        at, size = chance.choice(_STATE_FIELDS)
        old = int.from_bytes(state[at : at + size], sys.byteorder)
        number = chance.choice((old + 1, old - 1, old ^ 1 << chance.randrange(8 * size), chance.choice(_NUMBERS)))
        packed = (number % (1 << 8 * size)).to_bytes(size, sys.byteorder)
        if at in (72, 384) and chance.random() < 0.6:
            packed = struct.pack("=d", chance.choice((float("nan"), float("inf"), -float("inf"), -1.0, 1e300)))
        state[at : at + size] = packed
        done.append(f"state page at {at} := {packed.hex()}")
    return done


def make(place: str, left: Left, chance: random.Random) -> list[str]:
    """Make the files of a shelf with changes, and return the changes. The maker knows the inodes of the files."""
    path = os.path.join(place, "a.shelf")
    what = chance.choice(("base", "base", "delta", "delta", "state", "delta and state", "base and delta"))
    done: list[str] = [f"{left.name}, {what}"]
    base, delta = _Content(left.base, chance), _Content(left.delta, chance)
    for content, name in ((base, "base"), (delta, "delta")):
        if name in what:
            content.change()
            done += [f"{name}: {change}" for change in content.done]
    with open(path, "wb") as file:
        file.write(base.content)
        information = os.fstat(file.fileno())
    repaired = chance.random() < 0.5
    if "base" in what and repaired:
        _repair_counts(path)
    if what == "base":  # the sidecars are not there: it was closed
        _restamp(path)
        return done
    state = bytearray(left.state)
    struct.pack_into("=QQ", state, 8, information.st_dev, information.st_ino)
    known = DeltaState(state)
    kind = chance.choice((MAPPED, MAPPED, PLAIN))
    os.mkdir(sidecar_directory(path), 0o700)
    with open(delta_path(path, 0), "wb") as file:
        if kind == MAPPED:
            os.posix_fallocate(file.fileno(), 0, known.allocated)
        file.write(delta.content)
        if kind == MAPPED:
            file.truncate(left.delta_length)
        information = os.fstat(file.fileno())
    if "delta" in what and repaired:
        _repair_counts(delta_path(path, 0))
    identity = known.identity()._replace(device=information.st_dev, inode=information.st_ino, kind=kind)
    known.set_identity(identity)
    if "state" in what:
        done += _changed_state(state, chance)
    with open(state_path(path), "wb") as file:
        file.write(state)
    for name in (path, state_path(path), delta_path(path, 0)):
        os.chmod(name, 0o600)
    return done


# --- using -----------------------------------------------------------------------------------------------------------


def use(path: str, chance: random.Random) -> Outcome:
    """Do what one does with a shelf; only that no signal ends it counts, and what errors there are."""
    trust = chance.choice((None, False))
    thorough = chance.random() < 0.3
    found: dict[str, str] = {}

    @contextlib.contextmanager
    def doing(what: str) -> Any:
        try:
            yield
        except CoshelfError as error:
            found.setdefault(trials.TOLD, f"{what}: {type(error).__name__}: {error}")
        except Exception as error:
            found.setdefault(trials.UNTYPED, f"{what}: {type(error).__name__}: {error}")

    with doing("open"):
        shelf = coshelf.open(path, "w", trust=trust, timeout=2)
        _work(shelf, doing)
        if thorough:
            _care_for(shelf, path, doing)
        with doing("close"):
            shelf.close()
    if thorough:
        with doing("check closed"):
            coshelf.check(path)
        with doing("salvage"):
            coshelf.salvage(path, path + ".salvaged")
        with doing("reopen"), coshelf.open(path, "r", trust=trust, timeout=2) as again, doing("look again"):
            sum(1 for _ in again)
    for name in (trials.UNTYPED, trials.TOLD):
        if name in found:
            return Outcome(name, found[name][:300])
    return Outcome(trials.RIGHT, "")


def _work(shelf: Any, doing: Callable[[str], Any]) -> None:
    keys: list[Any] = []
    with doing("len"):
        len(shelf)
    with doing("keys"):
        keys += shelf
    with doing("items"):
        for _ in shelf.items():
            pass
    with doing("write"):
        shelf.update({("added", number): "n" * 60 for number in range(60)})
        shelf["added"] = bytes(30_000)
    with doing("sync"):
        shelf.sync()
    with doing("delete"), shelf.transaction() as transaction:
        for key in keys[:: max(1, len(keys) // 20)]:
            del transaction[key]
    with doing("rewrite"):
        shelf.update(dict.fromkeys(keys, "again"))
        shelf.sync()


def _care_for(shelf: Any, path: str, doing: Callable[[str], Any]) -> None:
    with doing("check"):
        shelf.check()
    with doing("backup"):
        shelf.backup(path + ".backup")
    with doing("clear"):
        shelf.clear()
        shelf.sync()
    with doing("compact"):
        shelf["last"] = 1
        shelf.compact()


def run(shelves: list[Left], seed: int, number: int, directory: str) -> tuple[list[str], Outcome]:
    """One trial, in this process."""
    chance = random.Random(f"{seed} {number}")
    place = tempfile.mkdtemp(dir=directory)
    try:
        done = make(place, shelves[number % len(shelves)], chance)
        signal.alarm(_SECONDS)
        return done, use(os.path.join(place, "a.shelf"), chance)
    finally:
        signal.alarm(0)
        shutil.rmtree(place)


def run_many(shelves: list[Left], seed: int, numbers: range, directory: str) -> Iterator[tuple[int, Outcome]]:
    """Run trials in child processes. If a child dies, another one goes on with the next trial."""
    at = numbers.start
    while at < numbers.stop:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                for number in range(at, min(at + _TOGETHER, numbers.stop)):
                    done, outcome = run(shelves, seed, number, directory)
                    os.write(writing, json.dumps([outcome.name, f"{outcome.how}; {done}"]).encode() + b"\n")
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            for line in pipe.read().splitlines():
                yield at, Outcome(*json.loads(line))
                at += 1
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            dead_of = os.WTERMSIG(status)
            name = trials.HANG if dead_of == signal.SIGALRM else trials.CRASH
            yield at, Outcome(name, signal.Signals(dead_of).name)
            at += 1


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", type=int)
    given = arguments.parse_args()
    directory = tempfile.mkdtemp(prefix="coshelf-crafted-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    os.environ["XDG_STATE_HOME"] = os.path.join(directory, "maker")
    bad = 0
    outcomes: Counter[str] = Counter()
    try:
        shelves = left_shelves(directory)
        os.environ["XDG_STATE_HOME"] = os.path.join(directory, "victim")
        numbers = range(given.trials) if given.only is None else range(given.only, given.only + 1)
        for number, outcome in run_many(shelves, given.seed, numbers, directory):
            outcomes[outcome.name] += 1
            is_bad = outcome.name in (trials.CRASH, trials.HANG, trials.UNTYPED)
            bad += is_bad
            if is_bad or given.only is not None:
                print(f"{number} {outcome.name}: {outcome.how}", flush=True)
            if number % 500 == 499:
                print(f"{number + 1:,} trials: {dict(outcomes)}", flush=True)
    finally:
        shutil.rmtree(directory)
    print(dict(outcomes), flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
