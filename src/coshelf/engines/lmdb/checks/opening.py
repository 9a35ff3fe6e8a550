"""What an opener checks before LMDB maps the file, and what the last closer notes for it. docs/design.md, "Damage".

The caller of each function is a process that is alone with the file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TypeVar

import lmdb

from coshelf import records
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.pages.closing_stamp import (
    Changes,
    changes_since_closing,
    make_stamp,
    read_stamp,
    write_stamp,
)
from coshelf.engines.lmdb.pages.header import Meta, in_order, missing_bytes, newest_of, read_metas, wrong_with
from coshelf.engines.lmdb.pages.layout import children, nodes_of, overflow_length
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.pages.structure import first_problem, is_marked
from coshelf.engines.lmdb.shelf_row import ROW_KEY
from coshelf.errors import DamagedShelf
from coshelf.system.files.descriptors import name_to_open

__all__ = ["check_short_file", "find_damage", "refuse_malformed", "stamp"]

_T = TypeVar("_T")

_HINT = "\n  hint: restore it from a copy; it has not been changed"


# --- at opening ------------------------------------------------------------------------------------------------------


def check_short_file(descriptor: int, path: str, metas: list[Meta] | None = None) -> None:
    """Raise :class:`DamagedShelf` if pages that are in use lie behind the end of a file that is short.

    LMDB counts pages that a commit took and gave back unwritten. So a file whose last process died right after such a
    commit may be short and whole. Only for a short file, this looks at all pages.
    """
    short = missing_bytes(descriptor, path, metas)
    if short and first_problem(descriptor, path) is not None:
        size = os.fstat(descriptor).st_size
        raise DamagedShelf(f"{path} is truncated: it has {size} bytes and needs {size + short}")


def refuse_malformed(descriptor: int, path: str, metas: list[Meta], rows: dict[bytes, bytes]) -> bool:
    """Raise :class:`DamagedShelf` for a file at which LMDB could fail, unless it bears this user's mark.

    A stamp shows accidents, but not intent: a user who makes a file can give it a stamp that fits. So this looks at all
    pages. That takes some 10 ms for a megabyte of small entries, and nearly nothing for large values. ``metas`` are the
    file's headers, and ``rows`` its first rows. Returns whether it bears the mark.
    """
    problem = wrong_with(metas)
    if problem is None:
        meta = newest_of(metas)
        pages = Pages(descriptor, meta.page_size)
        if meta.last_page * meta.page_size <= pages.length and is_marked(pages, rows, path):
            return True
        found = first_problem(descriptor, path)
        problem = None if found is None else str(found)
    if problem is not None:
        raise DamagedShelf(
            f"{path} is damaged, or was made to look so: {problem}\n"
            "  hint: coshelf.check(path) lists all problems; coshelf.salvage(path, new) copies what is readable"
        )
    return False


def find_damage(descriptor: int, path: str, metas: list[Meta]) -> bool:
    """Whether records or their keys are damaged. The rest of the file is as it was when the shelf was closed.

    Raises :class:`DamagedShelf` if more than records changed. If the shelf was not closed properly, this looks at the
    headers alone: LMDB would follow the wrong one. ``metas`` are its headers.
    """
    wrong = wrong_with(metas)
    if wrong is not None:
        raise DamagedShelf(f"{path} is damaged: {wrong}{_HINT}")
    older, meta = in_order(metas)
    changes = changes_since_closing(descriptor, older, meta)
    if changes is None:
        return False
    if changes.is_older:
        raise DamagedShelf(f"{path} is damaged: a header page is not the one that was written last{_HINT}")
    if not changes.is_of_each_page:
        if changes.inner or changes.header:
            raise DamagedShelf(f"{path} is damaged: pages that lead to its entries are not what they were{_HINT}")
        return changes.had_damage
    if not (changes.header or changes.pages or changes.had_damage):
        return False
    return _find_damaged_records(descriptor, path, meta, changes)


def _find_damaged_records(descriptor: int, path: str, meta: Meta, changes: Changes) -> bool:
    """Whether only damaged records have changed. This takes some 10 ms for a megabyte, and is rare."""
    problem = first_problem(descriptor, path)
    if problem is not None:
        raise DamagedShelf(f"{path} is damaged: {problem}{_HINT}")
    if changes.header:
        raise DamagedShelf(f"{path} is damaged: a header page is not what it was when the shelf was closed{_HINT}")
    damaged = set(_damaged_rows(descriptor, path))
    explained: set[int] = set()
    in_use: set[int] = set()
    for page, row in _pages_in_use(descriptor, meta):
        in_use.add(page)
        if row in damaged:
            explained.add(page)
    for page in sorted(changes.pages & in_use - explained):
        raise DamagedShelf(
            f"{path} is damaged: page {page} is not what it was when the shelf was closed, perhaps an older state of "
            f"it{_HINT}"
        )
    return bool(damaged)


def _damaged_rows(descriptor: int, path: str) -> Iterator[bytes]:
    """The rows whose records are not what was stored under their keys. Only if the pages are sound."""
    with (
        translated(path, "read"),
        contextlib.closing(
            lmdb.open(
                os.fsencode(name_to_open(descriptor, path)),
                subdir=False,
                readonly=True,
                lock=False,
                create=False,
                lib_version=0,
            )
        ) as environment,
        environment.begin() as transaction,
    ):
        for key, record in long_keys.everything(transaction):
            if key != ROW_KEY and not records.is_intact(key, record):
                yield long_keys.physical(key)


def _pages_in_use(descriptor: int, meta: Meta) -> Iterator[tuple[int, bytes]]:
    """The pages in use, each with the rows on it, if it has any. Only if the pages are sound."""
    pages = Pages(descriptor, meta.page_size)
    for root, depth in ((meta.free_root, meta.free_depth), (meta.main_root, meta.main_depth)):
        level = [root] if depth else []
        for _ in range(depth - 1):
            yield from ((number, b"") for number in level)
            level = [child for number in level for child in children(_sound(pages.read(number)))]
        for number in level:
            yield number, b""
            for node in map(_sound, nodes_of(number, _sound(pages.read(number)))):
                yield number, node.key
                if node.value is None:
                    count = overflow_length(_sound(pages.read(node.first)))
                    yield from ((each, node.key) for each in range(node.first, node.first + count))


def _sound(found: _T | None) -> _T:
    assert found is not None, "only where pages are sound"
    return found


# --- at closing ------------------------------------------------------------------------------------------------------


def stamp(descriptor: int, path: str, *, has_damage: bool, unchanged: int | None) -> None:
    """Write the closing stamp. The caller is alone with the file, and about to close it.

    It does nothing if the file has this stamp, or if the newest transaction is still the one that is ``unchanged``.
    """
    metas = in_order(read_metas(descriptor, path))
    if len(metas) < 2:  # cut or overwritten while it was open
        return
    older, meta = metas
    last = read_stamp(descriptor, meta.page_size)
    if meta.transaction == unchanged or (last is not None and last.transaction >= meta.transaction):
        return
    with contextlib.suppress(OSError):  # then there is no stamp, and the shelf itself is as whole as before
        made = make_stamp(descriptor, meta, older, has_damage=has_damage)
        if made is not None:
            write_stamp(descriptor, meta.page_size, made)
