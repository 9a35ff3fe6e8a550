"""Makes the part of docs/benchmarks.md about arrays from ``results/arrays.json``."""

from __future__ import annotations

from typing import Any

__all__ = ["arrays"]


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:,.0f} us"
    if seconds < 0.1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e3:.0f} ms" if seconds < 0.9995 else f"{seconds:,.2f} s"


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size % (1 << 20) == 0 else f"{size / 1e6:,.0f} MB"


def arrays(results: dict[str, Any]) -> list[str]:
    """The lines about opening, sharing and writing an array, and about a pass over many."""
    machine = ", ".join(f"{name}: {value}" for name, value in results["machine"].items())
    return [
        f"Measured on: {machine}; on a disk, not in memory. The arrays are random float64, which hardly compress.",
        "",
        *_targets(results),
        *_opening(results["opening"]),
        *_sharing(results["sharing"]),
        *_writing(results["writing"]),
        *_passes(results["passes"]),
    ]


def _targets(results: dict[str, Any]) -> list[str]:
    opening, sharing = results["opening"], results["sharing"]
    took = opening["took"]["coshelf"]["open"]
    count = sharing["used"]["coshelf"]["arrays"]
    rows = [
        (f"an array of {_size(opening['bytes'])} opened", "under 200 us", _time(took), took < 200e-6),
        (f"in memory for {sharing['processes']} processes", "once", f"{count:.2f} times", count < 1.05),
    ]
    for measured in results["writing"]:
        for name, what, said in (
            ("coshelf", "returned", "written"),
            ("coshelf", "durable", "written, and `sync()`"),
            ('coshelf, durability="commit"', "durable", 'written, `durability="commit"`'),
        ):
            speed = measured["speed"][name][what]
            plain = measured["speed"][f"{name}, without zlib-ng"][what]
            rows.append(
                (
                    f"{_size(measured['bytes'])} {said}",
                    "half the speed of numpy.save with the same durability",
                    f"{speed:.2f} (without zlib-ng {plain:.2f})",
                    speed >= 0.5,
                )
            )
    lines = ["| work | wanted | measured | reached |", "| --- | --- | --- | --- |"]
    lines += [f"| {work} | {wanted} | {found} | {'yes' if well else '**no**'} |" for work, wanted, found, well in rows]
    return [*lines, ""]


def _opening(measured: dict[str, Any]) -> list[str]:
    joining, fresh = measured["with open(), others have it open"], measured["with open()"]
    words = (
        f"Medians of {measured['rounds']} rounds. The shelf is open. With `coshelf.open` it takes {_time(joining)} "
        f"while another process has it open, and {_time(fresh)} otherwise. The files are in the page cache. "
        '"Touched" means that all numbers of the array are added up.'
    )
    lines = [
        f"### Reading an array of {_size(measured['bytes'])}",
        "",
        words,
        "",
        "| | read returns | all of it is touched |",
        "| --- | --- | --- |",
    ]
    for name, took in measured["took"].items():
        lines.append(f"| {_shown(name)} | {_time(took['open'])} | {_time(took['open and touch'])} |")
    return [*lines, ""]


def _sharing(measured: dict[str, Any]) -> list[str]:
    words = (
        "How much the proportional set sizes of all processes together grow until each has touched the whole array, as "
        "a multiple of the array's size. They are those of `/proc/PID/smaps_rollup`: a page that several processes "
        "share is counted once."
    )
    lines = [
        f"### Memory of {measured['processes']} processes that hold the array",
        "",
        words,
        "",
        "| | arrays in memory | MB, with the interpreters | all processes are done after |",
        "| --- | --- | --- | --- |",
    ]
    for name, used in measured["used"].items():
        lines.append(
            f"| {_shown(name)} | {used['arrays']:.2f} | {used['after'] / 1e6:,.0f} | {_time(used['seconds'])} |"
        )
    return [*lines, ""]


def _writing(sizes: list[dict[str, Any]]) -> list[str]:
    words = (
        "Each write uses a new name. The times are medians: until the call returns, and until the array is durable "
        "(`sync()`, or fsync of file and directory). Speed is relative to numpy.save with the same durability, in the "
        "same round."
    )
    lines = [
        "### Writing one array",
        "",
        words,
        "",
        "| | | returned | durable | speed, returned | speed, durable |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for measured in sizes:
        for name, took in measured["took"].items():
            speed = measured["speed"].get(name)
            ratios = ("", "") if speed is None else (f"{speed['returned']:.2f}", f"{speed['durable']:.2f}")
            lines.append(
                f"| {_size(measured['bytes'])} | {_shown(name, reads=False)} | {_time(took['returned'])} | "
                f"{_time(took['durable'])} | {ratios[0]} | {ratios[1]} |"
            )
    return [*lines, ""]


def _passes(measured: dict[str, Any]) -> list[str]:
    words = (
        "The times to write all, to make all durable, to read all (and look at one number of each), and to read and "
        f"add up all. Medians of {measured['rounds']} rounds, in a new directory each."
    )
    lines = [
        f"### A pass over {measured['count']:,} arrays of {_size(measured['bytes'])}",
        "",
        words,
        "",
        "| | written | durable | read | read and added up |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, took in measured["took"].items():
        cells = " | ".join(_time(took[what]) for what in ("write", "durable", "read", "sum"))
        lines.append(f"| {_shown(name)} | {cells} |")
    return [*lines, ""]


def _shown(name: str, *, reads: bool = True) -> str:
    return name if reads else name.removesuffix(", numpy.load")
