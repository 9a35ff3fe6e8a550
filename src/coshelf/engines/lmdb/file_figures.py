"""The figures of an open shelf at this moment: its files, readers and locks."""

from __future__ import annotations

import os
import time

from coshelf import records
from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.order import state_in
from coshelf.engines.lmdb.pages.header import Meta, read_metas
from coshelf.engines.lmdb.pages.page_walk import TreeWalk, free_pages
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.shelf_row import BOUNDED, ROW_KEY, unpack_row
from coshelf.inspection.reports import Figures, FileReader

__all__ = ["figures_of"]


def figures_of(environment: Environment) -> Figures:
    """The figures of a shelf. Those of readers and delta are left out for a user without rights to the sidecars."""
    with environment.inside():
        figures = Figures(os.fstat(environment.files.descriptor).st_size)
        with environment.base.begin() as transaction:
            row = unpack_row(transaction.get(ROW_KEY), environment.path)
            figures.sequence = row.sequence
            figures.created = row.created / 1e9
            _count_pages(environment, transaction.id(), figures)
            newest = transaction.id()
            if row.writer_features & BOUNDED:
                figures.counted_bytes, figures.evictions, _ = state_in(transaction, environment.path)
        figures.blobs, figures.blob_bytes = environment.blobs.usage()
        uses = environment.current_uses()
        if uses is not None:
            figures.hits, figures.misses = uses.figures()
        if environment.registered:
            figures.readers = _readers(environment, newest)
            ages = [time.monotonic() - since for since in environment.read_since()]
            figures.oldest_snapshot = max(ages, default=None)
            holder = environment.page.holder()
            if holder is not None:
                figures.holder_pid, figures.holder_since, figures.holder_command = holder
        if environment.is_delta_made:
            _look_at_delta(environment, row.sequence, figures)
    return figures


def _count_pages(environment: Environment, transaction: int, figures: Figures) -> None:
    descriptor = environment.files.descriptor
    for meta in read_metas(descriptor, environment.path):
        if meta.transaction == transaction:
            figures.page_size = meta.page_size
            figures.pages = meta.last_page + 1
            figures.free_pages = _count_free(Pages(descriptor, meta.page_size), meta)


def _count_free(pages: Pages, meta: Meta) -> int:
    walk = TreeWalk(pages, meta.last_page, bytearray(meta.last_page + 1), lambda *_: None)
    return sum(1 for _ in free_pages(walk, pages, meta))


def _readers(environment: Environment, newest: int) -> list[FileReader]:
    """The processes that have read from the shelf, and how old the state is that each is reading now."""
    found = [
        FileReader(pid, None if transaction is None else newest - transaction)
        for pid, transaction in environment.base.readers()
    ]
    return sorted(found, key=lambda reader: (-(reader.behind or 0), reader.pid))


def _look_at_delta(environment: Environment, flushed: int, figures: Figures) -> None:
    delta = environment.current_delta()
    figures.generation = delta.identity.generation
    waiting = [row for row in delta.everything() if records.version(row[1]) > flushed]
    figures.sequence = max([flushed, *(records.version(record) for _, record in waiting)])
    figures.waiting_entries = len(waiting)
    figures.waiting_bytes = sum(len(key) + len(record) for key, record in waiting)
    figures.waiting_deletions = sum(is_deletion(record) for _, record in waiting)
