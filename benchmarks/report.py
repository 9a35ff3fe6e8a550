"""Writes the figures and pictures of docs/benchmarks.md, docs/values.md and README.md from the files in ``results``.

``report.py --results FILE --pages DIRECTORY`` takes the figures of another run, and changes copies of the pages.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pictures
import values_report
import wanted
from array_report import arrays
from wanted import NAMES, number

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
GROWTH = HERE / "results" / "growth.json"
BOUNDED = HERE / "results" / "evicting.json"
GROWN = {
    "get": "get",
    "set": "set",
    "items": "a row of a scan",
    "prefix": "prefix of 100",
    "count": "count",
    "few, cold": "get, cold",
    "set, cold": "set, cold",
    "items, cold": "a row of a scan, cold",
}
"""What ``growth.py`` measures, and how the table calls it."""
GATE = HERE / "results" / "gate.json"
ARRAYS = HERE / "results" / "arrays.json"
WAKING = HERE / "results" / "waking.json"
BEGIN, END = "<!-- figures: written by benchmarks/report.py -->", "<!-- end of figures -->"

README = {
    "coshelf": ("**coshelf**", "yes", "whole, at most a second is lost"),
    "coshelf, no module": ("coshelf without its module in C", "yes", "whole, at most a second is lost"),
    "coshelf, durability=commit": ('**coshelf, `durability="commit"`**', "yes", "whole, nothing is lost"),
    "shelve on gdbm": ("shelve on gdbm", "no", "no promise"),
    "shelve on sqlite3": ("shelve on sqlite3 (Python 3.13)", "yes", "whole"),
    "diskcache": ("diskcache", "yes", "whole, the last are lost"),
    "pysciqlop-cache": ("pysciqlop-cache", "yes", "whole, the last are lost"),
    "sqlitedict": ("sqlitedict", "yes", "whole"),
    "rocksdict": ("RocksDB (rocksdict)", "no", "whole, the last are lost"),
}
"""The rows of README's table: names, whether several processes can write, and what a power cut leaves."""
README_COLUMNS = ("get", "set", "batch", "items")
README_HEAD = "| | get | set | `update`, an entry | items, an entry | several writers | after a power cut |"


def _cell(found: dict[str, float] | None) -> str:
    if found is None:
        return ""
    return f"{number(found['median'])} ({number(found['low'])} to {number(found['high'])})"


def table(measured: dict[str, Any]) -> list[str]:
    """Medians and quartiles for one number of keys and one kind of value."""
    took = measured["took"]
    used = [column for column in NAMES if any(column in of for of in took.values())]
    lines = [
        f"### {measured['keys']:,} keys, {measured['kind']}",
        "",
        f"Microseconds, median of {measured['rounds']} rounds (quartiles).",
        "",
        "| | " + " | ".join(NAMES[column] for column in used) + " | seen by a second process |",
        "| --- |" + " --- |" * (len(used) + 1),
    ]
    for name, of in took.items():
        failed = measured["failed"].get(name, {})
        cells = [f"failed: {failed[column]}" if column in failed else _cell(of.get(column)) for column in used]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {measured['visible'].get(name, '')} |")
    for name, reason in measured["missing"].items():
        lines.append(f"| {name} | {reason} |" + " |" * len(used))
    return [*lines, ""]


def readme_table(measured: dict[str, Any]) -> list[str]:
    """The table of README.md: one number of keys, one kind of value."""
    lines = [README_HEAD, "| --- |" + " --- |" * (len(README_COLUMNS) + 2)]
    for name, (shown, several, promise) in README.items():
        if name in measured["took"]:
            medians = [measured["took"][name][column]["median"] for column in README_COLUMNS]
            lines.append(f"| {shown} | " + " | ".join(map(_two_digits, medians)) + f" | {several} | {promise} |")
    return lines


