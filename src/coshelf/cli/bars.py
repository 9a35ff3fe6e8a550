"""Draws sizes as bars, for ``coshelf stats --plot``."""

from __future__ import annotations

from collections.abc import Mapping

from coshelf.screen import plain

__all__ = ["BLOCKS", "HASHES", "bars", "size_text"]

BLOCKS = "▏▎▍▌▋▊▉█"
"""The steps of a bar, from an eighth of a character on."""

HASHES = "#"
"""The same for a terminal whose encoding has no blocks."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_LEAST_BAR = 10  # characters
_LEAST_NAME = 8


def bars(
    sizes: Mapping[str, tuple[int, int]], *, width: int, most: int, steps: str = BLOCKS
) -> list[tuple[str, str, str]]:
    """A line for each of the largest prefixes, and one for all others: the name, the bar, and the figures.

    Args:
        sizes: the entries and bytes of each prefix.
        width: characters of a line.
        most: how many prefixes are named.
        steps: what bars are made of: :data:`BLOCKS` or :data:`HASHES`.
    """
    from rich.cells import cell_len, set_cell_size

    ordered = sorted(sizes.items(), key=lambda item: item[1][1], reverse=True)
    rows = [(plain(name) or "(no prefix)", *figures) for name, figures in ordered[:most]]
    if others := [figures for _, figures in ordered[most:]]:
        rows.append((f"({len(others):,} others)", sum(each[0] for each in others), sum(each[1] for each in others)))
    if not rows:
        return []
    figures = _figures(rows)
    names = max(cell_len(name) for name, _, _ in rows)
    names = min(names, max(_LEAST_NAME, width * 3 // 10))
    longest = max(_LEAST_BAR, width - names - len(figures[0]) - 4)
    top = max(size for _, _, size in rows) or 1
    return [
        (
            set_cell_size(_cut(name, names, cell_len(name), steps), names),
            _bar(size / top * longest, steps).ljust(longest),
            told,
        )
        for (name, _, size), told in zip(rows, figures, strict=True)
    ]


def _cut(name: str, room: int, needed: int, steps: str) -> str:
    from rich.cells import set_cell_size

    if needed <= room:
        return name
    end = "…" if steps == BLOCKS else "..."
    return set_cell_size(name, room - len(end)).rstrip() + end


def _bar(length: float, steps: str) -> str:
    """A bar of this many characters. What has any size has a bar."""
    parts = round(length * len(steps))
    whole, rest = divmod(max(parts, 1) if length else 0, len(steps))
    return steps[-1] * whole + (steps[rest - 1] if rest else "")


def _figures(rows: list[tuple[str, int, int]]) -> list[str]:
    counts = [f"{entries:,} {'entry' if entries == 1 else 'entries'}" for _, entries, _ in rows]
    sizes = [size_text(size) for _, _, size in rows]
    widths = max(map(len, counts)), max(map(len, sizes))
    return [f"{count:>{widths[0]}}  {size:>{widths[1]}}" for count, size in zip(counts, sizes, strict=True)]


def size_text(size: int) -> str:
    """A number of bytes for people.

    >>> size_text(999), size_text(66_134), size_text(1_250_000_000)
    ('999 bytes', '66.1 kB', '1.2 GB')
    """
    value, unit = float(size), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1_000, unit + 1
    return f"{value:,.1f} {_UNITS[unit]}" if unit else f"{size:,} {_UNITS[0]}"
