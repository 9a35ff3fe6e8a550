"""The two figures of docs/benchmarks.md and README.md: cost of each kind of work, and cost as the store grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contenders import OURS
from wanted import FLOORS, NAMES, number

__all__ = ["draw_growth", "draw_work"]

SHOWN = ("get", "set", "batch", "items")
OUR_COLOUR, PEER_COLOUR, FLOOR_COLOUR = "#c0392b", "#4a6fa5", "#b0b0b0"
GROWTH = {"get": "get", "set": "set", "items": "items, an entry", "prefix": "items of a prefix of 100", "count": "len"}
COLD = {"get": "few, cold", "set": "set, cold", "items": "items, cold"}


def _pyplot() -> Any:
    """The drawing module, set so that the same figures make the same files."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "coshelf"
    from matplotlib import pyplot as plt

    return plt


def _colour(name: str) -> str:
    if name in OURS:
        return OUR_COLOUR
    return FLOOR_COLOUR if name in FLOORS else PEER_COLOUR


def draw_work(measured: dict[str, Any], path: Path) -> None:
    """Bars: the time of each kind of work, for each contender of one table."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    took = {name: of for name, of in measured["took"].items() if any(what in of for what in SHOWN)}
    names = list(took)
    figure, axes = _pyplot().subplots(1, len(SHOWN), figsize=(12, 0.25 * len(names) + 0.9), layout="constrained")
    for axis, what in zip(axes, SHOWN, strict=True):
        medians = [took[name].get(what, {}).get("median", 0) for name in names]
        bars = axis.barh(names, medians, color=[_colour(name) for name in names])
        axis.bar_label(bars, [number(median) if median else "" for median in medians], padding=3, fontsize=7)
        axis.set_xscale("log")
        axis.set_xlim(0.1, max(medians) * 12)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.invert_yaxis()
        axis.set_title(NAMES[what], fontsize=9)
        axis.set_xlabel("us", fontsize=8)
        axis.tick_params(labelsize=7)
        if axis is not axes[0]:
            axis.set_yticklabels([])
    figure.savefig(path, metadata={"Date": None})


def draw_growth(sizes: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Lines: the time of each kind of work by the number of keys; dashed where the page cache was cold.

    Args:
        sizes: what ``growth.py`` measured: by number of keys, contender and work.
        path: the SVG file.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    names = list(dict.fromkeys(name for of in sizes.values() for name in of))
    figure, axes = _pyplot().subplots(1, len(GROWTH), figsize=(13, 3.4), layout="constrained")
    for axis, (what, title) in zip(axes, GROWTH.items(), strict=True):
        for index, name in enumerate(names):
            for column, style, label in ((what, "-", name), (COLD.get(what, ""), "--", f"{name}, cold")):
                points = [(int(count), of[name][column]) for count, of in sizes.items() if column in of.get(name, ())]
                if points:
                    axis.plot(
                        *zip(*points, strict=True), style, marker="o", markersize=3, label=label, color=f"C{index}"
                    )  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("keys", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("us", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(path, metadata={"Date": None})