def _two_digits(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def latencies(measured: dict[str, Any]) -> list[str]:
    """The table of how long single sets take under continuous writing."""
    words = f"Single sets one after another, {measured['keys']:,} keys, {measured['kind']}, microseconds."
    lines = [
        f"{words} Each quantile is the median of those of the rounds:",
        "",
        "| | p50 | p99 | p99.9 | longest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, late in measured["latencies"].items():
        lines.append(
            f"| {name} | " + " | ".join(number(late[part] * 1e6) for part in ("0.5", "0.99", "0.999", "1.0")) + " |"
        )
    return [*lines, ""]


def waking(results: dict[str, Any]) -> list[str]:
    """The table of the time from before a set until another process, which waits for the key, has the value."""
    lines = ["| | wakes | median | p99 | share of a core while waiting |", "| --- | --- | --- | --- | --- |"]
    for name, found in results.items():
        times = " | ".join(f"{number(found[part] * 1e3)} ms" for part in ("median", "0.99"))
        lines.append(f"| {name} | {found['wakes']} | {times} | {found['share of a core'] * 100:.2f} % |")
    return ["The target on the embedded engines: a median under 2 ms, and under 1 % of a core.", "", *lines, ""]


def growth(results: dict[str, Any]) -> list[str]:
    """The table of the largest stores, with the page cache warm and cold."""
    most = max(map(int, results["sizes"]))
    machine = results["machine"]
    lines = [f"| {most:,} keys, us | " + " | ".join(GROWN.values()) + " |", "| --- |" + " --- |" * len(GROWN)]
    for name, found in results["sizes"][str(most)].items():
        lines.append(f"| {name} | " + " | ".join(number(found[work]) if work in found else "" for work in GROWN) + " |")
    words = (
        f"Microseconds of one operation ({machine['date']}, rounds: {machine['rounds']}). The contenders took turns, "
        f"beside other work, at a load of about {machine['load after']} on {machine['cores']} cores. "
        "A row of a scan is one item. Cold means that no page of the files is in the page cache."
    )
    return [words, "", *lines, ""]


def bounded(results: dict[str, Any]) -> list[str]:
    """The tables of hit ratios and rates of bounded caches."""
    ratios, rates, machine = results["ratios"], results["rates"], results["machine"]
    requests = (
        "`benchmarks/evicting.py` asks caches of 2,000 entries for keys, and stores those that are missing. There are "
        "60,000 requests for 20,000 keys, and 100,000 of each real trace. The real traces are those in libcachesim's "
        "source distribution; they ask for 43,731 blocks and 22,642 keys. The shelf is flushed after each 20 new "
        "entries, or after each 500 (rare flushes). diskcache has the limit of bytes that 2,000 entries take. Hits:"
    )
    rare = (
        "With rare flushes the shelf has up to a quarter more entries than its limit. So all of the loop is in it "
        "between two flushes."
    )
    operations = (
        "Operations a second, with caches of 20,000 entries, requests by Zipf 1.0, and flushes each second: medians of "
        f"three runs of 3 seconds, in turns ({machine['date']}, {machine['cores']} cores, beside other work):"
    )
    lines = [requests, "", "| | " + " | ".join(ratios) + " |", "| --- |" + " --- |" * len(ratios)]
    for name in next(iter(ratios.values())):
        answered = " | ".join(f"{of[name]:.3f}" for of in ratios.values())
        lines.append(f"| {name} | {answered} |")
    counts = " | ".join(f"{count} process" + "es" * (count != "1") for count in rates)
    lines += ["", rare, "", operations, "", f"| | {counts} |", "| --- |" + " --- |" * len(rates)]
    for name in next(iter(rates.values())):
        told = " | ".join(f"{of[name]['operations a second']:,.0f}" for of in rates.values())
        lines.append(f"| {name} | {told} |")
    return [*lines, ""]


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


def figures(results: dict[str, Any]) -> list[str]:
    """The part of docs/benchmarks.md that is made of results."""
    machine = ", ".join(f"{name}: {value}" for name, value in results["machine"].items())
    first = results["tables"][0]
    lines = [
        f"Measured on: {machine}.",
        "",
        f"![Cost of each kind of work, {first['keys']:,} keys, {first['kind']}](benchmarks-work.svg)",
        "",
        "![Cost as the shelf grows](benchmarks-growth.svg)",
        "",
        "## Targets",
        "",
        *wanted.table(results),
        "## All figures",
        "",
    ]
    for measured in results["tables"]:
        lines += table(measured)
    lines += ["## How long single sets take", ""]
    for measured in results["tables"][:2]:
        lines += latencies(measured)
    if GROWTH.exists():
        lines += ["## The largest stores", "", *growth(json.loads(GROWTH.read_text(encoding="utf-8")))]
    lines += ["## Large arrays", "", *arrays(json.loads(ARRAYS.read_text(encoding="utf-8")))]
    if BOUNDED.exists():
        lines += ["## Bounded caches", "", *bounded(json.loads(BOUNDED.read_text(encoding="utf-8")))]
    lines += ["## How soon a waiting process wakes", "", *waking(json.loads(WAKING.read_text(encoding="utf-8")))]
    return [*lines, "## What safety costs", "", *gate(json.loads(GATE.read_text(encoding="utf-8")))]


def _replace(page: Path, begin: str, end: str, lines: list[str]) -> None:
    """Put the lines from where ``begin`` begins up to ``end``."""
    text = page.read_text(encoding="utf-8")
    at = text.index(begin)
    page.write_text(text[:at] + "\n".join(lines) + text[text.index(end, at) :], encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--growth", type=Path, default=GROWTH, help="the figures of growth.py, if there are any")
    parser.add_argument("--pages", type=Path, default=HERE.parent, help="the directory with README.md and docs")
    parser.add_argument("--tables-only", action="store_true", help="draw nothing, and leave docs/values.md")
    given = parser.parse_args()
    results = json.loads(given.results.read_text(encoding="utf-8"))
    docs = given.pages / "docs"
    _replace(docs / "benchmarks.md", BEGIN, END, [BEGIN, "", *figures(results), ""])
    _replace(given.pages / "README.md", README_HEAD, "\n\n", readme_table(results["tables"][0]))
    if given.tables_only:
        return
    pictures.draw_work(results["tables"][0], docs / "benchmarks-work.svg")
    if given.growth.exists():
        growth = json.loads(given.growth.read_text(encoding="utf-8"))
        pictures.draw_growth(growth["sizes"], docs / "benchmarks-growth.svg")
    values_report.write(docs)


if __name__ == "__main__":
    main()
