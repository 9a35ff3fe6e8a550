"""What a path means: the engine of the file that is there, or of the file that will be made.

The content of a file decides, whatever its name. A new file is made by the lmdb engine where that can run, and by the
sqlite engine elsewhere. docs/design.md, "What a path means".
"""

from __future__ import annotations

import os
from typing import Literal

from coshelf.engines.beginnings import kind_at
from coshelf.errors import NotAShelf, Unsupported
from coshelf.system.files.paths import names_directory
from coshelf.system.locks import whole_file

__all__ = [
    "EngineOfPaths",
    "engine_of",
    "engine_of_new_files",
    "refuse_another_engine",
    "refuse_databases",
    "refuse_where_it_cannot_run",
]

EngineOfPaths = Literal["files", "lmdb", "sqlite"]

_WHY = "it needs locks and files as POSIX has them, and this system has others"


def engine_of(path: str) -> EngineOfPaths:
    """The engine for a path.

    Raises:
        NotAShelf: the file is a SQLite database of another program.
        Unsupported: the file is a shelf of the lmdb engine, which cannot run here.
    """
    if names_directory(path):
        return "files"
    kind = kind_at(path)
    if kind == "sqlite shelf":
        return "sqlite"
    if kind == "sqlite":
        raise _database(path)
    engine = engine_of_new_files()
    if kind == "lmdb" and engine != "lmdb":
        raise Unsupported(
            f"{path} is a shelf of the lmdb engine, which cannot run here: {_WHY}. It has not been changed\n"
            "  hint: where it was made, `coshelf copy OLD sqlite:NEW` makes a file that every system opens"
        )
    return engine


def engine_of_new_files() -> Literal["lmdb", "sqlite"]:
    """The engine that makes the file of a new shelf at a path."""
    return "lmdb" if whole_file.has_flock else "sqlite"


def refuse_where_it_cannot_run(engine: str) -> None:
    """Raise :class:`Unsupported` for an engine that needs POSIX, where there is none."""
    if engine in ("files", "lmdb") and not whole_file.has_flock:
        raise Unsupported(
            f"the {engine} engine cannot run here: {_WHY}\n"
            "  hint: a path without a scheme, or sqlite:PATH, is a shelf in a SQLite file"
        )


def refuse_another_engine(path: str) -> None:
    """Raise :class:`NotAShelf` for the file of a database under the URL of the lmdb engine.

    That engine would open the file itself, and this process would lose the locks that SQLite has on it.
    """
    kind = kind_at(path)
    if kind == "sqlite":
        raise _database(path)
    if kind == "sqlite shelf":
        raise NotAShelf(
            f"{path} is a SQLite database: a shelf of the sqlite engine, not of lmdb; it has not been changed\n"
            "  hint: its path alone opens it, without 'lmdb:'"
        )


def _database(path: str) -> NotAShelf:
    return NotAShelf(
        f"{path} is a SQLite database, not a shelf ({os.path.getsize(path):,} bytes); it has not been changed\n"
        "  hint: choose another path for the shelf; `coshelf import OLD NEW` reads stores of shelve, dbm, "
        "pickleshare, sqlitedict and diskcache"
    )


def refuse_databases(path: str) -> None:
    """Raise :class:`Unsupported` for a SQLite database, which cannot be salvaged."""
    if kind_at(path) in ("sqlite", "sqlite shelf"):
        raise Unsupported(
            f"{path} is a SQLite database; coshelf salvages files of the lmdb engine\n"
            "  hint: `sqlite3 OLD .recover | sqlite3 NEW` copies what SQLite can read, to a file that coshelf.check "
            "then verifies"
        )
