"""The methods of a shelf that maintain its file: backup, compact, check, figures, and training.

The modules that do the work are imported on demand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coshelf.contract import Compacting, Engine, SelfChecking, distrust
from coshelf.errors import Unsupported
from coshelf.system.files.paths import Path

if TYPE_CHECKING:
    from coshelf.inspection.info import Info
    from coshelf.inspection.reports import Compaction, Progress, Report
    from coshelf.inspection.stats import Stats
    from coshelf.mapping.handle import Handle
    from coshelf.mapping.namespace import Namespace
    from coshelf.values.training import Training

__all__ = ["Cared"]


class Cared:
    """The methods of a :class:`coshelf.Shelf` that maintain its file."""

    _handle: Handle
    _namespace: Namespace

    def engine_for(self, operation: str, *, writing: bool = False) -> Engine:
        """The engine of a whole shelf, for a tool that reads or writes its records as bytes.

        Args:
            operation: the name of the tool, for messages.
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

    def backup(self, path: Path, *, progress: Progress | bool | None = None, overwrite: bool = False) -> int:
        """Copy the shelf to a new one at ``path``, while other processes read and write. Return the number of entries.

        The copy shows one instant of the shelf. It is durable, and has no unused space. It is complete, or does not
        exist, whatever happens. It belongs to this user (mode 0600), and is marked as trusted if this shelf is. It has
        the shelf's id, so signatures stay valid, and the versions of its entries. Values that ``writeback=True`` has
        not written back are not in it.

        Args:
            path: the name of a file, whatever engine this shelf uses. The copy is what a new shelf at that path is.
            progress: a function that is called with the number of entries done, and of all entries; or True for a bar
                on the terminal, or in the notebook, if it takes over a second.
            overwrite: whether a shelf at ``path`` is replaced. No process may have it open.

        Raises:
            ShelfExists: a file exists at ``path``.
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
        from coshelf.engines.paths import engine_of_new_files
        from coshelf.system.progress import showing

        if engine_of_new_files() == "lmdb":
            from coshelf.engines.lmdb.files.copies import copy_to
        else:
            from coshelf.engines.sqlite.copies import copy_to

        engine = self.engine_for("backup")
        refuse_credentials(path)
        with engine.snapshot() as snapshot, showing(progress, engine.where, "entries") as tell:
            return copy_to(
                path,
                snapshot,
                engine.where,
                store_id=engine.store_id,
                blobs=engine.blobs,
                marked=distrust(engine) is None,
                overwrite=overwrite,
                progress=tell,
            )

    def compact(self, *, progress: Progress | bool | None = None) -> Compaction:
        """Make the file as small as its entries, in place. No other process may have the shelf open.

        If entries are deleted, the file keeps their pages, and uses them again for later entries. This method writes
        the file again, durably, and replaces the old one. If the process is killed, one of the two exists. Other
        threads of this process wait meanwhile, and so do processes that open the shelf. The disk needs space for both
        files.

        Args:
            progress: as for :meth:`backup`. The function is called while the shelf is closed, and must use no shelf.

        Returns the bytes before and after.

        Raises:
            ShelfLocked: another process has it open, or this one holds a snapshot or an iteration. See :meth:`backup`.
            DamagedRecord: an entry is damaged. The file stays as it is. See :func:`coshelf.salvage`.
            StorageFull: the disk has no space for the new file. The old one stays.
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
        from coshelf.system.progress import showing

        engine = self.engine_for("compact", writing=True)
        if not isinstance(engine, Compacting):
            raise Unsupported(f"compact(): the {engine.name} engine has no file that could be smaller ({engine.where})")
        with showing(progress, engine.where, "entries") as tell:
            return engine.compact() if tell is None else engine.compact(tell)

    def check(self, *, progress: Progress | bool | None = None) -> Report:
        """Verify all data of the shelf at one instant, and report damage. Other processes may read and write.

        On the lmdb engine, this is each page in use and each record of any size. On other engines it is each record. No
        value is decoded. Damage is reported and not raised. A shelf that cannot be read at all raises an error.

        Args:
            progress: as for :meth:`backup`, with the number of pages on the lmdb engine.

        Raises:
            SnapshotLost: each attempt of a reader without locks was overtaken by commits.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> shelf["a"] = 1
        >>> report = shelf.check()
        >>> report.ok, report.entries
        (True, 1)
        """
        from coshelf.inspection.record_check import check_records
        from coshelf.system.progress import showing

        engine = self.engine_for("check")
        with showing(progress, engine.where, "pages" if engine.name == "lmdb" else "entries") as tell:
            if isinstance(engine, SelfChecking):
                return engine.check(tell)
            return check_records(engine, tell)

    def info(self) -> Info:
        """A description of the shelf: engine, entries, size, id, owner, capabilities, whether it is trusted or why not.

        >>> import coshelf
        >>> info = coshelf.open("memory:").info()
        >>> info.engine, info.entries, info.trusted
        ('memory', 0, True)
        """
        from coshelf.inspection.info import look_at

        return look_at(self.engine_for("info"))

    def stats(self, *, prefix_depth: int = 1, largest: int = 10, cheap: bool = False) -> Stats:
        """Figures of the shelf: entries and sizes by prefix, the largest entries, file, delta, readers and locks.

        For a part (:meth:`coshelf.Shelf.sub`) the entries are those of the part, and the file is that of the shelf.

        Args:
            prefix_depth: str keys are counted together up to this slash; 0: all together.
            largest: how many of the largest entries are named.
            cheap: only figures that need no reading of all entries: not ``bytes``, ``prefixes`` and ``largest``.

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

    def train_dictionary(
        self, *, samples: int = 10_000, size: int = 64 * 1024, progress: Progress | bool | None = None
    ) -> Training:
        """Train a dictionary of Zstandard on the values of this shelf, or of this part of it, for ``compress="zstd"``.

        Small values compress badly one by one. The dictionary holds what they have in common, and is in the shelf.
        Processes that have the shelf open write with it within a second, and processes that open it later at once.
        Earlier values stay as they are, and so do the dictionaries that they need. A dictionary consists of pieces of
        values, so it is encrypted if the values are.

        Args:
            samples: how many values are read, evenly from all.
            size: the largest size of the dictionary in bytes. All samples together should have a hundred times as many.
            progress: as for :meth:`backup`, of the reading. What Zstandard does with the values takes some time more.

        Returns the bytes of the samples ``before`` and ``after``.

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
        from coshelf.system.progress import showing
        from coshelf.values.training import train

        self._handle.refuse_closed()
        self._handle.refuse_writing()
        with showing(progress, self._handle.engine.where, "values") as tell:
            return train(self._handle, self._namespace, samples=samples, size=size, progress=tell)
