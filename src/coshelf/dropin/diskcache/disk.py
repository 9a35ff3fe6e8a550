"""How keys and values are stored: as they are, as pickles, or as files beside the shelf."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any, BinaryIO

from coshelf.dropin.diskcache.keys import is_stored_raw, pickled_key
from coshelf.dropin.diskcache.names import MODE_BINARY, MODE_PICKLE, MODE_RAW, MODE_TEXT, UNKNOWN
from coshelf.system.files.names import remove
from coshelf.values.pickles import LOADS

__all__ = ["Disk", "JSONDisk"]

_MASK = 0xFFFFFFFF
_MOST, _LEAST = (1 << 63) - 1, -(1 << 63)
_PIECE = 1 << 22  # bytes of a stream that are read at a time
# A str or pickle of this size is stored in a file. A pickle of 1 MB takes ten times as long in the shelf.
_LARGE = 1 << 18
_ATTEMPTS = 10  # to make a file, while others remove its directory


def _plain_loads(data: bytes) -> Any:
    from coshelf.trust.gate import Gate

    return Gate(()).loads(data)


class Disk:
    """Stores keys and values. A subclass may change how, and is given to a cache by ``disk=``.

    Args:
        directory: the directory of the cache.
        min_file_size: bytes from which on a bytes value is stored in a file.
        pickle_protocol: the protocol of pickles that are written.

    >>> disk = Disk("/nowhere", min_file_size=100, pickle_protocol=5)
    >>> disk.put("a"), disk.put((1, "a"))[1]
    (('a', True), False)
    >>> disk.store("text", False)
    (0, 1, None, 'text')
    """

    _load_pickle: Callable[[bytes], Any] = staticmethod(_plain_loads)
    """Loads a pickle, as far as the cache may. Without a cache, plain data only."""
    _dump_pickle: Callable[[Any, int], bytes] = staticmethod(pickle.dumps)

    def __init__(self, directory: str, min_file_size: int = 0, pickle_protocol: int = 0) -> None:
        self._directory = directory
        self.min_file_size = min_file_size
        self.pickle_protocol = pickle_protocol

    # --- keys --------------------------------------------------------------------------------------------------------

    def hash(self, key: Any) -> int:
        """A hash of a key that is the same in every process."""
        stored, _ = self.put(key)
        if isinstance(stored, (bytes, memoryview)):
            return zlib.adler32(stored) & _MASK
        if isinstance(stored, str):
            return zlib.adler32(stored.encode("utf-8", "surrogatepass")) & _MASK
        if isinstance(stored, int):
            return stored % _MASK
        return zlib.adler32(struct.pack("!d", stored)) & _MASK

    def put(self, key: Any) -> tuple[Any, bool]:
        """The key as it is stored, and whether it is stored as it is. Other keys are pickled."""
        if type(key) is str or is_stored_raw(key):
            return key, True
        return pickled_key(key, self.pickle_protocol), False

    def get(self, key: Any, raw: bool) -> Any:
        """The key of what :meth:`put` returned."""
        return key if raw else self._load_pickle(key)

    # --- values ------------------------------------------------------------------------------------------------------

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str | None, Any]:
        """``(size, mode, filename, value)`` of a value; for a value without a file, the size is 0.

        Args:
            value: what is stored.
            read: whether it is an object whose ``read`` gives bytes, which are stored in a file.
            key: the key, for :meth:`filename`.
        """
        kind = type(value)
        if kind is str:
            if len(value) < _LARGE or len(value) < self.min_file_size:
                return 0, MODE_RAW, None, value
            return self._in_file(MODE_TEXT, iter((value.encode("utf-8", "surrogatepass"),)), key, value)
        if kind is float or (kind is int and _LEAST <= value <= _MOST):
            return 0, MODE_RAW, None, value
        if kind is bytes:
            if len(value) < self.min_file_size:
                return 0, MODE_RAW, None, value
            return self._in_file(MODE_BINARY, iter((value,)), key, value)
        if read:
            return self._in_file(MODE_BINARY, iter(lambda: value.read(_PIECE), b""), key, value)
        payload = self._dump_pickle(value, self.pickle_protocol)
        if len(payload) < _LARGE or len(payload) < self.min_file_size:
            return 0, MODE_PICKLE, None, payload
        return self._in_file(MODE_PICKLE, iter((payload,)), key, value)

    def _in_file(self, mode: int, pieces: Iterator[bytes], key: Any, value: Any) -> tuple[int, int, str | None, Any]:
        name, path = self.filename(key, value)
        return self._write(path, pieces), mode, name, None

    def _write(self, path: str, pieces: Iterator[bytes]) -> int:
        """Write a new file. Returns its size. If that fails, nothing is left of it."""
        size = 0
        try:
            with self._new_file(path) as file:
                for piece in pieces:
                    size += file.write(piece)
        except FileExistsError:  # another value's
            raise
        except BaseException:
            _remove(path)
            raise
        return size

    def _new_file(self, path: str) -> io.BufferedWriter:
        directory = os.path.dirname(path)
        attempt = 1
        while True:
            with suppress(OSError):  # opening the file tells what is wrong
                os.makedirs(directory, exist_ok=True)
            try:
                return open(path, "xb")
            except OSError:
                if attempt == _ATTEMPTS:  # less often, another process has just removed the directory
                    raise
            attempt += 1

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """The value of what :meth:`store` returned; with ``read``, the open file of a value that is in a binary file.

        Raises:
            OSError: the file cannot be read.
        """
        if mode == MODE_RAW:
            return value
        if mode == MODE_PICKLE and value is not None:
            return self._load_pickle(value)
        if filename is None:
            return None
        path = self._path(filename)
        if mode == MODE_BINARY and read:
            return open(path, "rb")
        with open(path, "rb") as file:
            if mode == MODE_PICKLE:
                return self._load_file(file)
            data = file.read()
        return data.decode("utf-8", "surrogatepass") if mode == MODE_TEXT else data

    def _load_file(self, file: BinaryIO) -> Any:
        """The object of a pickle in a file."""
        if self._load_pickle is LOADS:
            return pickle.load(file)  # which makes no copy
        return self._load_pickle(file.read())

    # --- files -------------------------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        """The path of a value's file. A name that was planted, and leads out of the directory, is no file."""
        if leads_out(name):
            raise FileNotFoundError(errno.ENOENT, "the name leads out of the cache's directory", name)
        return os.path.join(self._directory, name)

    def filename(self, key: Any = UNKNOWN, value: Any = UNKNOWN) -> tuple[str, str]:
        """The name of a new file, relative to the directory, and its path.

        Args:
            key: the key, for a subclass that names files by it. For ``push`` it is not known.
            value: the value.
        """
        name = os.urandom(16).hex()
        relative = os.path.join(name[:2], name[2:4], name[4:] + ".val")
        return relative, os.path.join(self._directory, relative)

    def remove(self, file_path: str) -> None:
        """Remove a file, given by its name, and the directories that are empty then. It need not exist."""
        with suppress(OSError):
            _remove(self._path(file_path))


