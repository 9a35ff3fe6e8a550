"""Whether what a scan finds can be true: what damage does to the pages of an open shelf often shows here.

Rows come in order, and a scan of everything meets as many as the shelf counts. Both are nearly free to look at, where
checking each page is not.
"""

from __future__ import annotations

import operator
from itertools import islice
from typing import Any

from coshelf.errors import DamagedShelf

__all__ = ["ScanCheck"]

# Rows looked at are this far apart: a page that is in another's place has more than that, unless values are large.
_STEP = 8


class ScanCheck:
    """The pages of one scan, each of keys, or of rows, which compare as their keys do."""

    def __init__(self, path: str, *, reverse: bool) -> None:
        self._path = path
        self._follows = operator.gt if reverse else operator.lt
        self._last: list[Any] = []
        self._seen = 0

    def see(self, page: list[Any]) -> None:
        """Raise :class:`DamagedShelf` if a page is not in order, or does not follow those before it."""
        looked_at = [*self._last, *page[::_STEP]]
        if not all(map(self._follows, looked_at, islice(looked_at, 1, None))):
            raise DamagedShelf(f"{self._path} is damaged: its entries are not in order\n  hint: restore it from a copy")
        self._last = page[-1:]
        self._seen += len(page)

    def end(self, counted: int) -> None:
        """Raise :class:`DamagedShelf` if a scan of everything has not seen as many entries as are counted."""
        if self._seen != counted:
            raise DamagedShelf(
                f"{self._path} is damaged: it counts {counted} entries, and {self._seen} can be found\n"
                "  hint: restore it from a copy"
            )
