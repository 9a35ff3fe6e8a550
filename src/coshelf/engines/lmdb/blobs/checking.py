"""Checks the blobs that a shelf's entries name, and the rows about blobs."""

from __future__ import annotations

from collections.abc import Container

from coshelf import records
from coshelf.engines.lmdb.blobs.blob_file import problem_with
from coshelf.engines.lmdb.blobs.catalogue import named_key, rows_of_blob
from coshelf.engines.lmdb.blobs.folder import blob_path, folder_of
from coshelf.inspection.reports import Report, shown_key
from coshelf.values.blobs import ID, Reference, reference_in

__all__ = ["BlobCheck"]


class BlobCheck:
    """The check of the blobs of one state of the base. It takes notes as records are read, and reports at the end."""

    def __init__(self, shelf: str, report: Report, outdated: Container[bytes] = ()) -> None:
        self._outdated = outdated  # keys of entries for which the delta has a newer record
        self._folder = folder_of(shelf)
        self._report = report
        self._named: dict[bytes, Reference] = {}
        self._rows: dict[bytes, bytes] = {}
        self._committed: set[bytes] = set()

    def see(self, key: bytes, record: bytes) -> None:
        """Take a record into account: of an entry, or of a row of ours."""
        reference = reference_in(record)
        if reference is not None:
            self._named[key] = reference
            return
        entry = named_key(key)
        if entry is not None:
            self._rows[entry] = record[:ID]
        elif key == rows_of_blob(key[-ID:])[0]:
            self._committed.add(key[-ID:])

    def finish(self, store_id: bytes) -> None:
        """Check each blob, and compare the rows about blobs with the entries."""
        for key, reference in self._named.items():
            self.look_at_blob(key, reference, store_id)
            if self._rows.get(key) != reference.id or reference.id not in self._committed:
                self._add(key, f"no row says that it names the blob {reference.id.hex()}")
        for key in self._rows.keys() - self._named.keys():
            if key not in self._outdated:
                self._add(key, "a row says that it names a blob, and it does not")

    def look_at_blob(self, key: bytes, reference: Reference, store_id: bytes) -> None:
        """Check the blob of one entry."""
        problem = problem_with(blob_path(self._folder, reference.id), store_id, reference)
        if problem is not None:
            self._add(key, f"its large buffers, the blob {reference.id.hex()}: {problem}")
            self._report.entries -= 1  # the entry was counted as whole when its record was seen
        else:
            self._report.bytes += sum(reference.sizes)

    def look_at_newer(self, key: bytes, record: bytes, store_id: bytes) -> None:
        """Check the blob of an entry that is newer than the base."""
        reference = reference_in(record) if len(record) > records.TRAILER else None
        if reference is not None:
            self.look_at_blob(key, reference, store_id)

    def _add(self, key: bytes, message: str) -> None:
        self._report.add("blob", f"key {shown_key(key)}", message)
