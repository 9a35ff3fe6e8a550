"""What was wanted, and what was reached: a row for each target, from the figures of one run.

Each row has our figure, the peer's, and their ratio, with the module in C and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from contenders import OURS

__all__ = ["FLOORS", "NAMES", "number", "rows", "table"]

COSHELF, WITHOUT, BEFORE = OURS[:3]
FLOORS = ("py-lmdb alone", "pickle alone", "sqlite3 alone")
CACHES = {"diskcache": 10, "diskcache-community": 10, "pysciqlop-cache": 1}
"""How many times faster than these coshelf is to be at what they are made for: several processes, and counting."""
IN_MEMORY = ("shelve on dumb",)  # its keys are a dict in memory
NAMES = {
    "get": "get",
    "dirty": "get, just after sets",
    "set": "set, one commit each",
    "batch": "update of 10,000, an entry",
    "transaction": "in a transaction of 10,000, an entry",
    "items": "items, an entry",
    "keys": "keys, an entry",
    "prefix": "items of a prefix of 100",
    "count": "len",
    "opening": "open, get, close",
    "increment": "add one to a number",
    "modify": "modify a number",
}


@dataclass(frozen=True)
class Row:
    """A target.

    Attributes:
        work: what is done.
        wanted: the bound, in words.
        ours: our figure, with its unit.
        peer: the peer's figure, with its unit; empty if the target has no peer.
        found: what the bound is compared with.
        reached: whether the bound is kept; None if the peer was not measured.
        without: ``found`` without the module in C; empty if it was not measured.
    """

    work: str
    wanted: str
    ours: str
    peer: str
    found: str
    reached: bool | None
    without: str = ""


def table(results: dict[str, Any]) -> list[str]:
    """The targets as a table in Markdown."""
    lines = [
        "| work | wanted | coshelf | peer | measured | reached | without the module |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows(results):
        reached = {True: "yes", False: "**no**", None: "not compared"}[row.reached]
        lines.append(
            f"| {row.work} | {row.wanted} | {row.ours} | {row.peer} | {row.found} | {reached} | {row.without} |"
        )
    return [*lines, ""]


def rows(results: dict[str, Any]) -> Iterator[Row]:
    """All targets for which coshelf was measured. A peer that was left out has no row; one that failed says why."""
    for measured in results["tables"]:
        yield from _Table(measured).rows()
    special = results.get("special")
    if special:
        yield from _processes(special, int(results["machine"]["cores"]))
        yield from _threads_and_gate(special)
        yield from _held(special["held"])
        yield from _memory(special)
        yield from _imports(special["imports"])


def number(value: float) -> str:
    """Three digits, or all of a large number."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class _Table:
    """The targets of one number of keys and one kind of value: times, in ratios to those of peers."""

    def __init__(self, measured: dict[str, Any]) -> None:
        self._took = measured["took"]
        self._missing = measured["missing"]
        self._failed = measured.get("failed", {})
        self._late = measured["latencies"]
        self._where = f"{measured['keys']:,} keys, {measured['kind']}"
        self._keys = measured["keys"]

    def rows(self) -> Iterator[Row]:
        """Times of coshelf, divided by those of a peer."""
        for what in ("get", "dirty"):
            yield from self._compare(what, 0.6, "shelve on gdbm")
            yield from self._compare(what, 0.6, "rocksdict")
            yield from self._compare(what, 1.3, "pickle alone", theirs="get")
        for peer in ("shelve on gdbm", "rocksdict"):
            yield from self._compare("set", 0.25, peer)
            yield from self._late_sets(0.25, peer)
        for what in ("batch", "transaction"):
            yield from self._compare(what, 0.7, "rocksdict", theirs="batch")
        yield from self._compare("items", 0.4, self._best("items"))
        yield from self._compare("keys", 0.7, self._best("keys", besides=IN_MEMORY))
        if self._keys >= 1_000_000:
            yield from self._compare("prefix", 0.5, "rocksdict")
        yield from self._compare("modify", 3.0, COSHELF, theirs="set", called="a set of its own")
        for peer, faster in CACHES.items():
            yield from self._compare("increment", 1 / faster, peer)
        yield from self._opening()
        yield from self._no_slower()

    def _median(self, name: str, what: str) -> float | None:
        found = self._took.get(name, {}).get(what)
        return None if found is None else float(found["median"])

    def _best(self, what: str, besides: tuple[str, ...] = ()) -> str:
        peers = [name for name in self._took if name not in (*OURS, *FLOORS, *besides)]
        times = [(time, name) for name in peers if (time := self._median(name, what)) is not None]
        return min(times)[1] if times else ""

    def _compare(self, what: str, wanted: float, peer: str, theirs: str = "", called: str = "") -> Iterator[Row]:
        mine, other = self._median(COSHELF, what), self._median(peer, theirs or what)
        work, wanted_words = f"{NAMES[what]} ({self._where})", f"at most {wanted} times {called or peer}"
        if mine is None:
            return
        if other is None:
            failed = self._failed.get(peer, {})
            why = self._missing.get(peer) or failed.get(theirs or what) or failed.get("load")
            if why:
                yield Row(work, wanted_words, f"{number(mine)} us", why, "", None)
            return
        plain = self._median(WITHOUT, what)
        if peer == COSHELF:  # without the module, too, it is compared with itself
            base = self._median(WITHOUT, theirs or what)
        else:
            base = other
        yield Row(
            work,
            wanted_words,
            f"{number(mine)} us",
            f"{number(other)} us",
            f"{mine / other:.2f}",
            mine / other <= wanted,
            "" if plain is None or base is None else f"{plain / base:.2f}",
        )

    def _late_sets(self, wanted: float, peer: str) -> Iterator[Row]:
        if COSHELF not in self._late or peer not in self._late:
            return
        mine, other, plain = (self._late.get(name, {}).get("0.99") for name in (COSHELF, peer, WITHOUT))
        yield Row(
            f"p99 of a set ({self._where})",
            f"at most {wanted} times {peer}",
            f"p50, p99, p99.9: {self._quantiles(COSHELF)} us",
            f"{self._quantiles(peer)} us",
            f"{mine / other:.2f}",
            mine / other <= wanted,
            "" if plain is None else f"{plain / other:.2f}",
        )

    def _quantiles(self, name: str) -> str:
        return ", ".join(number(self._late[name][part] * 1e6) for part in ("0.5", "0.99", "0.999"))

    def _opening(self) -> Iterator[Row]:
        yield from self._compare("opening", 3.0, "sqlite3 alone")
        mine, plain = self._median(COSHELF, "opening"), self._median(WITHOUT, "opening")
        if mine is not None:
            without = "" if plain is None else f"{plain / 1e3:.2f} ms"
            found = f"{mine / 1e3:.2f} ms"
            yield Row(f"{NAMES['opening']} ({self._where})", "at most 1 ms", found, "", found, mine <= 1000, without)

    def _no_slower(self) -> Iterator[Row]:
        """Without the module no work may be slower than in the earlier version, which had none."""
        for what, called in NAMES.items():
            plain, before = self._median(WITHOUT, what), self._median(BEFORE, what)
            if plain is not None and before is not None:
                yield Row(
                    f"{called}, without the module ({self._where})",
                    "at most 1.0 times the version before (5 % are noise)",
                    f"{number(plain)} us",
                    f"{number(before)} us",
                    f"{plain / before:.2f}",
                    plain / before <= 1.05,
                    f"{plain / before:.2f}",
                )


