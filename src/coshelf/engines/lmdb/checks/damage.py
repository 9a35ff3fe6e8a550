"""Damage to a closed shelf, found before LMDB maps it. docs/design.md, "Damage"."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator

import lmdb

from coshelf import records
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.pages.closing_stamp import ALL, Stamp, make_stamp, read_stamp, take_checksums, write_stamp
from coshelf.engines.lmdb.pages.header import Meta, read_metas, wrong_with
from coshelf.engines.lmdb.pages.inner_pages import children, nodes, overflow
from coshelf.engines.lmdb.pages.structure import first_problem
from coshelf.engines.lmdb.shelf_row import ROW_KEY
from coshelf.errors import DamagedShelf
from coshelf.keys import FIRST

__all__ = ["find_damage", "is_older", "refuse_absence", "stamp", "visibly_damaged"]

_HINT = "\n  hint: restore it from a copy; it has not been changed"


def stamp(descriptor: int, path: str, *, has_damage: bool, unchanged: int | None) -> None:
    """Note what the pages are. Only by who is alone with the file, and about to close it.

    Unless that is noted, or the newest transaction is still the one that is ``unchanged``.
    """
    metas = _in_order(descriptor, path)
    if len(metas) < 2:  # cut or overwritten while it was open
        return
    older, meta = metas
    last = read_stamp(descriptor, meta.page_size)
    if meta.transaction == unchanged or (last is not None and last.transaction >= meta.transaction):
        return
    with contextlib.suppress(OSError):  # no stamp, then: the shelf itself is as whole as it was
        made = make_stamp(descriptor, meta, older, has_damage=has_damage)
        if made is not None:
            write_stamp(descriptor, meta.page_size, made)


def find_damage(descriptor: int, path: str, metas: list[Meta]) -> bool:
    """Whether records are damaged, or their keys; the rest is as it was when it was closed. Only by who is alone.

    Raises :class:`DamagedShelf` if more than records changed. In what was not closed properly only the headers are
    looked at: LMDB would follow the wrong one. ``metas`` are its headers.
    """
    wrong = wrong_with(metas)
    if wrong is not None:
        raise DamagedShelf(f"{path} is damaged: {wrong}{_HINT}")
    older, meta = sorted(metas, key=lambda meta: meta.transaction)
    known = read_stamp(descriptor, meta.page_size)
    if known is None:
        return False
    if is_older(known, older, meta):
        raise DamagedShelf(f"{path} is damaged: a header page is not the one that was written last{_HINT}")
    if known.transaction < meta.transaction:
        return False
    found = take_checksums(descriptor, meta, known.kind)
    if found == known.checksums and not known.has_damage:
        return False
    if known.kind != ALL:
        if found == known.checksums:
            return True
        raise DamagedShelf(f"{path} is damaged: pages that lead to its entries are not what they were{_HINT}")
    return _find_damaged_records(descriptor, path, meta, known, found or ())


def visibly_damaged(key: bytes, record: bytes) -> bytes:
    """A record, cut to what no reader takes for one if it is damaged: large ones are not verified by who reads them."""
    if len(record) <= records.VERIFIED_ON_READ or records.is_intact(key, record):
        return record
    return record[-records.TRAILER :]


def refuse_absence(key: bytes, path: str) -> None:
    """Raise :class:`DamagedShelf`: in a shelf with damaged records none of the user's keys is known to be absent."""
    if key >= FIRST:
        raise DamagedShelf(
            f"{path} has damaged records: this key is not found, but may be that of one of them\n"
            "  hint: read all items to find those, and delete or overwrite them; then open the shelf again"
        )


def _in_order(descriptor: int, path: str) -> list[Meta]:
    """The older header and the newer one."""
    return sorted(read_metas(descriptor, path), key=lambda meta: meta.transaction)


def is_older(known: Stamp, older: Meta, newer: Meta) -> bool:
    """Whether the headers are not those of the stamped transaction, nor of a later one.

    Transactions have successive numbers, and one never has the root page of the last but one, whose pages it must not
    use again.
    """
    if newer.transaction < known.transaction or newer.transaction != older.transaction + 1:
        return True
    return newer.transaction == known.transaction + 1 and newer.main_root == known.older_root


def _find_damaged_records(descriptor: int, path: str, meta: Meta, known: Stamp, found: tuple[int, ...]) -> bool:
    """Whether damaged records are all there is. This takes long, some 10 ms a megabyte, and is rare."""
    problem = first_problem(descriptor, path)
    if problem is not None:
        raise DamagedShelf(f"{path} is damaged: {problem}{_HINT}")
    damaged = set(_damaged_rows(descriptor, path))
    changed = {page for page, (was, now) in enumerate(zip(known.checksums, found, strict=False), 1) if was != now}
    if found[0] != known.checksums[0]:
        raise DamagedShelf(f"{path} is damaged: a header page is not what it was when the shelf was closed{_HINT}")
    explained: set[int] = set()
    in_use: set[int] = set()
    for page, row in _pages_in_use(descriptor, meta):
        in_use.add(page)
        if row in damaged:
            explained.add(page)
    for page in sorted(changed & in_use - explained):
        raise DamagedShelf(
            f"{path} is damaged: page {page} is not what it was when the shelf was closed, perhaps an older state of "
            f"it{_HINT}"
        )
    return bool(damaged)


def _damaged_rows(descriptor: int, path: str) -> Iterator[bytes]:
    """The rows whose records are not what was stored under their keys. Only where the pages are sound."""
    opened = f"/proc/self/fd/{descriptor}"
    with (
        translated(path, "read"),
        contextlib.closing(
            lmdb.open(
                os.fsencode(opened if os.path.exists(opened) else path),
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
    """The pages in use, each with the rows on it, or none. Only where they are sound."""

    def read(number: int) -> bytes:
        return os.pread(descriptor, meta.page_size, number * meta.page_size)

    for root, depth in ((meta.free_root, meta.free_depth), (meta.main_root, meta.main_depth)):
        level = [root] if depth else []
        for _ in range(depth - 1):
            yield from ((number, b"") for number in level)
            level = [child for number in level for child in children(read(number))]
        for number in level:
            page = read(number)
            yield number, b""
            for node in nodes(page):
                length = struct.unpack_from("<H", page, node + 6)[0]
                row = page[node + 8 : node + 8 + length]
                yield number, row
                first = overflow(page, node)
                if first is not None:
                    count = struct.unpack_from("<I", read(first), 12)[0]
                    yield from ((each, row) for each in range(first, first + count))
