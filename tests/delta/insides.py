"""What tests look at inside an open shelf, or in its files. Workers import it, too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from coshelf import native, records
from coshelf.engines.lmdb.delta import deltas as deltas_module
from coshelf.engines.lmdb.delta import files
from coshelf.engines.lmdb.delta.delta import Delta, is_deletion
from coshelf.engines.lmdb.delta.table import TableDelta
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.pages.header import newest_transaction
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.system import failpoints
from coshelf.system.processes import boot
from coshelf.system.threads.cooperation import ServiceThread
from service_threads import service_threads

MODES = {**({"LOG": 0o600} if native.in_use else {}), "MAPPED": 0o600, "PLAIN": 0o660, "DIRECT": 0o600}
"""The kinds of delta that this process can have, with the mode of a shelf that has it; DIRECT is none."""

_PATIENCE = 300.0


def until(condition: Callable[[], object]) -> None:
    """Return as soon as something holds that another thread or process brings about."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


def environment_of(shelf: Any) -> Environment:
    environment: Environment = shelf._handle.engine._environment
    return environment


def base_row(shelf: Any) -> ShelfRow:
    """The shelf row as the base has it now."""
    environment = environment_of(shelf)
    with environment.inside(), environment.base.begin() as transaction:
        return unpack_row(transaction.get(ROW_KEY), environment.path)


def is_clean(shelf: Any) -> bool:
    return environment_of(shelf).page.delta.is_clean()


def current_delta(shelf: Any) -> Delta:
    environment = environment_of(shelf)
    with environment.inside():
        return environment.current_delta()


def current_table(shelf: Any) -> TableDelta:
    """The delta of a shelf that has a table."""
    delta = current_delta(shelf)
    assert isinstance(delta, TableDelta)
    return delta


def last_number(shelf: Any) -> int:
    """Of the commits so far."""
    return current_delta(shelf).last_number()


def waiting(shelf: Any) -> dict[bytes, bool]:
    """The keys for which the delta has something that the base has not, and whether that is a deletion."""
    rows = current_delta(shelf).everything()
    flushed = base_row(shelf).sequence
    return {key: is_deletion(row) for key, row in rows if records.version(row) > flushed}


def table_pages(shelf: Any) -> int:
    """How much of its file the delta, a table, has ever used."""
    pages: int = current_table(shelf).lmdb.info()["last_pgno"]
    return pages + 1


def commits_to_base(path: str) -> int:
    """The number of the base's last LMDB transaction: each flush is one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return newest_transaction(descriptor, path)
    finally:
        os.close(descriptor)


def flush_threads() -> list[ServiceThread]:
    return service_threads("coshelf-flush")


def flush_all(shelf: Any) -> None:
    """Have the delta empty and no flush thread."""
    shelf.sync()
    until(lambda: not flush_threads())
    assert is_clean(shelf)


class _NoModule:
    in_use = shares_memory = False


def use_tables() -> None:
    """From here on deltas that this process makes are tables, as they are without the module in C."""
    files.native = _NoModule  # type: ignore[assignment]


def use_kind(kind: str) -> None:
    """In a worker: from here on shelves that this process opens first have a delta of this kind, or none."""
    if kind == "DIRECT":
        boot._BOOT_ID = "/proc/there/is/no/boot_id"
    elif kind != "LOG":
        use_tables()


def use_small_maps(size: int) -> None:
    """In a worker: tables that it makes are used up soon."""
    deltas_module._TABLE_MAPS = (size,)


def arm(name: str) -> None:
    """In a worker with the failpoint ``name=...@1000``: from here on the next time is the 1000th."""
    failpoints._turns[name] = 999
