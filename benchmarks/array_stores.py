"""The stores of arrays that large_arrays.py compares: one small class for each, all with the same few methods."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import numpy as np

import coshelf
from coshelf.engines.lmdb.blobs import blob_file
from coshelf.engines.lmdb.blobs.checksums import PLAIN

__all__ = ["STORES", "ArrayStore", "is_here", "made"]

Array = np.ndarray[Any, Any]


class ArrayStore:
    """Arrays by name, in a directory. An array is durable when :meth:`write` returns, or else after :meth:`settle`."""

    needs = "numpy"

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.store: Any = None

    def open(self) -> None:
        """Do nothing. A store that has one file for each array needs no opening."""

    def close(self) -> None:
        """Do nothing. A store that has one file for each array needs no closing."""

    def write(self, name: str, array: Array) -> None:
        raise NotImplementedError

    def write_all(self, arrays: Mapping[str, Array]) -> None:
        for name, array in arrays.items():
            self.write(name, array)

    def settle(self, names: list[str]) -> None:
        """Make the arrays of these names durable."""
        raise NotImplementedError

    def read(self, name: str) -> Array:
        raise NotImplementedError

    def remove(self, name: str) -> None:
        raise NotImplementedError


class Coshelf(ArrayStore):
    options: dict[str, Any] = {}  # noqa: RUF012 (overridden, not changed)

    def open(self) -> None:
        self.store = coshelf.open(os.path.join(self.directory, "a.shelf"), **self.options)

    def close(self) -> None:
        self.store.close()

    def write(self, name: str, array: Array) -> None:
        self.store[name] = array

    def settle(self, names: list[str]) -> None:
        self.store.sync()

    def read(self, name: str) -> Array:
        found: Array = self.store[name]
        return found

    def remove(self, name: str) -> None:
        del self.store[name]


class CoshelfPlain(Coshelf):
    """coshelf as it is where zlib-ng is not installed."""

    def write(self, name: str, array: Array) -> None:
        with patch.object(blob_file, "fastest", lambda: PLAIN):
            self.store[name] = array


class CoshelfPlainDurable(CoshelfPlain):
    options = {"durability": "commit"}  # noqa: RUF012


class CoshelfUpdate(Coshelf):
    def write_all(self, arrays: Mapping[str, Array]) -> None:
        self.store.update(arrays)


class CoshelfDurable(Coshelf):
    options = {"durability": "commit"}  # noqa: RUF012


class CoshelfCopy(Coshelf):
    def read(self, name: str) -> Array:
        found: Array = self.store.get(name, copy=True)
        return found


class CoshelfPickle(Coshelf):
    """The array's bytes are in the record, not in a blob."""

    options = {"protocol": 4}  # noqa: RUF012


class CoshelfPickleUpdate(CoshelfPickle, CoshelfUpdate):
    pass


class _Files(ArrayStore):
    suffix = ".npy"

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name + self.suffix)

    def settle(self, names: list[str]) -> None:
        for name in names:
            _sync(self.path(name))
        _sync(self.directory)

    def remove(self, name: str) -> None:
        os.remove(self.path(name))


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class NumpyFiles(_Files):
    def write(self, name: str, array: Array) -> None:
        np.save(self.path(name), array)

    def read(self, name: str) -> Array:
        found: Array = np.load(self.path(name))
        return found


class NumpyMapped(NumpyFiles):
    def read(self, name: str) -> Array:
        found: Array = np.load(self.path(name), mmap_mode="r")
        return found


class NumpyDurable(NumpyFiles):
    def write(self, name: str, array: Array) -> None:
        with open(self.path(name), "wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
        _sync(self.directory)

    def settle(self, names: list[str]) -> None:
        """Do nothing. An array is durable when :meth:`write` returns."""


class JoblibFiles(_Files):
    needs = "joblib"
    suffix = ".joblib"

    def write(self, name: str, array: Array) -> None:
        import joblib

        joblib.dump(array, self.path(name))

    def read(self, name: str) -> Array:
        import joblib

        found: Array = joblib.load(self.path(name))
        return found


class JoblibMapped(JoblibFiles):
    def read(self, name: str) -> Array:
        import joblib

        found: Array = joblib.load(self.path(name), mmap_mode="r")
        return found


class DiskCache(ArrayStore):
    needs = "diskcache"

    def open(self) -> None:
        import diskcache

        self.store = diskcache.Cache(
            os.path.join(self.directory, "diskcache"), eviction_policy="none", size_limit=1 << 40
        )

    def close(self) -> None:
        self.store.close()

    def write(self, name: str, array: Array) -> None:
        self.store[name] = array

    def settle(self, names: list[str]) -> None:
        for directory, _, files in os.walk(self.store.directory):
            for file in files:
                _sync(os.path.join(directory, file))
            _sync(directory)

    def read(self, name: str) -> Array:
        found: Array = self.store[name]
        return found

    def remove(self, name: str) -> None:
        del self.store[name]


STORES: dict[str, type[ArrayStore]] = {
    "coshelf": Coshelf,
    "coshelf, update()": CoshelfUpdate,
    'coshelf, durability="commit"': CoshelfDurable,
    "coshelf, without zlib-ng": CoshelfPlain,
    'coshelf, durability="commit", without zlib-ng': CoshelfPlainDurable,
    "coshelf, get(copy=True)": CoshelfCopy,
    "coshelf, in the record (protocol=4)": CoshelfPickle,
    "coshelf, in the record, update()": CoshelfPickleUpdate,
    "numpy.save, numpy.load": NumpyFiles,
    'numpy.load(mmap_mode="r")': NumpyMapped,
    "numpy.save, fsync of file and directory": NumpyDurable,
    "joblib": JoblibFiles,
    'joblib, mmap_mode="r"': JoblibMapped,
    "diskcache": DiskCache,
}


def made(name: str, directory: str) -> ArrayStore:
    """An open store. Its directory is made if it does not exist."""
    os.makedirs(directory, exist_ok=True)
    store = STORES[name](directory)
    store.open()
    return store


def is_here(name: str) -> bool:
    """Whether the package that the store needs is installed."""
    import importlib.util

    return importlib.util.find_spec(STORES[name].needs) is not None
