"""``Cache.check``: compares the rows, indexes, counts and files of a cache, and repairs them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from coshelf.dropin.diskcache import indexes
from coshelf.dropin.diskcache.checking_files import empty_directories, size_of, unknown_files
from coshelf.dropin.diskcache.layout import (
    ACCESS_COUNTS,
    ACCESS_TIMES,
    ENTRIES,
    EXPIRE_TIME,
    EXPIRY,
    FILENAME,
    HINTS,
    ORDER,
    PICKLED,
    POLICY,
    ROWID,
    SIZE,
    STORE_TIME,
    TAG,
    TAGS,
    TOTALS,
    VALUE,
    Row,
    encode_key,
    footprint,
)
from coshelf.dropin.diskcache.names import EmptyDirWarning, UnknownFileWarning
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.store import Store
from coshelf.errors import DamagedRecord, UnreadableValue
from coshelf.mapping.namespace import Namespace

__all__ = ["check"]

Warnings = list[warnings.WarningMessage]


def check(store: Store, directory: str, *, fix: bool, retry: bool) -> Warnings:
    """All that is wrong with a cache. Raises Timeout."""
    damage = [str(problem) for problem in store.shelf.check().problems]

    def step(rows: Rows) -> Warnings:
        found = _Check(rows, directory, fix=fix)
        for problem in damage:
            found.warn(problem)
        if damage:
            found.remove_unreadable()
        else:
            found.run()
        return found.warnings

    return store.step(step, retry, locked=True)


class _Check:
    """A check in a transaction, for which other writers wait."""

    def __init__(self, rows: Rows, directory: str, *, fix: bool) -> None:
        self.warnings: Warnings = []
        self._rows = rows
        self._directory = directory
        self._fix = fix
        self._has_tags, self._column = indexes.NO_INDEXES
        self._order: dict[bytes, tuple[bytes, Any]] = {}  # the key of each row in the order, to its own and its value
        self._expiry: set[bytes] = set()
        self._tags: set[bytes] = set()
        self._policy: set[bytes] = set()
        self._files: set[str] = set()
        self._count = self._size = self._volume = self._last = 0

    def warn(self, text: str, category: type[Warning] = UserWarning) -> None:
        self.warnings.append(warnings.WarningMessage(category(text), category, __file__, 0))

    def run(self) -> None:
        self._has_tags, self._column = indexes.existing(self._rows)
        for encoded, key, raw in self._keys():
            row = self._read(encoded)
            if row is None and self._fix:
                self._rows.delete(encoded)
            elif row is not None:
                self._note(encoded, key, raw, row)
        self._compare_order()
        self._compare("times", EXPIRY, self._expiry)
        self._compare("tags", TAGS, self._tags)
        self._compare("the policy", POLICY, self._policy)
        if self._fix:
            self._forget_notes()
        self._compare_totals()
        self._compare_files()

    def remove_unreadable(self) -> None:
        """Of a damaged shelf, remove the rows that cannot be read. The rest can be told when it is opened again."""
        for encoded, _, _ in self._keys():
            if self._read(encoded) is None and self._fix:
                self._rows.delete(encoded)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _keys(self) -> Iterator[tuple[bytes, Any, bool]]:
        for namespace, raw in ((ENTRIES, True), (PICKLED, False)):
            for start, stop in namespace.ranges:
                for encoded in self._rows.keys(start, stop):
                    yield encoded, namespace.decode(encoded), raw

    def _read(self, encoded: bytes) -> Row | None:
        """A row, if it is whole and its file exists. The size of its file is corrected."""
        try:
            row: Row | None = self._rows.get(encoded)
        except (DamagedRecord, UnreadableValue) as error:
            self.warn(str(error))
            return None
        if type(row) is not tuple or len(row) != VALUE + 1 or type(row[ROWID]) is not int:
            self.warn(f"an entry is not a row of a cache: {row!r:.100}")
            return None
        return row if row[FILENAME] is None else self._with_its_file(encoded, row, row[FILENAME])

    def _with_its_file(self, encoded: bytes, row: Row, filename: str) -> Row | None:
        path, size = size_of(self._directory, filename)
        if size is None:
            self.warn(f"file not found: {path}")
            return None
        self._files.add(path)
        if size != row[SIZE]:
            self.warn(f"wrong file size: {path}, {size} != {row[SIZE]}")
            if self._fix:
                row = (*row[:SIZE], size, *row[SIZE + 1 :])
                self._rows.put(encoded, row)
        return row

    def _note(self, encoded: bytes, key: Any, raw: bool, row: Row) -> None:
        """Note what the indexes and counts must have of a row."""
        in_order = ORDER.encode(row[ROWID])
        if in_order in self._order:
            self.warn(f"two entries have the number {row[ROWID]}: {key!r:.100} is one of them")
            if self._fix:
                self._rows.delete(encoded)
            return
        self._order[in_order] = encoded, (raw, key)
        if row[EXPIRE_TIME] is not None:
            self._expiry.add(EXPIRY.encode((row[EXPIRE_TIME], row[ROWID])))
        if self._has_tags and indexes.has_tag(row):
            self._tags.add(indexes.tag_key(row[TAG], row[ROWID]))
        if self._column is not None:
            self._policy.add(indexes.key_in_policy(self._rows, self._column, row[ROWID], row[STORE_TIME]))
        self._count += 1
        self._size += row[SIZE]
        self._volume += footprint(key, row)
        self._last = max(self._last, row[ROWID])

    # --- what is kept of them ----------------------------------------------------------------------------------------

    def _compare_order(self) -> None:
        found = self._keys_of(ORDER)
        wrong = [key for key in self._order if key not in found or not self._is_in_order(key)]
        for key in wrong:
            value = self._order[key][1]
            self.warn(f"the order of insertion has no place for the entry {value[1]!r:.100}")
            if self._fix:
                self._rows.put(key, value)
        self._report_extra("the order of insertion", found - self._order.keys())

    def _is_in_order(self, key: bytes) -> bool:
        try:
            raw, spelled = self._rows.get(key)
            return encode_key(spelled, raw) == self._order[key][0]
        except (DamagedRecord, UnreadableValue, TypeError, ValueError):
            return False

    def _compare(self, name: str, namespace: Namespace, expected: set[bytes]) -> None:
        found = self._keys_of(namespace)
        missing = expected - found
        if missing:
            self.warn(f"the index of {name} lacks {len(missing)} of {len(expected)} entries")
            for key in missing if self._fix else ():
                self._rows.put(key, None)
        self._report_extra(f"the index of {name}", found - expected)

    def _report_extra(self, name: str, extra: set[bytes]) -> None:
        if extra:
            self.warn(f"{name} has {len(extra)} entries that do not exist")
            for key in extra if self._fix else ():
                self._rows.delete(key)

    def _keys_of(self, namespace: Namespace) -> set[bytes]:
        return {key for start, stop in namespace.ranges for key in self._rows.keys(start, stop)}

    def _forget_notes(self) -> None:
        """Remove notes of reads of entries that were removed in the same moment. They do no harm."""
        for namespace in (ACCESS_TIMES, ACCESS_COUNTS, HINTS):
            for key in self._keys_of(namespace):
                if ORDER.encode(int(namespace.decode(key))) not in self._order:
                    self._rows.delete(key)

    def _compare_totals(self) -> None:
        count, size, volume, last = self._rows.totals()
        for name, stored, found in (
            ("number of entries", count, self._count),
            ("size of all files", size, self._size),
            ("volume", volume, self._volume),
        ):
            if stored != found:
                self.warn(f"wrong {name}: {stored:,} is stored, and it is {found:,}")
        if last < self._last:
            self.warn(f"wrong last number of an entry: {last} is stored, and it is {self._last}")
        if self._fix:
            right = self._count, self._size, self._volume, max(last, self._last)
            if right != (count, size, volume, last):
                self._rows.put(TOTALS, right)

    # --- files -------------------------------------------------------------------------------------------------------

    def _compare_files(self) -> None:
        for path in unknown_files(self._directory, self._files):
            self.warn(f"unknown file: {path}", UnknownFileWarning)
            if self._fix:
                self._rows.old_files.append(os.path.relpath(path, self._directory))
        for path in empty_directories(self._directory):
            self.warn(f"empty directory: {path}", EmptyDirWarning)
            if self._fix:
                with suppress(OSError):  # another process has just put a file in it
                    os.rmdir(path)