def _faster(
    work: str, found: dict[str, Any], peer: str, wanted: float, told: Callable[[dict[str, Any]], str]
) -> Iterator[Row]:
    """A row that compares our rate with a peer's."""
    mine, other, plain = (found.get(name) for name in (COSHELF, peer, WITHOUT))
    if mine is None or other is None:
        return
    if "rate" not in other:
        yield Row(
            f"{work} beside {peer}", f"at least {wanted:g} times", told(mine), f"failed: {other['failed']}", "", None
        )
        return
    times = mine["rate"] / other["rate"]
    yield Row(
        f"{work} beside {peer}",
        f"at least {wanted:g} times",
        told(mine),
        told(other),
        f"{times:.1f} times",
        times >= wanted and mine.get("exact", True) and not mine.get("errors"),
        "" if plain is None else f"{plain['rate'] / other['rate']:.1f} times",
    )


def _processes(special: dict[str, Any], cores: int) -> Iterator[Row]:
    def crowd(found: dict[str, Any]) -> str:
        errors = f", {found['errors']} errors" if found["errors"] else ""
        return f"{found['rate']:,.0f} a second{errors}"

    def counted(found: dict[str, Any]) -> str:
        return f"{found['rate']:,.0f} a second, {'exact' if found['exact'] else 'NOT exact'}"

    for peer, times in {**CACHES, "sqlitedict": 10, "shelve on sqlite3": 4}.items():
        yield from _faster("8 processes (4 read, 4 write)", special["crowd"], peer, times, crowd)
    for peer, times in CACHES.items():
        yield from _faster("4 processes add one to the same number", special["counting"], peer, times, counted)
    one, four = special["one reader"], special["four readers"]
    if COSHELF in one:
        scaled = {name: four[name]["rate"] / one[name]["rate"] for name in one}
        wanted = 0.9 * min(4, cores)
        yield Row(
            "4 processes read",
            f"at least {wanted:.1f} times one ({cores} cores)",
            crowd(four[COSHELF]),
            f"one: {crowd(one[COSHELF])}",
            f"{scaled[COSHELF]:.2f} times",
            scaled[COSHELF] >= wanted,
            f"{scaled[WITHOUT]:.2f} times" if WITHOUT in scaled else "",
        )


