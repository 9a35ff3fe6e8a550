"""What became of each entry that was to be moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Left", "TransferProgress", "TransferReport"]

TransferProgress = Callable[[int, int | None], object]
"""Called now and then with the entries done, and how many there are in all, if that is known."""


@dataclass(frozen=True, slots=True)
class Left:
    """An entry that was not moved.

    Attributes:
        key: as people read it.
        reason: why, in a sentence.
    """

    key: str
    reason: str


@dataclass(slots=True)
class TransferReport:
    """What a transfer did, or in a dry run would have done.

    Attributes:
        kind: what the other side was taken for: "dbm.gnu", "pickleshare", "json lines", ...
        done: entries that were moved.
        unchanged: entries that were there already, with the same value.
        skipped: entries that were left for a reason that an option takes away, or that have run out.
        failed: entries that cannot be moved.
    """

    kind: str
    done: int = 0
    unchanged: int = 0
    skipped: list[Left] = field(default_factory=list)
    failed: list[Left] = field(default_factory=list)

    def is_complete(self) -> bool:
        """Whether nothing was left behind."""
        return not self.skipped and not self.failed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        left = {
            name: [{"key": each.key, "reason": each.reason} for each in of]
            for name, of in (("skipped", self.skipped), ("failed", self.failed))
        }
        return {"kind": self.kind, "done": self.done, "unchanged": self.unchanged, **left}