def leads_out(name: str, rules: ModuleType = os.path) -> bool:
    """Whether a name that somebody may have planted does not lead below the directory that it is joined to.

    >>> import ntpath
    >>> leads_out("ab/cd.val", ntpath), leads_out("a/../b", ntpath), leads_out("c:b", ntpath), leads_out("c:b")
    (False, True, True, False)
    """
    parts = name.replace(rules.altsep or rules.sep, rules.sep).split(rules.sep)
    return bool(rules.splitdrive(name)[0]) or not parts[0] or rules.pardir in parts


def _remove(path: str) -> None:
    """Remove a file, and the directories that are empty then."""
    with suppress(OSError):  # another process may remove it, too
        remove(path)
    with suppress(OSError):
        os.removedirs(os.path.dirname(path))


class JSONDisk(Disk):
    """Stores keys and values as compressed JSON. What is read is what JSON makes of it: a tuple comes back as a list.

    Args:
        directory: as for :class:`Disk`.
        compress_level: of zlib, 0 to 9.
        kwargs: further arguments of :class:`Disk`.

    >>> disk = JSONDisk("/nowhere", min_file_size=100, pickle_protocol=5)
    >>> disk.get(*disk.put((1, "a")))
    [1, 'a']
    """

    def __init__(self, directory: str, compress_level: int = 1, **kwargs: Any) -> None:
        self.compress_level = compress_level
        super().__init__(directory, **kwargs)

    def _compressed(self, value: Any) -> bytes:
        return zlib.compress(json.dumps(value).encode("utf-8"), self.compress_level)

    def put(self, key: Any) -> tuple[Any, bool]:
        return super().put(self._compressed(key))

    def get(self, key: Any, raw: bool) -> Any:
        return json.loads(zlib.decompress(super().get(key, raw)).decode("utf-8"))

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str | None, Any]:
        return super().store(value if read else self._compressed(value), read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        data = super().fetch(mode, filename, value, read)
        return data if read else json.loads(zlib.decompress(data).decode("utf-8"))


for _public in (Disk, JSONDisk):
    _public.__module__ = "coshelf.diskcache.core"
