"""Has the suite of hishel run with shelves in place of the storages that it brings."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from coshelf.contrib.hishel import AsyncCoshelfStorage, CoshelfStorage

_NUMBERS = itertools.count()


def place(kind: str) -> str:
    """A new shelf: where the suite has its SQLite storage, one on lmdb; where it has Redis, one on SQLite."""
    engine = {"sqlite": "lmdb", "redis": "sqlite"}[kind]
    return f"{engine}:{tempfile.gettempdir()}/{os.getpid()}-{next(_NUMBERS)}.shelf"


def new_storage(kind: str = "sqlite", **options: Any) -> CoshelfStorage:
    return CoshelfStorage(place(kind), **options)


async def new_async_storage(kind: str = "sqlite", **options: Any) -> AsyncCoshelfStorage:
    return AsyncCoshelfStorage(place(kind), **options)


def like_sqlite(kind: type, *, connection: object = None, database_path: object = None, **options: Any) -> Any:
    """A storage that is given what the suite gives a SQLite storage."""
    return kind(f"{database_path}.shelf" if database_path else place("sqlite"), **options)


def rows(storage: CoshelfStorage) -> int:
    """How many responses there are, complete or not."""
    return len({key[1] for key in storage._part.shelf})


async def async_rows(storage: AsyncCoshelfStorage) -> int:
    return len({key[1] for key in storage._part.part.shelf})


def chunk_rows(storage: CoshelfStorage) -> int:
    return sum(key[0] == "chunk" for key in storage._part.shelf)


async def async_chunk_rows(storage: AsyncCoshelfStorage) -> int:
    return sum(key[0] == "chunk" for key in storage._part.part.shelf)


@pytest.fixture(autouse=True)
def _clock(request: pytest.FixtureRequest) -> Iterator[None]:
    """Begin each test when its entries are stored. At any other time, a flush would find that they have expired."""
    start = getattr(request.module, "START", None)
    with time_machine.travel(start, tick=True) if start else contextlib.nullcontext():
        yield


@pytest.fixture(autouse=True)
def _ours(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put our storages in the place of the suite's own, and what it counts with its SQL."""
    module = request.module
    is_async = "async" in module.__name__
    for name, sync, tasks in (
        ("new_storage", new_storage, new_async_storage),
        ("rows", rows, async_rows),
        ("chunk_rows", chunk_rows, async_chunk_rows),
    ):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, tasks if is_async else sync)
    if "httpx" not in module.__name__:
        for name, kind in (("SqliteStorage", CoshelfStorage), ("AsyncSqliteStorage", AsyncCoshelfStorage)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, functools.partial(like_sqlite, kind))


@pytest.fixture
def use_temp_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
