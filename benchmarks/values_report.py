"""Writes the figures of docs/values.md and their picture from ``results/values_sets.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "values_sets.json"
BEGIN, END = "<!-- figures: written by benchmarks/report.py -->", "<!-- end of figures -->"
LESS, MORE, SAME = "#4a6fa5", "#c0392b", "#b0b0b0"
PANELS = {"bytes": "size", "write": "time to write", "read": "time to read"}
POINT = "Arrays in blobs take a fraction of the time; compression pays for room with time (1x: plain pickle)"


def write(docs: Path) -> None:
    """Write the picture, and the tables into the page, in the directory of the pages."""
    page = docs / "values.md"
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    machine = results.pop("machine")
    _draw(results, docs / "values.svg")
    said = ", ".join(f"{name}: {value}" for name, value in machine.items())
    lines = [BEGIN, "", f"Measured on: {said}.", ""]
    for name, measured in results.items():
        lines += _table(name, measured)
    lines.append(END)
    text = page.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    page.write_text(before + "\n".join(lines) + after, encoding="utf-8")


def _table(name: str, measured: dict[str, Any]) -> list[str]:
    touched = "touch" in next(iter(measured["ways"].values()))
    heads = ["bytes", "write, us", "read, us", *(["read and touch all of it, us"] if touched else [])]
    lines = [
        f"**{name.capitalize()}**: {measured['what']}. Mean of one value, and its ratio to plain pickle:",
        "",
        "| | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    for way, found in measured["ways"].items():
        cells = [_cell(found["bytes"][0] / measured["count"], found["bytes"][1])]
        cells += [_cell(*found[what]) for what in ("write", "read", "touch") if what in found]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(value: float, ratio: float) -> str:
    return f"{value:,.0f} ({_times(ratio)})" if value >= 100 else f"{value:,.1f} ({_times(ratio)})"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio >= 10 else f"{ratio:.2f}x" if ratio >= 0.1 else f"{ratio:.3f}x"


def _draw(results: dict[str, Any], path: Path) -> None:
    """Draw a row for each set, and a column each for size and times, all as multiples of those of plain pickle."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "coshelf"
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    heights = [len(measured["ways"]) for measured in results.values()]
    figure, rows = plt.subplots(
        len(results), len(PANELS), figsize=(11, 9.5), layout="constrained", height_ratios=heights, sharex="col",
        squeeze=False,
    )  # fmt: skip
    for column, what in enumerate(PANELS):
        ratios = [found[what][1] for measured in results.values() for found in measured["ways"].values()]
        low, high = min(ratios), max(ratios)
        rows[0][column].set_xscale("log")
        rows[0][column].set_xlim(low / (high / low) ** 0.25, high * (high / low) ** 0.25)
    for axes, (name, measured) in zip(rows, results.items(), strict=True):
        ways = {way: found for way, found in measured["ways"].items() if way != "plain pickle"}
        for axis, (what, title) in zip(axes, PANELS.items(), strict=True):
            ratios = [found[what][1] for found in ways.values()]
            colours = [LESS if ratio < 0.95 else MORE if ratio > 1.05 else SAME for ratio in ratios]
            axis.barh(list(ways), [ratio - 1 for ratio in ratios], left=1, color=colours, height=0.7)
            for row, ratio in enumerate(ratios):
                axis.annotate(
                    _times(ratio),
                    (ratio, row),
                    xytext=(-3 if ratio < 0.995 else 3, 0),
                    textcoords="offset points",
                    ha="right" if ratio < 0.995 else "left",
                    va="center",
                    fontsize=8,
                )
            axis.axvline(1, color="black", linewidth=0.8)
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if what != "read" else (1,), numticks=12))
            axis.tick_params(axis="x", labelbottom=True)
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.invert_yaxis()
            axis.tick_params(labelsize=8)
            axis.spines[["top", "right", "left"]].set_visible(False)
            axis.tick_params(axis="y", length=0)
            axis.set_xlabel(title, fontsize=8)
            if axis is not axes[0]:
                axis.set_yticklabels([])
        axes[0].set_title(f"{name}: {measured['what']}", fontsize=10, loc="left", fontweight="bold")
    figure.suptitle(POINT, fontsize=12)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
