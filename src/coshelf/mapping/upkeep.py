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
                f"{operation}() is of a whole shelf, and this is its part {self._namespace.prefix!r}: "
                "call it on the shelf itself"
            )
        if writing:
            self._handle.refuse_writing()
        return self._handle.engine

    def backup(self, path: Path, *, progress: Progress | None = None, overwrite: bool = False) -> int:
        """Make a copy at ``path``, a shelf of its own, while others read and write; return how many entries it has.

        It is what the shelf was at one instant, without the room that old entries take, and durable. Whatever happens,
        it is there whole or not at all. It is this user's own (mode 0600), and marked as trusted if this shelf is. What
        ``writeback=True`` has not written back is not in it. Signed records stay good: it has the shelf's id.

        Args:
            path: where to. The name of a file, for the lmdb engine, whatever engine this shelf is on.
            progress: called with the entries done and those there are.
            overwrite: whether a shelf that lies there is replaced; nobody may have it open.

        Raises:
            ShelfExists: something lies there.
            DamagedRecord: an entry is damaged, so there is no copy. See :func:`coshelf.salvage`.
            StorageFull, StorageError, ShelfPermissionError, ShelfNotFound, NotAShelf, ShelfLocked: it cannot be made
            there.

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
        """Make the file as small as what is in it, in place. Nobody else may have the shelf open.

        Deleting gives pages back to the file, and not to the disk, which is as well for a shelf that grows again. Here
        the file is written anew, durably, and takes the place of the old one: killed at any point, one of the two is
        there.
        Threads of this process wait meanwhile, and so does who opens the shelf. It needs the room for both.

        Returns the bytes before and after.

        Raises:
            ShelfLocked: another process has it open, or this one holds a snapshot or an iteration. See :meth:`backup`.
            DamagedRecord: an entry is damaged; the file stays as it is. See :func:`coshelf.salvage`.
            StorageFull: there is no room for the new file; the old one stays.
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
        """Verify everything that the shelf consists of, while others read and write, and report what is damaged.

        On the lmdb engine that is each page in use and each record, whatever its size, as of one instant. On other
        engines it is each record. No value is decoded. Damage is reported and not raised.

        Args:
            progress: called with the number of pages or entries that are done, and how many there may be.

        Raises:
            SnapshotLost: a reader without locks was overtaken by commits again and again.

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
        """What it is: engine, entries, size, id, owner, whether it is trusted and why not, what its engine can do.

        >>> import coshelf
        >>> info = coshelf.open("memory:").info()
        >>> info.engine, info.entries, info.trusted
        ('memory', 0, True)
        """
        from coshelf.inspection.info import look_at

        return look_at(self.engine_for("info"))

    def stats(self, *, prefix_depth: int = 1, largest: int = 10, cheap: bool = False) -> Stats:
        """What it consists of: entries and their sizes, by prefix and the largest; file, delta, readers and locks.

        Of a part (:meth:`coshelf.Shelf.sub`) it is the entries of that part, and the file that all are in.

        Args:
            prefix_depth: up to which slash str keys are counted together; 0: all together.
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

        Small values have too little in themselves to be compressed well; what they have in common is in the dictionary,
        which lies in the shelf. Everybody who has it open writes with it within a second, and whoever opens it later.
        Earlier values stay as they are, and readable, as do the dictionaries that they need. It consists of pieces of
        values, and is encrypted where they are.

        Args:
            samples: how many values are looked at, evenly from all.
            size: bytes that the dictionary may have. All samples together should have a hundred times as many.

        Returns what it gains on the samples: ``before`` and ``after``, in bytes.

        Raises:
            Unsupported: the shelf was not opened with ``compress=``.
            ValueError: the values are too few, or too small.

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
