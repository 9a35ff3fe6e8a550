"""Chooses how the processes that share a shelf take turns: by a table in shared memory, or by rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from coshelf.contract import Engine, OpenOptions
from coshelf.engines.sqlite.sidecars import Sidecars
from coshelf.system.locks import whole_file

if TYPE_CHECKING:
    from coshelf.engines.sqlite.lines import SqliteLines
    from coshelf.engines.turn_table.table import TableTurns

__all__ = ["turns_of"]


def turns_of(
    engine: Engine,
    path: str,
    sidecars: Sidecars,
    options: OpenOptions,
    open_engine: Callable[[str, OpenOptions], Engine],
    refuse_use: Callable[[], object],
) -> TableTurns | SqliteLines:
    """The lines of a shelf.

    A table needs what POSIX has: locks of open files, and mutexes in shared memory. All processes that can share the
    file have them, or none has: a file system that two kernels share is refused. So all choose the same.
    """
    if whole_file.has_flock:
        from coshelf.engines.sqlite.turn_table import SqliteTableHome
        from coshelf.engines.turn_table.table import TableTurns

        return TableTurns(SqliteTableHome(engine, path, sidecars, options.timeout, refuse_use))
    from coshelf.engines.sqlite.lines import SqliteLines

    return SqliteLines(path, engine.where, options, open_engine, refuse_use)
