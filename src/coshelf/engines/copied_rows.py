"""The rows of a copy of a shelf: all that a snapshot of any engine shows, verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from coshelf import records
from coshelf.contract import Snapshot
from coshelf.errors import DamagedRecord
from coshelf.inspection.reports import Progress, shown_key, user_key
from coshelf.keys import FIRST, LAST
from coshelf.trust import marks

__all__ = ["Page", "copied_rows", "refuse_damage"]

Page = list[tuple[bytes, bytes]]
"""Keys and records."""


def copied_rows(
    snapshot: Snapshot,
    source: str,
    progress: Progress | None,
    number: int,
    is_left_out: Callable[[bytes], bool] = lambda _: False,
) -> Iterator[Page]:
    """All rows of a copy, in order. Raises :class:`DamagedRecord` for a record that is damaged.

    Args:
        snapshot: what is copied.
        source: the name of the shelf.
        progress: is told how many entries are done.
        number: if it is not 0, the records are sealed anew as those of the commit with this number.
        is_left_out: tells the rows of coshelf's own that the copy does not take over.
    """
    yield _sealed(
        [row for row in snapshot.reserved() if row[0] != marks.ROW_KEY and not is_left_out(row[0])], source, number
    )
    total = snapshot.count(FIRST, LAST) if progress is not None else 0
    done = 0
    for page in snapshot.pages(FIRST, LAST):
        yield _sealed(page, source, number)
        done += len(page)
        if progress is not None:
            progress(done, total)
    if progress is not None and not done:
        progress(0, 0)


def _sealed(page: Page, source: str, number: int) -> Page:
    refuse_damage(page, source)
    if not number:
        return page
    bodies = [(key, record[: -records.TRAILER]) for key, record in page]
    return [(key, records.seal(body, records.checksum(key, body), number)) for key, body in bodies]


def refuse_damage(page: list[tuple[bytes, bytes]], path: str) -> None:
    """Raise :class:`DamagedRecord` for a damaged record. In a copy it would look whole."""
    for key, record in page:
        if not records.is_intact(key, record):
            raise DamagedRecord(
                f"the record for key {shown_key(key)} in {path} is damaged, so no copy was made\n"
                "  hint: delete or overwrite this entry, or take what is whole to a new shelf: "
                "coshelf.salvage(path, new)",
                user_key(key),
            )
