"""Checks and reads a delta that was left beside a shelf, without LMDB.

A user who copies or unpacks a folder owns all files in it, the state page and the delta included. An opener takes
sizes, numbers of commits and rows of the shelf from the two. So it first compares them with the files, unless this
user made the shelf. A salvage reads a delta in the same way. docs/format.md has the layout.
"""

from __future__ import annotations

import os
import struct
from itertools import chain
from typing import NamedTuple

from coshelf import records
from coshelf.engines.lmdb.delta.left_log import read_left_log, wrong_with_log
from coshelf.engines.lmdb.delta.state import LOG, MAPPED, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.delta.whole_rows import is_possible_key, is_sealed
from coshelf.engines.lmdb.files.sidecar_directory import delta_path
from coshelf.engines.lmdb.long_keys import CHUNK
from coshelf.engines.lmdb.pages.header import Meta, newest_of, read_metas, wrong_with
from coshelf.engines.lmdb.pages.layout import Node
from coshelf.engines.lmdb.pages.page_walk import TreeWalk
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.pages.structure import first_problem, is_own
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.errors import CoshelfError, DamagedShelf
from coshelf.system.files.flags import ASIDE

__all__ = ["DeltaRows", "read_delta", "refuse_malformed_delta"]

_LARGEST_MAP = 1 << 32
_LARGEST_NUMBER = 1 << 62
_MOST_GENERATIONS = 1 << 31
_BLOCK = 512  # bytes: the unit in which the system gives a file's size on the disk
_NUMBER = b"\x00number"
_LONG = b"\x02"
_LENGTH = struct.Struct("<I")


class DeltaRows(NamedTuple):
    """What could be read of a delta.

    Attributes:
        newer: the whole rows that are newer than the base, by key; deletions are among them.
        damaged: the keys of rows that are not whole, as far as they can be read, each with its page.
        problems: pages that are not what they should be, with what is wrong.
        is_complete: whether all rows could be found, whole or not.
    """

    newer: dict[bytes, bytes]
    damaged: list[tuple[int, bytes]]
    problems: list[tuple[int, str]]
    is_complete: bool


def read_delta(descriptor: int, name: str, row: ShelfRow, state: DeltaState) -> DeltaRows:
    """The rows of a delta that belongs to this shelf, as far as they are whole.

    Raises :class:`DamagedShelf` if its headers, or the numbers in the state page, are not possible.
    """
    if state.identity().kind == LOG:
        return DeltaRows._make(read_left_log(descriptor, name, row, state))
    meta, wrong = _newest_header(descriptor, name, row, state)
    if meta is None:
        raise DamagedShelf(f"{name} is damaged: {wrong}")
    pages = Pages(descriptor, meta.page_size)
    last = state.identity().offset + meta.transaction
    newer: dict[bytes, bytes] = {}
    damaged: list[tuple[int, bytes]] = []
    problems: list[tuple[int, str]] = []
    seen = bytearray(meta.last_page + 1)
    walk = TreeWalk(pages, meta.last_page, seen, lambda page, message: problems.append((page, message)))
    for node in chain.from_iterable(walk.leaves(meta.main_root, meta.main_depth)):
        if node.key == _NUMBER:
            continue
        key, record = _entry(node.key, pages.value(node))
        if not _is_whole(node, key, record, last):
            damaged.append((node.page, key))
        elif records.version(record) > row.sequence:
            newer[key] = record
    return DeltaRows(newer, damaged, problems, not walk.lost)


