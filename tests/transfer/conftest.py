"""Fixtures for imports and exports: stores of other libraries, made by those libraries."""

from __future__ import annotations

import dbm.dumb
import os
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diskcache
import pickleshare
import pytest
import sqlitedict

CONTENT: dict[str, Any] = {"a": 1, "b/c": ["x", None, 2.5], "empty": "", "big": list(range(20_000))}


class Trap:
    """An object whose pickle makes a directory when it is unpickled."""

    def __init__(self, alarm: Path) -> None:
        self.alarm = str(alarm)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (self.alarm,)


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the trust marks of test shelves out of the user's home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))


def make_dumb(place: Path, content: dict[str, Any]) -> Path:
    with dbm.dumb.open(str(place / "old"), "n") as database:
        for key, value in content.items():
            database[key.encode()] = pickle.dumps(value)
    return place / "old"


def make_sqlite3(place: Path, content: dict[str, Any]) -> Path:
    """Make the same file as dbm.sqlite3 of Python 3.13."""
    with sqlite3.connect(place / "old") as connection:
        connection.execute("CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)")
        rows = [(key.encode(), pickle.dumps(value)) for key, value in content.items()]
        connection.executemany("INSERT INTO Dict VALUES (?, ?)", rows)
    connection.close()
    return place / "old"


def make_pickleshare(place: Path, content: dict[str, Any]) -> Path:
    pickleshare.PickleShareDB(place / "old").update(content)
    return place / "old"


def make_sqlitedict(place: Path, content: dict[str, Any]) -> Path:
    with sqlitedict.SqliteDict(place / "old.sqlite", autocommit=True) as database:
        database.update(content)
    return place / "old.sqlite"


def make_diskcache(place: Path, content: dict[str, Any]) -> Path:
    with diskcache.Cache(str(place / "old")) as cache:
        for key, value in content.items():
            cache[key] = value
    return place / "old"


def make_fanout(place: Path, content: dict[str, Any]) -> Path:
    with diskcache.FanoutCache(str(place / "old"), shards=3) as cache:
        for key, value in content.items():
            cache[key] = value
    return place / "old"


MAKERS = {
    "dbm.dumb": make_dumb,
    "dbm.sqlite3": make_sqlite3,
    "pickleshare": make_pickleshare,
    "sqlitedict": make_sqlitedict,
    "diskcache": make_diskcache,
    "diskcache, fanout": make_fanout,
}


@pytest.fixture(params=MAKERS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of source in turn."""
    return str(request.param)


@pytest.fixture
def make(kind: str, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Makes a source of the kind under test."""
    return lambda content: MAKERS[kind](tmp_path, content)
