"""Writes the figures and pictures of docs/benchmarks.md and docs/values.md from the files in ``results``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import values_report
from array_report import arrays

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
GATE = HERE / "results" / "gate.json"
ARRAYS = HERE / "results" / "arrays.json"
WAKING = HERE / "results" / "waking.json"
DOCS = HERE.parent / "docs"
BEGIN, END = "<!-- figures: written by benchmarks/report.py -->", "<!-- end of figures -->"

COLUMNS = {
    "get": "get",
    "set": "set, one commit each",
    "batch": "update of 10,000, an entry",
    "transaction": "in a transaction of 10,000, an entry",
    "items": "items, an entry",
    "keys": "keys, an entry",
    "prefix": "items of a prefix of 100",
    "count": "len",
    "reopen": "open",
}
FLOORS = ("py-lmdb alone", "pickle alone")
OURS = ("coshelf", "coshelf, durability=commit")


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cell(found: dict[str, float] | None) -> str:
    if found is None:
        return ""
    return f"{_number(found['median'])} ({_number(found['low'])} to {_number(found['high'])})"


def table(measured: dict[str, Any]) -> list[str]:
    """Medians and quartiles for one number of keys and one kind of value."""
    took = measured["took"]
    used = [column for column in COLUMNS if any(column in of for of in took.values())]
    lines = [
        f"### {measured['keys']:,} keys, {measured['kind']}",
        "",
        f"Microseconds, median of {measured['rounds']} rounds (quartiles).",
        "",
        "| | " + " | ".join(COLUMNS[column] for column in used) + " | p99.9 of a set, us | seen by a second process |",
        "| --- |" + " --- |" * (len(used) + 2),
    ]
    for name, of in took.items():
        late = measured["latencies"][name]["0.999"] * 1e6
        cells = [_cell(of.get(column)) for column in used]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {_number(late)} | {measured['visible'][name]} |")
    for name, reason in measured["missing"].items():
        lines.append(f"| {name} | {reason} |" + " |" * (len(used) + 1))
    return [*lines, ""]


def _median(measured: dict[str, Any], name: str, what: str) -> float | None:
    found = measured["took"].get(name, {}).get(what)
    return None if found is None else float(found["median"])


def _ratio(measured: dict[str, Any], what: str, name: str, ours: str = "coshelf", own: str = "") -> float | None:
    theirs, mine = _median(measured, name, what), _median(measured, ours, own or what)
    return None if theirs is None or mine is None else mine / theirs


def _best(measured: dict[str, Any], what: str, own: str = "") -> tuple[float, str] | None:
    peers = [name for name in measured["took"] if name not in (*OURS, *FLOORS)]
    found = [(value, name) for name in peers if (value := _median(measured, name, what)) is not None]
    mine = _median(measured, "coshelf", own or what)
    if not found or mine is None:
        return None
    best, name = min(found)
    return mine / best, name


def targets(results: dict[str, Any]) -> list[str]:
    """The table of targets and of what was measured."""
    rows: list[tuple[str, str, str, bool | None]] = []

    def compare(work: str, wanted: float, found: float | None, versus: str) -> None:
        if found is not None:
            rows.append((work, f"at most {wanted} times {versus}", f"{found:.2f}", found <= wanted))

    for measured in results["tables"]:
        where = f"{measured['keys']:,} keys, {measured['kind']}"
        compare(f"one get ({where})", 1.0, _ratio(measured, "get", "shelve on gdbm"), "shelve on gdbm")
        compare(f"one get ({where})", 1.4, _ratio(measured, "get", "py-lmdb alone"), "py-lmdb and pickle")
        compare(f"one set ({where})", 1.0, _ratio(measured, "set", "shelve on gdbm"), "shelve on gdbm")
        compare(f"one set ({where})", 0.8, _ratio(measured, "set", "rocksdict"), "rocksdict")
        compare(f"one set ({where})", 0.1, _ratio(measured, "set", "diskcache"), "diskcache")
        for what, own in (("batch", ""), ("batch", "transaction"), ("items", ""), ("keys", "")):
            best = _best(measured, what, own)
            if best is not None:
                compare(f"{COLUMNS[own or what]} ({where})", 0.5, best[0], f"the best peer, {best[1]}")
    special = results.get("special")
    if special:
        rows += _special_targets(special)
    lines = ["| work | wanted | measured | reached |", "| --- | --- | --- | --- |"]
    for work, wanted, measured, reached in rows:
        lines.append(f"| {work} | {wanted} | {measured} | {'yes' if reached else '**no**'} |")
    return [*lines, ""]


def _special_targets(special: dict[str, Any]) -> list[tuple[str, str, str, bool | None]]:
    held, crowd, threads, memory = (special[name] for name in ("held", "crowd", "threads", "memory"))
    rows: list[tuple[str, str, str, bool | None]] = []
    ratio = held["held"] / held["alone"]
    megabytes = " to ".join(f"{size / 1e6:,.0f}" for size in held["bytes"][1:])
    rows.append(
        (
            f"one set while a second process holds an iterator and a snapshot for {held['seconds']:g} s",
            "at most 1.5 times one set",
            f"{ratio:.2f} ({held['sets']:,} sets; disk use {megabytes} MB)",
            ratio <= 1.5 and held["right"],
        )
    )
    mine = crowd["coshelf"]
    for name, found in crowd.items():
        if name in ("diskcache", "sqlitedict", "shelve on sqlite3") and found.get("rate"):
            times = mine["rate"] / found["rate"]
            said = (
                f"{times:,.0f} times ({mine['rate']:,.0f} and {found['rate']:,.0f} a second; errors: {mine['errors']}, "
            )
            said += f"{found['errors']})"
            rows.append((f"8 processes (4 read, 4 write) beside {name}", "at least 10 times", said, times >= 10))
    times = threads["16"] / threads["1"]
    said = f"{times:.1f} times ({threads['16']:,.0f} and {threads['1']:,.0f} a second)"
    rows.append(('`durability="commit"` with 16 threads', "at least 4 times one thread's rate", said, times >= 4))
    opening = special["opening"]
    rows.append(
        (
            f"open a shelf of {opening['keys']:,} keys",
            "under 5 ms",
            f"{opening['open'] * 1e3:.1f} ms",
            opening["open"] < 0.005,
        )
    )
    over = (special["imported"] - special["bare"]) * 1e3
    rows.append(("`import coshelf`", "under 40 ms over bare Python", f"{over:.0f} ms", over < 40))
    for what, grown in memory.items():
        rows.append((f"memory, {what} of 1,000,000 entries", "within 100 MB", f"{grown / 1e6:,.0f} MB", grown <= 100e6))
    growth = special["growth"].get("coshelf", {})
    found = [(int(count), of["prefix of 100"]) for count, of in growth.items() if "prefix of 100" in of]
    if len(found) > 1:
        said = ", ".join(f"{time:.0f} us among {count:,}" for count, time in found)
        rows.append(("items of a prefix of 100", "the same at any size", said, found[-1][1] < 2 * found[0][1]))
    return rows


def pictures(results: dict[str, Any]) -> list[str]:
    """Draw the time of each kind of work beside the peers, and the time as the shelf grows."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "coshelf"
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    def scale(axis: Any) -> None:
        """Make the axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())

    lines = []
    first = results["tables"][0]
    shown = ("get", "set", "batch", "items")
    figure, axes = plt.subplots(1, len(shown), figsize=(12, 3.6), layout="constrained")
    for axis, what in zip(axes, shown, strict=True):
        names = [name for name in first["took"] if what in first["took"][name]]
        medians = [first["took"][name][what]["median"] for name in names]
        colours = ["#c0392b" if name in OURS else "#b0b0b0" if name in FLOORS else "#4a6fa5" for name in names]
        bars = axis.barh(names, medians, color=colours)
        axis.bar_label(bars, [f"{median:,.3g}" for median in medians], padding=3, fontsize=7)
        axis.set_xscale("log")
        axis.set_xlim(0.1, max(medians) * 6)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.invert_yaxis()
        axis.set_title(COLUMNS[what], fontsize=9)
        axis.set_xlabel("us", fontsize=8)
        axis.tick_params(labelsize=7)
        if axis is not axes[0]:
            axis.set_yticklabels([])
    figure.savefig(DOCS / "benchmarks-work.svg", metadata={"Date": None})
    lines += [f"![Cost of each kind of work, {first['keys']:,} keys, {first['kind']}](benchmarks-work.svg)", ""]
    growth = results.get("special", {}).get("growth", {})
    if growth:
        kinds = ("get", "set", "prefix of 100", "len")
        figure, axes = plt.subplots(1, len(kinds), figsize=(12, 3.2), layout="constrained")
        for axis, what in zip(axes, kinds, strict=True):
            for number, (name, sizes) in enumerate(growth.items()):
                points = [(int(count), of[what]) for count, of in sizes.items() if what in of]
                if points:
                    axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name, color=f"C{number}")
            axis.set_xscale("log")
            axis.set_yscale("log")
            scale(axis)
            axis.set_title(what, fontsize=9)
            axis.set_xlabel("keys", fontsize=8)
            axis.tick_params(labelsize=7)
        axes[0].set_ylabel("us", fontsize=8)
        axes[0].legend(fontsize=7)
        figure.savefig(DOCS / "benchmarks-growth.svg", metadata={"Date": None})
        lines += ["![Cost as the shelf grows](benchmarks-growth.svg)", ""]
    return lines


def latencies(results: dict[str, Any]) -> list[str]:
    """The table of how long single sets take under continuous writing."""
    measured = results["tables"][0]
    lines = [
        f"Single sets one after another, {measured['keys']:,} keys, {measured['kind']}, microseconds:",
        "",
        "| | p50 | p99 | p99.9 | longest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, late in measured["latencies"].items():
        lines.append(
            f"| {name} | " + " | ".join(_number(late[part] * 1e6) for part in ("0.5", "0.99", "0.999", "1.0")) + " |"
        )
    return [*lines, ""]


def waking(results: dict[str, Any]) -> list[str]:
    """The table of the time from before a set until another process, which waits for the key, has the value."""
    lines = ["| | wakes | median | p99 | share of a core while waiting |", "| --- | --- | --- | --- | --- |"]
    for name, found in results.items():
        times = " | ".join(f"{_number(found[part] * 1e3)} ms" for part in ("median", "0.99"))
        lines.append(f"| {name} | {found['wakes']} | {times} | {found['share of a core'] * 100:.2f} % |")
    return ["The target on the embedded engines: a median under 2 ms, and under 1 % of a core.", "", *lines, ""]


def gate(results: dict[str, Any]) -> list[str]:
    """The table of what the gate and signatures cost."""
    lines = ["| | trusted, us | through the gate, or signed, us | ratio |", "| --- | --- | --- | --- |"]
    for name, found in results.items():
        lines.append(f"| {name} | {found['plain']:.2f} | {found['gate']:.2f} | {found['ratio']:.2f} |")
    words = (
        "The target for a small value: the gate and the signature take at most 2 times as long as the plain way. Two "
        "cells miss it. Loading a text of 1 KB takes less time than the gate's check of it, and pickling a small dict "
        "takes less time than BLAKE2. Both are a small part of a whole get or set."
    )
    return [words, "", *lines, ""]


def main() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    machine = ", ".join(f"{name}: {value}" for name, value in results["machine"].items())
    lines = [
        BEGIN,
        "",
        f"Measured on: {machine}.",
        "",
        *pictures(results),
        "## Targets",
        "",
        *targets(results),
    ]
    lines += ["## All figures", ""]
    for measured in results["tables"]:
        lines += table(measured)
    lines += ["## How long single sets take", "", *latencies(results)]
    lines += ["## Large arrays", "", *arrays(json.loads(ARRAYS.read_text(encoding="utf-8")))]
    lines += ["## How soon a waiting process wakes", "", *waking(json.loads(WAKING.read_text(encoding="utf-8")))]
    lines += ["## What safety costs", "", *gate(json.loads(GATE.read_text(encoding="utf-8"))), END]
    page = DOCS / "benchmarks.md"
    text = page.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    page.write_text(before + "\n".join(lines) + after, encoding="utf-8")
    values_report.write()


if __name__ == "__main__":
    main()
