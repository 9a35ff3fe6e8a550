"""How many entries a branch has, and how many bytes: counted in the background, and told as far as it is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from coshelf.contract import Reader
from coshelf.errors import CoshelfError
from coshelf.values.blobs import size_of
from coshelf.viewer.background import Background
from coshelf.viewer.keys.branches import Branch
from coshelf.viewer.sizes import in_words

__all__ = ["Measure", "Measures"]

_KEPT = 5_000
_YOUNG = 5.0  # seconds
_QUICK = 0.05  # seconds
_SHARE = 20  # a measure that took long is told for so many times as long
_MOMENT = 0.03  # seconds that a page waits


@dataclass
class Measure:
    """What is known of the size of a branch.

    Attributes:
        entries: the entries that were counted.
        size: their bytes: keys, records and large buffers; None if values are not read to measure them.
        is_complete: whether these are all.
    """

    entries: int = 0
    size: int | None = 0
    is_complete: bool = False
    started: float = field(default_factory=time.monotonic)
    took: float = 0.0

    @property
    def entries_in_words(self) -> str:
        """The number of entries; empty while nothing is known."""
        if not self.is_complete and not self.entries:
            return ""
        least = "" if self.is_complete else "≥ "
        return f"{least}{self.entries:,} {'entry' if self.entries == 1 and self.is_complete else 'entries'}"

    @property
    def size_in_words(self) -> str:
        """Their size; empty if it is not known."""
        return f"{'' if self.is_complete else '≥ '}{in_words(self.size)}" if self.size else ""

    def fill(self, reader: Reader, branch: Branch, *, with_sizes: bool) -> Iterator[None]:
        """Count all entries, in short steps."""
        try:
            yield from self._weigh(reader, branch) if with_sizes else self._count(reader, branch)
        except CoshelfError:
            return  # what was counted stays "at least": the rows tell what is wrong with them
        self.is_complete = True
        self.took = time.monotonic() - self.started

    def _count(self, reader: Reader, branch: Branch) -> Iterator[None]:
        self.size = None
        for page in reader.key_pages(branch.start, branch.stop):
            self.entries += len(page)
            yield

    def _weigh(self, reader: Reader, branch: Branch) -> Iterator[None]:
        for page in reader.pages(branch.start, branch.stop):
            self.entries += len(page)
            assert self.size is not None
            self.size += sum(len(key) + size_of(record) for key, record in page)
            yield

    @property
    def is_young(self) -> bool:
        """Whether it can be told without counting again."""
        age = time.monotonic() - self.started
        return not self.is_complete or age - self.took < max(_YOUNG, _SHARE * self.took)


class Measures:
    """The sizes of the branches of a shelf.

    Args:
        reader: gives a reader of the shelf.
        background: counts.
        with_sizes: whether values are read to measure them. From a server that would take long, and can cost money.
    """

    def __init__(self, reader: Callable[[], Reader], background: Background, *, with_sizes: bool) -> None:
        self._reader = reader
        self._background = background
        self._with_sizes = with_sizes
        self._measures: dict[bytes, Measure] = {}
        self._lock = threading.Lock()

    def of(self, branch: Branch) -> Measure:
        """What is known now. Counting begins, unless it has begun."""
        with self._lock:
            found = self._measures.get(branch.base)
            if found is not None and found.is_young:
                return found
            measure = self._measures[branch.base] = Measure()
            while len(self._measures) > _KEPT:
                del self._measures[next(iter(self._measures))]
        self._background.add(measure.fill(self._reader(), branch, with_sizes=self._with_sizes))
        return measure

    def soon(self, branches: Sequence[Branch]) -> dict[str, Measure]:
        """What is known of branches, by their addresses, after a moment in which most are counted."""
        found = {branch.address: self.of(branch) for branch in branches}
        end = time.monotonic() + _MOMENT
        while time.monotonic() < end and not all(measure.is_complete for measure in found.values()):
            time.sleep(_MOMENT / 10)
        return found

    def forget(self) -> None:
        """Count again: an entry was changed here."""
        with self._lock:
            self._measures.clear()

    def outdate(self) -> None:
        """Count again what is counted quickly: another process has changed entries."""
        with self._lock:
            for base in [base for base, found in self._measures.items() if found.is_complete and found.took < _QUICK]:
                del self._measures[base]