def refuse_malformed_delta(descriptor: int, path: str, row: ShelfRow, state: DeltaState) -> None:
    """Raise :class:`DamagedShelf` if LMDB or coshelf could fail at a left delta, unless the shelf is this user's.

    The caller is alone with the shelf. The state page may say wrongly that the delta is clean. Then some readers would
    see its rows and others would not, so this marks it as dirty.
    """
    meta = newest_of(read_metas(descriptor, path))
    if is_own(Pages(descriptor, meta.page_size), meta, path):
        return
    name = delta_path(path, state.identity().generation)
    try:
        opened = os.open(name, os.O_RDONLY | ASIDE)
    except OSError as error:
        raise DamagedShelf(f"{name} cannot be looked at: {error.strerror}") from error
    try:
        wrong = _wrong_with(opened, name, row, state)
    except CoshelfError as error:
        wrong = str(error)
    finally:
        os.close(opened)
    if wrong is not None:
        raise DamagedShelf(
            f"{name}, which holds the last commits to {path}, is damaged, or was made to look so: {wrong}\n"
            "  hint: if you can do without those commits, delete this file; the shelf opens without it"
        )

    state.mark_dirty()


def _wrong_with(descriptor: int, name: str, row: ShelfRow, state: DeltaState) -> str | None:
    if state.identity().kind == LOG:
        return wrong_with_log(descriptor, name, row, state)
    meta, wrong = _newest_header(descriptor, name, row, state)
    if meta is None:
        return wrong
    problem = first_problem(descriptor, name)
    if problem is not None:
        return str(problem)
    return _wrong_rows(Pages(descriptor, meta.page_size), meta, state.identity().offset + meta.transaction)


def _newest_header(
    descriptor: int, name: str, row: ShelfRow, state: DeltaState
) -> tuple[Meta, None] | tuple[None, str]:
    """The header of the delta's last commit, or why it is not possible."""
    metas = read_metas(descriptor, name)
    wrong = wrong_with(metas)
    if wrong is not None:
        return None, wrong
    meta = newest_of(metas)
    wrong = _wrong_numbers(os.fstat(descriptor), meta, row, state.identity(), state.allocated)
    return (meta, None) if wrong is None else (None, wrong)


def _wrong_numbers(
    information: os.stat_result, meta: Meta, row: ShelfRow, identity: DeltaIdentity, allocated: int
) -> str | None:
    """The first number in the state page that is not possible for this file and this shelf."""
    if identity.map_size % meta.page_size or not meta.last_page * meta.page_size < identity.map_size <= _LARGEST_MAP:
        return f"its state page names a map of {identity.map_size} bytes for {meta.last_page + 1} pages"
    if not 0 <= identity.generation < _MOST_GENERATIONS:
        return f"its state page says that it is the delta number {identity.generation}"
    last = identity.offset + meta.transaction
    if not row.sequence <= last < _LARGEST_NUMBER or identity.offset <= -_LARGEST_NUMBER:
        return f"its last commit has the number {last}, and that of the shelf is {row.sequence}"
    if identity.kind == MAPPED and not allocated <= min(identity.map_size, information.st_blocks * _BLOCK):
        return f"its state page counts {allocated} bytes on the disk, and there are {information.st_blocks * _BLOCK}"
    return None


def _wrong_rows(pages: Pages, meta: Meta, last: int) -> str | None:
    """The first row that no commit up to the last one wrote. The tree itself is sound."""
    walk = TreeWalk(pages, meta.last_page, bytearray(meta.last_page + 1), lambda *_: None)
    for node in chain.from_iterable(walk.leaves(meta.main_root, meta.main_depth)):
        key, record = _entry(node.key, pages.value(node))
        if not _is_whole(node, key, record, last):
            return f"page {node.page} has a row that no commit up to number {last} wrote"
    return None


def _entry(row: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The key and the record of a row."""
    if row == _NUMBER:
        return b"", value
    if not row.startswith(_LONG) or len(value) < _LENGTH.size:
        return row, value
    end = _LENGTH.size + _LENGTH.unpack_from(value)[0]
    return value[_LENGTH.size : end], value[end:]


def _is_whole(node: Node, key: bytes, record: bytes, last: int) -> bool:
    """Whether a row is one that a commit up to the last one wrote."""
    return _is_possible(node, key) and is_sealed(key, record) and records.version(record) <= last


def _is_possible(node: Node, key: bytes) -> bool:
    """Whether it is a possible key in the place for its length, or a row that only uses up a number."""
    if node.key == _NUMBER:
        return True
    return (len(key) > CHUNK) == node.key.startswith(_LONG) and is_possible_key(key)
