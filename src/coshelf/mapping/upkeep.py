"""The methods of a shelf that look after its file: backup, compact, check, figures, and training.

What does the work is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coshelf.contract import Compacting, Engine, SelfChecking, distrust
from coshelf.errors import Unsupported
from coshelf.inspection.reports import Progress
from coshelf.system.paths import Path

if TYPE_CHECKING:
    from coshelf.inspection.info import Info
    from coshelf.inspection.reports import Compaction, Report
    from coshelf.inspection.stats import Stats
    from coshelf.mapping.handle import Handle
    from coshelf.mapping.namespace import Namespace
    from coshelf.values.training import Training

__all__ = ["Cared"]


class Cared:
    """The part of a :class:`coshelf.Shelf` that cares for its file."""

    _handle: Handle
    _namespace: Namespace

    def engine_for(self, operation: str, *, writing: bool = False) -> Engine:
        """The engine of a whole shelf, for a tool that reads or writes its records as bytes.

        Args:
            operation: what the tool is called, for messages.
            writing: whether it writes. Then a shelf that cannot be written now is refused.

        Raises:
            ShelfClosed: the shelf has been closed.
            Unsupported: this is a part, from :meth:`coshelf.Shelf.sub`.
            ReadOnlyShelf, TransactionInProgress: it cannot be written, or not inside this transaction.

        >>> import coshelf
        >>> coshelf.open("memory:").engine_for("my tool").name
        'memory'
        """
        self._handle.refuse_closed()
        if self._namespace.prefix:
            raise Unsupported(
                f"{operation}() works on a whole shelf, and this is its part {self._namespace.prefix!r}: "
                "call it on the shelf itself"
            )
        if writing:
            self._handle.refuse_writing()
        return self._handle.engine

    def backup(self, path: Path, *, progress: Progress | None = None, overwrite: bool = False) -> int:
        """Make a copy at ``path``, a shelf of its own, while others read and write. Return the number of its entries.

        The copy shows one instant. It is durable, and has no unused space. Whatever happens, it exists as a whole or
        not at all. Its mode is 0600. It is marked as trusted if this shelf is. Changes that ``writeback=True`` has not
        written back are not in it. It has the shelf's id, so signatures stay valid.

        Args:
            path: the name of the new file. It is of the lmdb engine, whatever engine this shelf uses.
            progress: called with the number of entries done, and of all entries.
            overwrite: whether a shelf at that path is replaced. No process may have it open.

        Raises:
            ShelfExists: something exists at that path.
            DamagedRecord: an entry is damaged, so no copy is made. See :func:`coshelf.salvage`.
            StorageFull, StorageError, ShelfPermissionError, ShelfNotFound, NotAShelf, ShelfLocked: the copy cannot be
            made there.

        >>> import coshelf, tempfile, os
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     shelf = coshelf.open("memory:")
        ...     shelf.update(a=1, b=2)
        ...     copied = shelf.backup(os.path.join(directory, "copy.shelf"))
        ...     with coshelf.open(os.path.join(directory, "copy.shelf"), "r") as copy:
        ...         copied, dict(copy)
        (2, {'a': 1, 'b': 2})
        """
        from coshelf.engines import refuse_credentials
        from coshelf.engines.lmdb.files.copies import copy_to

        engine = self.engine_for("backup")
        refuse_credentials(path)
        with engine.snapshot() as snapshot:
            return copy_to(
                path,
                snapshot,
                engine.where,
                store_id=engine.store_id,
                blobs=engine.blobs,
                marked=distrust(engine) is None,
                overwrite=overwrite,
                progress=progress,
            )

    def compact(self) -> Compaction:
        """Give unused space back to the disk, in place. No other process may have the shelf open.

        Deleting entries frees pages of the file, and later entries use them. It does not make the file smaller. This
        method writes a new file, durably, and puts it in the place of the old one. If it is killed at any point, one of
        the two is there. The disk needs space for both.

        Threads of this process wait meanwhile, and so do processes that open the shelf.

        Returns the bytes before and after.

        Raises:
            ShelfLocked: another process has it open, or this one holds a snapshot or an iteration. See :meth:`backup`.
            DamagedRecord: an entry is damaged. The file stays as it is. See :func:`coshelf.salvage`.
            StorageFull: there is no space for the new file. The old one stays.
            Unsupported: the engine has no file that could be smaller.

        >>> import coshelf, tempfile, os
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with coshelf.open(os.path.join(directory, "recipes.shelf")) as shelf:
        ...         shelf.update(dict.fromkeys(range(10_000), "some text"))
        ...         shelf.clear()
        ...         done = shelf.compact()
        ...         done.after < done.before / 10
        True
        """
        engine = self.engine_for("compact", writing=True)
        if not isinstance(engine, Compacting):
            raise Unsupported(f"compact(): the {engine.name} engine has no file that could be smaller ({engine.where})")
        return engine.compact()

    def check(self, *, progress: Progress | None = None) -> Report:
        """Verify everything that the shelf consists of, while others read and write. Report what is damaged.

        It verifies each page in use and each record, whatever its size, as of one instant. On engines other than lmdb
        it verifies each record. No value is decoded. Damage is reported, not raised. If the shelf cannot be read at
        all, that is an error.

        Args:
            progress: called with the number of pages verified, and the most there may be.

        Raises:
            SnapshotLost: commits overtook a reader without locks again and again.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["a"] = 1
        >>> report = shelf.check()
        >>> report.ok, report.entries
        (True, 1)
        """
        engine = self.engine_for("check")
        if isinstance(engine, SelfChecking):
            return engine.check(progress)
        from coshelf.inspection.record_check import check_records

        return check_records(engine, progress)

    def info(self) -> Info:
        """Describe the shelf: engine, entries, size, id, owner, whether it is trusted or why not, and capabilities.

        >>> import coshelf
        >>> info = coshelf.open("memory:").info()
        >>> info.engine, info.entries, info.trusted
        ('memory', 0, True)
        """
        from coshelf.inspection.info import look_at

        return look_at(self.engine_for("info"))

    def stats(self, *, prefix_depth: int = 1, largest: int = 10, cheap: bool = False) -> Stats:
        """Count entries and their sizes, by prefix, and the largest; describe file, delta, readers and locks.

        For a part (:meth:`coshelf.Shelf.sub`) the entries are those of the part. The file is that of the whole shelf.

        Args:
            prefix_depth: str keys are counted together up to this slash. 0 counts all together.
            largest: how many of the largest entries are named.
            cheap: only what is known without reading all entries: not ``bytes``, ``prefixes`` and ``largest``.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf.update({"users/ann": 1, "users/bob": 2, "n": 3})
        >>> stats = shelf.stats()
        >>> stats.entries, {prefix: entries for prefix, (entries, size) in stats.prefixes.items()}
        (3, {'': 1, 'users/': 2})
        """
        from coshelf.inspection.stats import gather

        self._handle.refuse_closed()
        return gather(self._handle.engine, self._namespace, prefix_depth=prefix_depth, largest=largest, cheap=cheap)

    def train_dictionary(self, *, samples: int = 10_000, size: int = 64 * 1024) -> Training:
        """Train a dictionary of Zstandard on the values of this shelf, or of this part of it, for ``compress="zstd"``.

        A small value alone does not compress well. The dictionary holds what the values have in common. It is stored in
        the shelf. All processes that have the shelf open write with it within a second. Earlier values stay as they are
        and can be read, because their dictionaries stay, too. A dictionary consists of pieces of values, and is
        encrypted if they are.

        Args:
            samples: how many values are used, evenly from all.
            size: the most bytes of the dictionary. All samples together should have a hundred times as many.

        Returns the gain on the samples: ``before`` and ``after``, in bytes.

        Raises:
            Unsupported: the shelf was not opened with ``compress=``.
            ValueError: there are too few values, or they are too small.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:", codec="json", compress="zstd")
        >>> shelf.update({n: {"name": f"user {n}", "email": f"user{n}@example.com", "roles": []} for n in range(1_000)})
        >>> done = shelf.train_dictionary(size=4_096)
        >>> done.samples, done.after < done.before
        (1000, True)
        """
        from coshelf.values.training import train

        self._handle.refuse_closed()
        self._handle.refuse_writing()
        return train(self._handle, self._namespace, samples=samples, size=size)
