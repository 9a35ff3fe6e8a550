"""Draws the figures of the documentation: ``python docs/figures/draw.py``. They are SVG files beside this program.

Each figure has a panel of its own, so it can be read on a light and on a dark page. It follows the reader's system.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

__all__ = ["FIGURES"]

HERE = Path(__file__).parent
WIDTH = 720
STYLE = """\
  svg { color: #1f2328; }
  .panel { fill: #ffffff; stroke: #d0d7de; }
  .box { fill: #eef2f6; stroke: currentColor; }
  .memory { fill: #ddf4ff; stroke: currentColor; }
  .disk { fill: #dafbe1; stroke: currentColor; }
  .lost { fill: #ffebe9; stroke: #b42318; stroke-dasharray: 5 4; }
  .kept { fill: #1a7f37; stroke: none; }
  .gone { fill: none; stroke: #b42318; stroke-width: 2; }
  .cut { stroke: #b42318; stroke-width: 2; stroke-dasharray: 6 4; }
  .red { fill: #b42318; }
  line, path { stroke: currentColor; stroke-width: 1.5; }
  text { fill: currentColor; font: 14px system-ui, sans-serif; }
  .small { font-size: 12px; }
  .strong { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    svg { color: #e6edf3; }
    .panel { fill: #161b22; stroke: #30363d; }
    .box { fill: #21262d; }
    .memory { fill: #0c2d4d; }
    .disk { fill: #12361f; }
    .lost { fill: #3d1513; stroke: #ff7b72; }
    .kept { fill: #3fb950; }
    .gone, .cut { stroke: #ff7b72; }
    .red { fill: #ff7b72; }
  }"""
ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z" fill="currentColor" style="stroke: none"/></marker>'
)


def text(x: float, y: float, *lines: str, kind: str = "", anchor: str = "middle") -> str:
    """Lines of text, one below the other. ``y`` is the middle of them."""
    step = 17
    first = y - step * (len(lines) - 1) / 2 + 5
    return "\n".join(
        f'<text x="{x:g}" y="{first + step * row:g}" text-anchor="{anchor}" class="{kind}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )


def box(x: float, y: float, width: float, height: float, *lines: str, kind: str = "box") -> str:
    rectangle = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>'
    return f"{rectangle}\n{text(x + width / 2, y + height / 2, *lines)}"


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" marker-end="url(#arrow)"/>'


def figure(height: int, title: str, description: str, *parts: str) -> str:
    body = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" \
aria-labelledby="title description">
<title id="title">{escape(title)}</title>
<desc id="description">{escape(description)}</desc>
<style>
{STYLE}
</style>
<defs>{ARROW}</defs>
<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" class="panel"/>
{body}
</svg>
"""


def base_and_delta() -> str:
    """Where a commit goes, and where a read looks."""
    writers = [box(30 + 120 * number, 30, 100, 44, f"process {name}") for number, name in enumerate("ABC")]
    return figure(
        330,
        "Base and delta",
        "Three processes commit to the delta, a file in memory that all of them share. At least once a second a flush "
        "writes the delta to the base, the shelf's file on disk. A reader looks at the delta first, then at the base.",
        *writers,
        *(arrow(80 + 120 * number, 74, 80 + 120 * number, 126) for number in range(3)),
        text(332, 100, "a commit: microseconds", kind="small", anchor="start"),
        box(30, 130, 340, 60, "delta: the last commits", "in memory that all processes share", kind="memory"),
        arrow(200, 190, 200, 246),
        text(212, 218, "a flush: at least once a second", kind="small", anchor="start"),
        box(30, 250, 340, 60, "base: recipes.shelf", "on disk; every flush is durable", kind="disk"),
        box(500, 180, 190, 60, "a reader, in any process", "waits for no lock"),
        arrow(500, 196, 376, 162),
        text(440, 158, "1. looks here", kind="small"),
        arrow(500, 226, 376, 276),
        text(440, 278, "2. then here", kind="small"),
    )


def power_cut() -> str:
    """What is left of nine commits after a kill and after a power cut, and with durability="commit"."""
    left, step, count, flushed = 250, 42, 9, 6
    parts = [text(left + step * (number + 0.5), 34, str(number + 1), kind="small") for number in range(count)]
    cut = left + step * count + 8
    rows = [
        (("kill -9", "of any process"), count, "all nine are there"),
        (("power cut", "the default"), flushed, "the last second may be lost"),
        (("power cut", 'durability="commit"'), count, "all nine are there"),
    ]
    parts.append(text(30, 34, "commits that returned", kind="small", anchor="start"))
    for row, (name, kept, result) in enumerate(rows):
        y = 80 + 76 * row
        parts.append(text(30, y, name[0], anchor="start", kind="strong"))
        parts.append(text(30, y + 18, name[1], anchor="start", kind="small"))
        if kept < count:
            x = left + step * kept
            parts.append(f'<rect x="{x:g}" y="{y - 20}" width="{step * (count - kept):g}" height="40" class="lost"/>')
        for number in range(count):
            x = left + step * (number + 0.5)
            kind = "kept" if number < kept else "gone"
            parts.append(f'<circle cx="{x:g}" cy="{y}" r="9" class="{kind}"/>')
        parts.append(text(left + 10, y + 34, result, kind="small", anchor="start"))
    flush = left + step * flushed
    parts.append(f'<line x1="{flush}" y1="46" x2="{flush}" y2="286"/>')
    parts.append(text(flush, 300, "last flush", kind="small"))
    parts.append(f'<line x1="{cut}" y1="46" x2="{cut}" y2="286" class="cut"/>')
    parts.append(text(cut, 300, "now", kind="small red"))
    parts.append(text(30, 322, "In each case the shelf is whole: the state of one of its commits.", anchor="start"))
    return figure(
        340,
        "A kill and a power cut",
        "Nine commits have returned; six of them were flushed to disk. After the kill of a process all nine are there. "
        "After a power cut the six that were flushed are there. With durability set to commit, all nine are there.",
        *parts,
    )


def one_array() -> str:
    """Four processes that have read one array."""
    names = ["process A", "process B", "process C", "process D"]
    parts: list[str] = []
    for number, name in enumerate(names):
        x = 30 + 170 * number
        parts.append(box(x, 30, 150, 56, name, 'shelf["map"]'))
        parts.append(arrow(x + 75, 86, 210 + 100 * number, 156))
    parts.append(text(586, 190, "four views,", "read-only, open", "in microseconds", kind="small", anchor="start"))
    parts.append(box(150, 160, 420, 60, "one array of 800 MB", "in memory, once for all processes", kind="memory"))
    parts.append('<line x1="360" y1="220" x2="360" y2="262"/>')
    parts.append(text(372, 241, "the same pages: nothing is copied", kind="small", anchor="start"))
    parts.append(box(150, 262, 420, 56, "a file in recipes.shelf.coshelf-blobs", "on disk", kind="disk"))
    return figure(
        340,
        "One array in four processes",
        "Four processes each have a read-only view of an array of 800 MB. All views show one copy in memory, which has "
        "the pages of a file beside the shelf. So the four take 800 MB together.",
        *parts,
    )


FIGURES: dict[str, Callable[[], str]] = {
    "base-and-delta.svg": base_and_delta,
    "power-cut.svg": power_cut,
    "one-array.svg": one_array,
}
"""The name of each file, and the function that draws it."""


if __name__ == "__main__":
    for name, draw in FIGURES.items():
        (HERE / name).write_text(draw(), "utf-8")
