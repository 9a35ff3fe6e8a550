"""Decides for each commit to the base whether changes are kept with it, and which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coshelf.engines.lmdb.base_writer import BaseWriter
from coshelf.engines.lmdb.watching.history import HistoryWriter, is_of_history, marker_in

if TYPE_CHECKING:
    from coshelf.engines.lmdb.delta.delta import Delta
    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["begin_history", "note_era", "without_history"]

Row = tuple[bytes, bytes]


def begin_history(
    files: OpenFiles, writer: BaseWriter, delta: Delta | None, *, may_end: bool = True
) -> HistoryWriter | None:
    """Have a write transaction of the base keep changes, if somebody watches, or remove those that are kept no longer.

    It is called under the delta's write lock if the delta is a table, and after its segment was chosen if it is a log.
    ``may_end`` is that of :meth:`WatchState.look`.
    """
    watch = files.page.watch
    if not watch.is_on and not watch.is_kept:
        return None
    watching = watch.look(may_end=may_end)
    complete = 0 if delta is None else delta.told_after()
    return writer.begin_history(watch, watching, complete)


def without_history(rows: list[Row], history: HistoryWriter | None, delta: Delta, flushed: int, last: int) -> list[Row]:
    """Give the changes of the delta's commits, up to the number ``last``, to the history. Return the other rows.

    ``flushed`` is the number up to which the base has every commit.
    """
    told = [row for row in rows if is_of_history(row[0])] if delta.keeps_changes_in_rows else []
    if history is not None and history.is_on:
        if delta.keeps_changes_in_rows:
            history.take(told)
        else:
            history.write(commit for commit in delta.commits(flushed).commits if commit.number <= last)
    return [row for row in rows if not is_of_history(row[0])] if told else rows


def note_era(files: OpenFiles) -> None:
    """Before the shelf is closed: have the base know the era, so that positions of now can be recognised later.

    The caller is inside, and may write. The delta is flushed.
    """
    watch = files.page.watch
    if not watch.is_on:
        return
    with files.base.begin() as reading:
        marker = marker_in(reading)
        if marker is not None and marker.eras[-1][0] == watch.era and marker.last == files.flushed_by(reading):
            return
    with files.base.writing() as transaction:
        writer = BaseWriter(files.base, transaction)
        if begin_history(files, writer, None, may_end=False) is None:
            return
        writer.finish(writer.row.sequence)
        transaction.commit()
    files.base.complete()
