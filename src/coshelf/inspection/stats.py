"""The statistics of a shelf that :meth:`coshelf.Shelf.stats` returns."""

from __future__ import annotations

import dataclasses
import heapq
from dataclasses import dataclass, field
from typing import Any

from coshelf.contract import Engine, Measured
from coshelf.inspection.reports import Figures
from coshelf.inspection.tables import Table, Tabular, facts
from coshelf.keys import FOREIGN, STR, shown
from coshelf.mapping.living import Living
from coshelf.mapping.namespace import Namespace
from coshelf.values.blobs import size_of

__all__ = ["Stats", "gather"]

_SLASH = ord("/")
_MOST_PREFIXES = 10_000


@dataclass(slots=True)
class Stats(Tabular):
    """Statistics of a shelf. The bytes of an entry are those of its encoded key, record, and large buffers.

    Printed, and in a notebook, it is a table.

    Attributes:
        name: path or URL.
        engine: name of the engine.
        entries: the number of entries.
        bytes: the bytes of all entries; None with ``cheap=True``.
        prefixes: the number of entries and their bytes for each beginning of str keys up to a ``/``. ``""`` has all
            other entries.
        largest: the keys (as text) and bytes of the largest entries, the largest first.
        file: what the engine knows of its file.
    """

    name: str
    engine: str
    entries: int = 0
    bytes: int | None = None
    prefixes: dict[str, tuple[int, int]] = field(default_factory=dict)
    largest: list[tuple[str, int]] = field(default_factory=list)
    file: Figures | None = None

    def as_dict(self) -> dict[str, Any]:
        """All attributes, for JSON."""
        return dataclasses.asdict(self)

    def _tables(self) -> tuple[Table, ...]:
        rows = [("shelf", self.name), ("engine", self.engine), ("entries", self.entries), ("bytes", self.bytes)]
        prefixes = [(entries, size, prefix or "(no prefix)") for prefix, (entries, size) in self.prefixes.items()]
        largest = [(size, key) for key, size in self.largest]
        return (
            facts([*rows, *(_facts_of(self.file) if self.file is not None else ())]),
            *((Table(("entries", "bytes", "prefix"), prefixes),) if prefixes else ()),
            *((Table(("bytes", "largest"), largest),) if largest else ()),
        )


def gather(engine: Engine, namespace: Namespace, *, prefix_depth: int, largest: int, cheap: bool) -> Stats:
    """The statistics of a namespace. Its entries are those of one instant; the figures of the file are current."""
    stats = Stats(engine.where, engine.name, file=engine.figures() if isinstance(engine, Measured) else None)
    reader = Living(engine, engine.now)
    if cheap:
        stats.entries = sum(reader.count(start, stop) for start, stop in namespace.ranges)
        return stats
    sizes: dict[str, list[int]] = {}
    top: list[tuple[int, bytes]] = []
    stats.bytes = 0
    with reader.instant() as instant:
        for (start, stop), exact in zip(namespace.ranges, namespace.exact, strict=True):
            for page in instant.pages(start, stop):
                for key, record in page:
                    if not exact and namespace.decode(key) is FOREIGN:
                        continue
                    size = len(key) + size_of(record)
                    stats.entries += 1
                    stats.bytes += size
                    counted = sizes.setdefault(_prefix(key, namespace, prefix_depth), [0, 0])
                    counted[0] += 1
                    counted[1] += size
                    if len(top) < largest:
                        heapq.heappush(top, (size, key))
                    elif top and size > top[0][0]:
                        heapq.heapreplace(top, (size, key))
                if len(sizes) > _MOST_PREFIXES:
                    sizes = _only_largest(sizes)
    stats.prefixes = {prefix: (count, size) for prefix, (count, size) in sorted(sizes.items())}
    stats.largest = [(shown(namespace.decode(key)), size) for size, key in sorted(top, reverse=True)]
    return stats


def _facts_of(file: Figures) -> list[tuple[str, Any]]:
    readers = [
        f"pid {reader.pid}" + ("" if reader.behind is None else f" ({reader.behind} flushes behind)")
        for reader in file.readers or ()
    ]
    return [
        ("file size", file.file_size),
        ("page size", file.page_size),
        ("pages", file.pages),
        ("free pages", file.free_pages),
        ("blobs", file.blobs),
        ("bytes of these", file.blob_bytes),
        ("last commit", file.sequence),
        ("waiting to be flushed", file.waiting_entries),
        ("bytes of these", file.waiting_bytes),
        ("open in", ", ".join(readers) or None),
        ("oldest snapshot, seconds", file.oldest_snapshot),
        ("counted towards max_bytes", file.counted_bytes),
        ("evictions", file.evictions),
        ("hits", file.hits),
        ("misses", file.misses),
        ("locked by", None if file.holder_pid is None else f"pid {file.holder_pid} ({file.holder_command})"),
    ]


def _prefix(key: bytes, namespace: Namespace, depth: int) -> str:
    """The beginning of a str key, up to the slash of this number, or to the last one if it has fewer."""
    start = len(STR) + len(namespace.prefix.encode("utf-8", "surrogatepass"))
    if not key.startswith(STR) or depth < 1:
        return ""
    end = start
    for _ in range(depth):
        slash = key.find(_SLASH, end)
        if slash < 0:
            break
        end = slash + 1
    return key[start:end].decode("utf-8", "backslashreplace")


def _only_largest(sizes: dict[str, list[int]]) -> dict[str, list[int]]:
    """The half of the prefixes that have the most bytes. The others are counted under ``""``."""
    ordered = sorted(sizes, key=lambda prefix: (prefix == "", sizes[prefix][1]), reverse=True)
    kept = {prefix: sizes[prefix] for prefix in ordered[: _MOST_PREFIXES // 2]}
    rest = kept.setdefault("", [0, 0])
    for prefix in ordered[_MOST_PREFIXES // 2 :]:
        rest[0] += sizes[prefix][0]
        rest[1] += sizes[prefix][1]
    return kept
