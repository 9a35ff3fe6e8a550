"""Faults of sqlitedict, one function each: ``python sqlitedict_faults.py``.

Prints the table of docs/coming-from-sqlitedict.md, for sqlitedict and for coshelf.sqlitedict. Each fault is tried in a
process of its own, which is killed if it does not end.
"""

from __future__ import annotations

import copy
import importlib
import logging
import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

MODULES = ("sqlitedict", "coshelf.sqlitedict")
PATIENCE = 60.0
"""Seconds after which a process hangs."""


def end_of_block(module: Any, place: Path) -> object:
    with module.SqliteDict(place / "db") as table:
        table["a"] = 1
    return module.SqliteDict(place / "db").get("a", "nothing")


def fork(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db", autocommit=True)
    table["a"] = 1
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(table["a"]).encode())
        os._exit(0)
    os.close(writing)
    found = os.read(reading, 10).decode()
    os.waitpid(pid, 0)
    return found


def _where(table: Any, store: Callable[[], object]) -> str:
    """Which call raises the error of a call."""
    try:
        store()
    except Exception:
        return "that call"
    try:
        table.get("other")
        time.sleep(1)
        table.get("other")
    except Exception:
        return "a later call"
    return "none"


def value_that_sqlite_refuses(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db", encode=lambda value: value)
    return _where(table, lambda: table.__setitem__("a", [1]))


def tuple_as_key(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db")
    return _where(table, lambda: table.__setitem__(("a", 1), 1))


def none_as_key(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db")
    try:
        table[None] = 1
        table[None] = 2
    except TypeError:
        return "is refused"
    return f"{len(table)} entries; `None in d` is {None in table}"


def lock_of_another(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db", timeout=0.1)
    other = sqlite3.connect(place / "db")
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    where = _where(table, lambda: table.__setitem__("a", 1))
    waited = time.monotonic() - begun
    other.close()
    return f"{where}, after {'5 s' if waited > 4 else 'less'}"


def reading_what_is_missing(module: Any, place: Path) -> object:
    try:
        module.SqliteDict(place / "db", flag="r")
    except (RuntimeError, OSError):
        time.sleep(0.3)  # for the thread of sqlitedict, which may make the file later
        return "an empty file" if (place / "db").exists() else "nothing"
    return "no error"


def reader_that_writes(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db")
    table.commit()
    reader = module.SqliteDict(place / "db", flag="r")
    try:
        reader.conn.execute("INSERT INTO unnamed VALUES ('a', x'00')")
        reader.conn.commit()
    except sqlite3.OperationalError:
        pass
    return len(table)


def connection_of_get_tablenames(module: Any, place: Path) -> object:
    module.SqliteDict(place / "db").close()
    made = []
    connect = sqlite3.connect

    def recording(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made.append(connect(*arguments, **options))
        return made[-1]

    sqlite3.connect = recording
    try:
        module.SqliteDict.get_tablenames(place / "db")
    finally:
        sqlite3.connect = connect
    try:
        made[-1].execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return "closed"
    return "open"


class Planted:
    """Its pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def planted_value(module: Any, place: Path) -> object:
    with closing(sqlite3.connect(place / "db")) as database, database:
        database.execute("CREATE TABLE unnamed (key TEXT PRIMARY KEY, value BLOB)")
        database.execute("INSERT INTO unnamed VALUES ('a', ?)", (pickle.dumps(Planted(place / "ran")),))
    try:
        module.SqliteDict(place / "db")["a"]
    except ValueError:
        return "an error"
    return "runs" if (place / "ran").exists() else "does not run"


def copied(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db", autocommit=True)
    table["a"] = 1
    try:
        copy.copy(table)
    except Exception as error:
        del error
    return table["a"]


def half_an_update(module: Any, place: Path) -> object:
    table = module.SqliteDict(place / "db", autocommit=True, encode=lambda value: value)
    try:
        table.update([("a", 1), ("b", [2])])
        len(table)
    except sqlite3.Error:
        pass
    return len(table)


def items_taken_twice(module: Any, place: Path, number: int = 400) -> object:
    table = module.SqliteDict(place / "db", autocommit=True)
    table.update((str(key), key) for key in range(number))
    taken = []

    def take() -> None:
        own = module.SqliteDict(place / "db", autocommit=True)
        while True:
            try:
                taken.append(own.popitem())
            except KeyError:
                if not own:
                    return

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken)


def new_over_a_text(module: Any, place: Path) -> object:
    (place / "notes.txt").write_text("my notes, " * 100)
    try:
        module.SqliteDict(place / "notes.txt", flag="n").close()
    except sqlite3.DatabaseError:
        return "stays, with an error"
    return "stays" if (place / "notes.txt").read_bytes().startswith(b"my") else "is deleted"


def beside_a_log(module: Any, place: Path) -> object:
    first = module.SqliteDict(place / "db", journal_mode="WAL", autocommit=True)
    first["a"] = 1
    try:
        second = module.SqliteDict(place / "db")
    except sqlite3.OperationalError as error:
        return str(error)
    return second["a"]


def threads_of_an_object(module: Any, place: Path) -> object:
    before = threading.active_count()
    table = module.SqliteDict(place / "db")
    return threading.active_count() - before + 0 * len(table)


FAULTS: dict[str, tuple[str, Callable[[Any, Path], object]]] = {
    each.__name__: (words, each)
    for words, each in (
        ("`with SqliteDict(path) as d: d['a'] = 1`; afterwards `a` has", end_of_block),
        ("a forked child reads `d['a']`, which is 1", fork),
        ("`encode` gives a list, which SQLite refuses: the error comes from", value_that_sqlite_refuses),
        ("a tuple as key: the error comes from", tuple_as_key),
        ("`d[None] = 1; d[None] = 2`", none_as_key),
        ("another program holds the lock, `timeout=0.1`: the error comes from", lock_of_another),
        ('flag "r", the file is missing: afterwards there is', reading_what_is_missing),
        ('flag "r", an INSERT by `d.conn.execute`: rows', reader_that_writes),
        ("the connection of `get_tablenames`, afterwards", connection_of_get_tablenames),
        ("a pickle that was planted in a file of another origin", planted_value),
        ("after `copy.copy(d)`, `d['a']`, which is 1", copied),
        ("`update` of two items, of which the second is refused: stored", half_an_update),
        ("4 threads empty 400 items by `popitem`, each with an object of its own: items they got", items_taken_twice),
        ('flag "n" for the path of a text', new_over_a_text),
        ("opening beside an object with `journal_mode='WAL'`: `d['a']`, which is 1", beside_a_log),
        ("threads of each object", threads_of_an_object),
    )
}


def tried(module: str, fault: str, place: Path, patience: float = PATIENCE) -> str:
    """What a process of its own finds."""
    command = [sys.executable, __file__, module, fault, str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        return "hangs"
    return done.stdout.strip() or f"ends with {done.returncode}: {done.stderr[-1000:]}"


def main() -> None:
    if len(sys.argv) == 4:
        logging.disable(logging.CRITICAL)
        threading.excepthook = lambda _: None
        module = importlib.import_module(sys.argv[1])
        print(FAULTS[sys.argv[2]][1](module, Path(sys.argv[3])), flush=True)
        os._exit(0)  # threads of sqlitedict may not end
    print("| | sqlitedict | coshelf.sqlitedict |\n| --- | --- | --- |")
    for name, (words, _) in FAULTS.items():
        cells = []
        for module in MODULES:
            with tempfile.TemporaryDirectory() as place:
                cells.append(tried(module, name, Path(place), 20.0))
        print(f"| {words} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