def _threads_and_gate(special: dict[str, Any]) -> Iterator[Row]:
    threads, gate = special["threads"], special["gate"]
    if COSHELF not in threads:
        return
    times = {name: each["16"] / each["1"] for name, each in threads.items()}
    yield Row(
        '`durability="commit"` with 16 threads',
        "at least 4 times one thread's rate",
        f"{threads[COSHELF]['16']:,.0f} a second",
        f"one: {threads[COSHELF]['1']:,.0f} a second",
        f"{times[COSHELF]:.1f} times",
        times[COSHELF] >= 4,
        f"{times[WITHOUT]:.1f} times" if WITHOUT in times else "",
    )
    kinds = [what.removeprefix("own, ") for what in gate[COSHELF] if what.startswith("own, ")]
    for kind in kinds:
        own, other = f"own, {kind}", f"stranger's, {kind}"
        ratios = {name: each[other] / each[own] for name, each in gate.items()}
        yield Row(
            f"get from a stranger's shelf: plain data, {kind}",
            "at most 1.2 times one's own",
            f"{number(gate[COSHELF][other])} us",
            f"own: {number(gate[COSHELF][own])} us",
            f"{ratios[COSHELF]:.2f}",
            ratios[COSHELF] <= 1.2,
            f"{ratios[WITHOUT]:.2f}" if WITHOUT in ratios else "",
        )


def _held(held: dict[str, Any]) -> Iterator[Row]:
    ratio = held["held"] / held["alone"]
    megabytes = " to ".join(f"{size / 1e6:,.0f}" for size in held["bytes"][1:])
    yield Row(
        f"set while a second process holds an iterator and a snapshot for {held['seconds']:g} s",
        "at most 1.5 times a set",
        f"{number(held['held'])} us ({held['sets']:,} sets; disk use {megabytes} MB)",
        f"alone: {number(held['alone'])} us",
        f"{ratio:.2f}",
        ratio <= 1.5 and held["right"],
    )


def _memory(special: dict[str, Any]) -> Iterator[Row]:
    for what, grown in special["memory"].items():
        if COSHELF not in grown:
            continue
        said = {name: f"{size / 1e6:,.0f} MB" for name, size in grown.items()}
        yield Row(
            f"memory, {what} of {special['many']:,} entries",
            "at most 100 MB",
            said[COSHELF],
            "",
            said[COSHELF],
            grown[COSHELF] <= 100e6,
            said.get(WITHOUT, ""),
        )


TODAY = 6.4
"""How many starts of Python an import took before there was a module: 37.1 ms beside 5.8."""


def _imports(took: dict[str, float]) -> Iterator[Row]:
    bare = took["nothing"]
    over = {name: each - bare for name, each in took.items()}
    if BEFORE in over:
        unit, wanted, bound = over[BEFORE], "at most 1.0 times the version before (5 % are noise)", 1.05
        peer = f"before: {unit * 1e3:.1f} ms"
    else:
        unit, wanted, bound = bare, f"at most {TODAY} starts of Python, as before", TODAY
        peer = f"a start of Python: {bare * 1e3:.1f} ms"
    yield Row(
        "`import coshelf`",
        wanted,
        f"{over[COSHELF] * 1e3:.1f} ms over a start of Python",
        peer,
        f"{over[COSHELF] / unit:.2f}",
        over[COSHELF] / unit <= bound,
        f"{over[WITHOUT] / unit:.2f}",
    )
