"""The report of a transfer: what happened to each entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coshelf.inspection.tables import Table, Tabular, facts, first_rows

__all__ = ["Left", "TransferProgress", "TransferReport"]

TransferProgress = Callable[[int, int | None], object]
"""Called from time to time with the number of entries done, and of all entries, if that is known."""


@dataclass(frozen=True, slots=True)
class Left:
    """An entry that was not moved.

    Attributes:
        key: the key, as text.
        reason: the reason, in a sentence.
    """

    key: str
    reason: str


@dataclass(slots=True)
class TransferReport(Tabular):
    """The result of a transfer. After a dry run, what it would have done.

    Attributes:
        kind: the kind of the other side: "dbm.gnu", "pickleshare", "json lines", ...
        done: the number of entries that were moved.
        unchanged: the number of entries that existed already, with the same value.
        skipped: entries that were not moved, but would be with an option, and entries that have expired.
        failed: entries that cannot be moved.
    """

    kind: str
    done: int = 0
    unchanged: int = 0
    skipped: list[Left] = field(default_factory=list)
    failed: list[Left] = field(default_factory=list)

    def is_complete(self) -> bool:
        """Whether no entry was skipped or failed."""
        return not self.skipped and not self.failed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        left = {
            name: [{"key": each.key, "reason": each.reason} for each in of]
            for name, of in (("skipped", self.skipped), ("failed", self.failed))
        }
        return {"kind": self.kind, "done": self.done, "unchanged": self.unchanged, **left}

    def _tables(self) -> tuple[Table, ...]:
        counts = [("skipped", len(self.skipped) or None), ("failed", len(self.failed) or None)]
        left = [("skipped", each.key, each.reason) for each in self.skipped]
        left += [("failed", each.key, each.reason) for each in self.failed]
        rows = [("kind", self.kind), ("done", self.done), ("unchanged", self.unchanged), *self._more_facts(), *counts]
        return facts(rows), *first_rows(("", "key", "reason"), left)

    def _more_facts(self) -> list[tuple[str, Any]]:
        return []
