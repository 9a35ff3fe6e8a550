"""``CoshelfFileSystem``: what fsspec asks of a file system."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from fsspec import AbstractFileSystem

from coshelf.contrib.folders import children
from coshelf.contrib.fsspec import tree
from coshelf.contrib.fsspec.files import ReadingFile, WritingFile
from coshelf.contrib.fsspec.transactions import OneCommit
from coshelf.contrib.fsspec.tree import DATA, STAT, Stat, Step
from coshelf.contrib.parts import Part, Target
from coshelf.contrib.stored_bytes import as_value, view_of
from coshelf.errors import Unsupported
from coshelf.mapping.shelf import Shelf

__all__ = ["CoshelfFileSystem"]

_OF_FSSPEC: Final = {"use_listings_cache", "listings_expiry_time", "max_paths", "asynchronous", "loop"}


class _Instances(type(AbstractFileSystem)):  # type: ignore[misc]
    """Hands out one instance for the same arguments, as fsspec does, except over an open shelf: these look alike."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(argument, Shelf) for argument in (*args, *kwargs.values())):
            kwargs["skip_instance_cache"] = True
        return super().__call__(*args, **kwargs)


class CoshelfFileSystem(AbstractFileSystem, metaclass=_Instances):
    """Files and folders in a part of a shelf. Each call that writes is one commit, and so is a transaction.

    ``fsspec.open("coshelf://sales/2026.csv::/data/a.shelf")`` opens the file ``sales/2026.csv`` in the shelf
    ``/data/a.shelf``. With ``target=`` the URL has the path in the shelf alone.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf.
        fo, target_protocol, target_options: the shelf, as fsspec gives it from a chained URL.
        options: further arguments of :func:`coshelf.open`, and fsspec's own.

    Raises:
        ValueError: it is not said where the shelf is, or it is not on a local path.
        Unsupported: at the first use, on an engine whose commits are of one entry.
        ShelfNotFound, NotAShelf, ...: at the first use, what :func:`coshelf.open` raises.
    """

    protocol = "coshelf"
    root_marker = "/"
    transaction_type = OneCommit

    def __init__(
        self,
        target: Target | None = None,
        part: str = "files",
        *,
        fo: str | None = None,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if self._cached:
            return
        self._of_thread = threading.local()
        super().__init__(**{key: value for key, value in options.items() if key in _OF_FSSPEC})
        if target_protocol not in (None, "file", "local") or target_options:
            raise ValueError(
                f"a shelf in a chained URL is a local path, and not {target_protocol}://... {target_options or ''}\n"
                "  hint: give the URL of a shelf on a server as target="
            )
        where = fo if target is None else target
        if where is None:
            raise ValueError("it is not said where the shelf is\n  hint: coshelf://PATH::SHELF, or target=SHELF")
        self._part = Part(where, part, **{key: value for key, value in options.items() if key not in _OF_FSSPEC})

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        stripped = super()._strip_protocol(path)
        return stripped if isinstance(stripped, list) else "".join(f"/{name}" for name in stripped.split("/") if name)

    @property
    def rows(self) -> Shelf[str, Any]:
        """The part of the shelf that has the entries."""
        shelf = self._part.shelf
        if shelf.capabilities.atomic not in ("crash", "process"):
            raise Unsupported(f"a file system needs commits of several entries, which {shelf.name} does not have")
        return shelf

    def do(self, step: Step) -> None:
        """Make a change: at once, or at the end of the transaction."""
        if self._intrans:
            self.transaction.files.append(step)
        else:
            self.rows.transact(step)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Make one commit of what the block does."""
        if self._intrans:
            yield
        else:
            with self.transaction:
                yield

    def close(self) -> None:
        """Close the shelf, if the file system opened it. The next use opens it again."""
        part, self._part = self._part, self._part.again()
        part.close()

    def __reduce__(self) -> Any:
        self._part.refuse_private()
        return super().__reduce__()

    # A transaction is that of a thread: what other threads do with the file system meanwhile is no part of it. The base
    # class and `OneCommit` set these two.

    @property
    def _intrans(self) -> bool:
        return getattr(self._of_thread, "is_running", False)

    @_intrans.setter
    def _intrans(self, is_running: bool) -> None:
        self._of_thread.is_running = is_running

    @property
    def _transaction(self) -> OneCommit | None:
        return getattr(self._of_thread, "transaction", None)

    @_transaction.setter
    def _transaction(self, transaction: OneCommit | None) -> None:
        self._of_thread.transaction = transaction

    # --- what there is -----------------------------------------------------------------------------------------------

    def _stat(self, path: str) -> Stat:
        found = tree.stat(self.rows, path)
        if found is None:
            raise tree.failure(errno.ENOENT, path)
        return found

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return self._stat(path).info(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        found = self._stat(path)
        infos = [found.info(path)] if found.is_file else self._children(path)
        return infos if detail else [info["name"] for info in infos]

    def _children(self, path: str) -> list[dict[str, Any]]:
        rows = self.rows
        names = {f"{path}/{name.rstrip('/')}" for name in children(rows, f"{STAT}{path}/")}
        found = rows.get_many(STAT + name for name in names)
        return [Stat(*found.get(STAT + name, (tree.FOLDER,))).info(name) for name in sorted(names)]

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: Any
    ) -> Any:
        if maxdepth is not None and maxdepth < 1:
            raise ValueError(f"maxdepth must be at least 1, and is {maxdepth}")
        path = self._strip_protocol(path)
        found = tree.stat(self.rows, path)
        infos: dict[str, Any] = {}
        if found is not None and path and (found.is_file or withdirs):
            infos[path] = found.info(path)
        for key, row in self.rows.items(prefix=f"{STAT}{path}/"):
            name = key[len(STAT) :]
            names = name[len(path) + 1 :].split("/")
            depth = len(names) if maxdepth is None else min(maxdepth, len(names))
            if withdirs:
                for count in range(1, min(depth + 1, len(names))):
                    above = "/".join((path, *names[:count]))
                    infos.setdefault(above, Stat(tree.FOLDER).info(above))
            member = Stat(*row)
            if depth == len(names) and (withdirs or member.is_file):
                infos[name] = member.info(name)
        return {name: infos[name] for name in sorted(infos)} if detail else sorted(infos)

    def created(self, path: str) -> datetime:
        """When the file was first stored."""
        return datetime.fromtimestamp(self._stat(self._strip_protocol(path)).created, UTC)

    def modified(self, path: str) -> datetime:
        """When the file was last stored."""
        return datetime.fromtimestamp(self._stat(self._strip_protocol(path)).modified, UTC)

    # --- bytes -------------------------------------------------------------------------------------------------------

    def _view(self, path: str) -> memoryview:
        value = self.rows.get(DATA + path)
        if value is None:
            raise tree.not_a_file(self.rows, path)
        return view_of(path, value)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        return bytes(self._view(self._strip_protocol(path))[start:end])

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        paths = self.expand_path(path, recursive=recursive)
        if kwargs or (isinstance(path, str) and paths == [self._strip_protocol(path)]):
            return super().cat(path, recursive=recursive, on_error=on_error, **kwargs)
        found = self.rows.get_many(DATA + each for each in paths)
        contents: dict[str, Any] = {}
        for each in paths:
            value = found.get(DATA + each)
            if value is not None:
                contents[each] = bytes(view_of(each, value))
            elif not (recursive and self.isdir(each)):
                error = tree.not_a_file(self.rows, each)
                if on_error == "raise":
                    raise error
                if on_error == "return":
                    contents[each] = error
        return contents

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **_: Any) -> None:
        path, data = self._strip_protocol(path), bytes(value) if self._intrans else as_value(value)
        self.do(lambda rows: tree.write(rows, path, data, time.time(), exclusive=mode == "create"))

    def pipe(self, path: Any, value: Any = None, **kwargs: Any) -> None:
        with self._together():
            super().pipe(path, value, **kwargs)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **_: Any,
    ) -> ReadingFile | WritingFile:
        if mode == "rb":
            return ReadingFile(self, path, self._view(path))
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"the mode of a file is r, w, x or a, with b or without, and not {mode!r}")
        found = tree.stat(self.rows, path)
        if found is not None and not found.is_file:
            raise tree.failure(errno.EISDIR, path)
        if found is not None and mode == "xb":
            raise tree.failure(errno.EEXIST, path)
        return WritingFile(self, path, mode, 0 if found is None else found.size, self.do if autocommit else None)

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:
        path = self._strip_protocol(path)
        if truncate:
            self.pipe_file(path, b"")
        else:
            self.do(lambda rows: tree.touch(rows, path, time.time()))

    # --- folders, and all that moves ---------------------------------------------------------------------------------

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        path = self._strip_protocol(path)
        self.do(lambda rows: tree.make_folder(rows, path, time.time(), parents=create_parents))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        path = self._strip_protocol(path)
        found = tree.stat(self.rows, path) if exist_ok and not self._intrans else None
        if found is None or found.is_file or not found.modified:
            self.do(lambda rows: tree.make_folder(rows, path, time.time(), exist_ok=exist_ok))

    def rmdir(self, path: str) -> None:
        path = self._strip_protocol(path)
        if self._stat(path).is_file:
            raise tree.failure(errno.ENOTDIR, path)
        self.do(lambda rows: tree.remove(rows, [path]))

    def _rm(self, path: str) -> None:
        path = self._strip_protocol(path)
        self.do(lambda rows: tree.remove(rows, [path]))

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        paths = [each for each in self.expand_path(path, recursive=recursive, maxdepth=maxdepth) if each]
        self.do(lambda rows: tree.remove(rows, paths))

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if self._stat(source).is_file:
            self.do(lambda rows: tree.copy(rows, source, target, time.time()))
        else:
            self.makedirs(target, exist_ok=True)

    def copy(self, path1: Any, path2: Any, **kwargs: Any) -> None:
        with self._together():
            super().copy(path1, path2, **kwargs)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        with self._together():
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)
