"""A store of joblib's ``Memory`` in a shelf. Importing this module registers it as the backend ``"coshelf"``.

>>> import joblib, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     memory = joblib.Memory(folder, backend="coshelf", verbose=0)
...     double = memory.cache(lambda number: 2 * number)
...     print(double(21), double.check_call_in_cache(21), len(memory.store_backend.get_items()))
...     memory.store_backend.close()
42 True 1
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pickle import PicklingError
from typing import Any, Final, NoReturn

from joblib import register_store_backend
from joblib._store_backends import CacheItemInfo, CacheWarning, StoreBackendBase, StoreBackendMixin
from joblib.logger import format_time

from coshelf.contrib.joblib_options import known, shelf_at, with_compression
from coshelf.contrib.parts import Part, Target
from coshelf.errors import CoshelfError, DamagedRecord, ShelfNotFound, UnreadableValue, Unsupported
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfStoreBackend"]

_RESULT: Final = "result"  # the rows of a call: what it returned,
_CALL: Final = "call"  # what joblib notes of it,
_USED: Final = "used"  # and when it was last used, in seconds since 1970
_CODE: Final = "code"  # the code of a function
_SAMPLED: Final = 60.0  # seconds: a use is not noted if one was noted less than this ago

CallId = Sequence[str]


class CoshelfStoreBackend(StoreBackendBase, StoreBackendMixin):
    """Results of calls as entries of a shelf: a result is one entry, stored in one commit.

    ``Memory("results.shelf", backend="coshelf", backend_options={...})`` makes one. Or make it here, and give it to
    ``Memory`` as its location.

    Args:
        target: a path, a URL, or an open shelf. None: ``Memory`` will say where.
        part: the part of the shelf.
        mmap_mode: "r": large arrays come back in place and read-only. "c" and None: they are the caller's own.
        compress: False, True, a level, or joblib's pair of method and level, of which the level is taken: whether new
            results are stored compressed, by Zstandard.
        options: further arguments of :func:`coshelf.open`, such as ``max_bytes="2 GiB"``.

    Raises:
        ValueError: another ``mmap_mode``: it would change results that are stored.
        ShelfNotFound, NotAShelf, ...: at the first use, what :func:`coshelf.open` raises.
    """

    def __init__(
        self,
        target: Target | None = None,
        part: str = "joblib",
        *,
        mmap_mode: str | None = None,
        compress: Any = False,
        verbose: int = 1,
        **options: Any,
    ) -> None:
        self.verbose = verbose
        if target is not None:
            self._use(Part(target, part, **with_compression(options, compress)), mmap_mode, compress)
            self.location = self._part.where

    def configure(self, location: str, verbose: int = 1, backend_options: Mapping[str, Any] | None = None) -> None:
        """Say where the shelf is. ``Memory`` calls this.

        Args:
            location: a path or URL. An existing directory gets the shelf ``joblib.shelf``. "/joblib" at its end, which
                ``Memory`` adds, is not a part of the path.
            verbose: as of ``Memory``.
            backend_options: ``part``, ``mmap_mode``, ``compress``, and options of :func:`coshelf.open`.
        """
        options = dict(backend_options or {})
        mmap_mode, compress = options.pop("mmap_mode", None), options.pop("compress", False)
        options = with_compression(known(options), compress)
        part = options.pop("part", "joblib")
        self._use(Part(shelf_at(location), part, **options), mmap_mode, compress)
        self.location, self.verbose = location, verbose

    def _use(self, part: Part, mmap_mode: str | None, compress: Any) -> None:
        if mmap_mode not in (None, "r", "c"):
            raise ValueError(
                f"mmap_mode={mmap_mode!r} would change results that are stored\n"
                "  hint: 'r' gives arrays that cannot be written, 'c' arrays of your own"
            )
        self._part, self.mmap_mode, self.compress = part, mmap_mode, compress

    @property
    def _shelf(self) -> Shelf[Any, Any]:
        try:
            return self._part.shelf
        except ShelfNotFound:
            if self._part.options.get("flag", "c") in ("r", "w"):
                raise
            os.makedirs(os.path.dirname(os.path.abspath(self._part.where)), exist_ok=True)
            return self._part.shelf

    def close(self) -> None:
        """Close the shelf, if this opened it. The next use opens it again."""
        part, self._part = self._part, self._part.again()
        part.close()

    # --- one call ----------------------------------------------------------------------------------------------------

    def load_item(
        self,
        call_id: CallId,
        verbose: int = 1,
        timestamp: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """The result of a call.

        Raises:
            KeyError: there is none.
            UntrustedValue, UnreadableValue, DamagedRecord: it cannot be loaded.
        """
        if verbose > 1:
            print(self._told(call_id, verbose, timestamp, metadata))
        key, shelf = (_RESULT, *call_id), self._shelf
        missing = object()
        value = shelf.get(key, missing, copy=self.mmap_mode != "r")
        if value is missing:
            raise KeyError(f"there is no result of {'/'.join(call_id)} in {self.location} (it may have been cleared)")
        self._note_use(call_id, shelf)
        return value

    def _told(self, call_id: CallId, verbose: int, timestamp: float | None, metadata: Mapping[str, Any] | None) -> str:
        since = "" if timestamp is None else f"{format_time(time.time() - timestamp): <16}"
        arguments = ", ".join(f"{name}={value}" for name, value in (metadata or {}).get("input_args", {}).items())
        where = f" from {self._path(call_id)}" if verbose >= 10 else "..."
        return f"[Memory]{since}: Loading {os.path.basename(call_id[0])}({arguments}){where}"

    def _note_use(self, call_id: CallId, shelf: Shelf[Any, Any]) -> None:
        now, key = time.time(), (_USED, *call_id)
        if shelf.flag == "r" or abs(now - shelf.get(key, 0.0)) < _SAMPLED:
            return

        def note(rows: Transaction[Any, Any]) -> None:
            if (_RESULT, *call_id) in rows:
                rows[key] = now

        shelf.transact(note)

    def dump_item(self, call_id: CallId, item: Any, verbose: int = 1) -> None:
        """Store the result of a call. If that is not possible, a warning says why, and nothing is changed."""
        if verbose > 10:
            print(f"Persisting in {self._path(call_id)}")
        try:
            self._shelf.update({(_RESULT, *call_id): item, (_USED, *call_id): time.time()})
        except CoshelfError as error:
            is_pickling = isinstance(error.__cause__, PicklingError)
            warnings.warn(
                f"the result of {'/'.join(call_id)} is not cached: {error}",
                FutureWarning if is_pickling else CacheWarning,
                stacklevel=2,
            )

    def contains_item(self, call_id: CallId) -> bool:
        """Whether there is a result of the call."""
        return (_RESULT, *call_id) in self._shelf

    def clear_item(self, call_id: CallId) -> None:
        """Remove the result of a call."""
        self._remove([tuple(call_id)])

    def get_metadata(self, call_id: CallId) -> dict[str, Any]:
        """What joblib noted of the call; empty if there is nothing, or it is damaged."""
        try:
            found: dict[str, Any] = self._shelf.get((_CALL, *call_id), {})
        except (DamagedRecord, UnreadableValue):  # joblib goes on, and computes what it cannot load
            return {}
        return found

    def store_metadata(self, call_id: CallId, metadata: Mapping[str, Any]) -> None:
        """Store what joblib notes of the call. If that is not possible, a warning says why."""
        try:
            self._shelf[_CALL, *call_id] = metadata
        except CoshelfError as error:
            warnings.warn(f"what joblib notes of a call is not stored: {error}", CacheWarning, stacklevel=2)

    # --- functions ---------------------------------------------------------------------------------------------------

    def contains_path(self, call_id: CallId) -> bool:
        """Whether there is something of the function."""
        return any(key in self._shelf for key in self._keys(self._shelf, tuple(call_id)))

    def clear_path(self, call_id: CallId) -> None:
        """Remove all of a function, in one commit."""
        self._remove([tuple(call_id)])

    def store_cached_func_code(self, call_id: CallId, func_code: str | None = None) -> None:
        """Store the code of a function."""
        if func_code is not None:
            self._shelf[_CODE, *call_id] = func_code

    def get_cached_func_code(self, call_id: CallId) -> str:
        """The code of a function. Raises FileNotFoundError if it is not stored."""
        found: str | None = self._shelf.get((_CODE, *call_id))
        if found is None:
            raise FileNotFoundError(f"the code of {'/'.join(call_id)} is not stored in {self.location}")
        return found

    # --- all results -------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Remove everything, in one commit."""
        self._shelf.clear()

    def clear_location(self, location: str) -> None:
        """Remove what is below a path, as :meth:`get_items` tells it."""
        ids = self._ids(location)
        if ids:
            self._remove([ids, ("/".join(ids),)])
        else:
            self.clear()

    def get_items(self) -> list[CacheItemInfo]:
        """The results, each with its path, its size in bytes, and when it was last used."""
        sizes = {record.key[1:]: record.size for record in self._shelf.records(prefix=(_RESULT,))}
        for record in self._shelf.records(prefix=(_CALL,)):
            if record.key[1:] in sizes:
                sizes[record.key[1:]] += record.size
        used = {key[1:]: value for key, value in self._shelf.items(prefix=(_USED,))}
        return [
            CacheItemInfo(self._path(ids), size, datetime.fromtimestamp(used.get(ids, 0.0)))  # noqa: DTZ006 (as joblib)
            for ids, size in sizes.items()
        ]

    def enforce_store_limits(
        self, bytes_limit: int | str | None, items_limit: int | None = None, age_limit: timedelta | None = None
    ) -> None:
        """Remove the results that were not used for the longest time, in one commit. As ``Memory.reduce_size``."""
        items = self._get_items_to_delete(bytes_limit, items_limit, age_limit)
        if items:
            self._remove([self._ids(item.path) for item in items])

    def _remove(self, beginnings: list[tuple[str, ...]]) -> None:
        """Remove the rows whose ids begin with one of these."""

        def remove(rows: Transaction[Any, Any]) -> None:
            for ids in beginnings:
                for key in [*self._keys(rows, ids)]:
                    del rows[key]

        self._shelf.transact(remove)

    @staticmethod
    def _keys(rows: Shelf[Any, Any] | Transaction[Any, Any], ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for kind in (_RESULT, _CALL, _USED, _CODE):
            yield from rows.keys(prefix=(kind, *ids))

    def _path(self, ids: CallId) -> str:
        return os.path.join(self.location, *ids)

    def _ids(self, path: str) -> tuple[str, ...]:
        """Function and arguments of a path; empty for the location itself."""
        below = path.removeprefix(self.location).strip("/")
        return tuple(part for part in below.rpartition("/")[::2] if part)

    # --- files, of which there are none ------------------------------------------------------------------------------

    def create_location(self, location: str) -> None:
        """Nothing needs to be made."""

    def _item_exists(self, location: str) -> bool:
        return self.contains_path(self._ids(location))

    def _open_item(self, f: Any, mode: str) -> NoReturn:
        raise Unsupported(f"results are entries of a shelf, and no files: {f}")

    def _move_item(self, src: str, dst: str) -> NoReturn:
        raise Unsupported(f"results are entries of a shelf, and no files: {src}")


register_store_backend("coshelf", CoshelfStoreBackend)
