"""Which tests run where something is lacking: few telling ones in `make test`, and all in `make test-long`."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RUNS", "Run"]

_CLAIMS = "tests/platforms/claims"
_CONTRACT = "tests/engines/test_contract.py"
_MACHINE = "tests/engines/test_machine.py"


class Run(NamedTuple):
    """What runs in one environment.

    Attributes:
        claims: which claims run in the short form, as pytest's ``-k``.
        short: tests beside them in the short form, as arguments of pytest.
        whole: tests beside the claims in the whole form.
        possible: which claims can hold at all, as pytest's ``-k``; empty: all.
    """

    claims: str
    short: tuple[str, ...] = ()
    whole: tuple[str, ...] = (_CONTRACT, _MACHINE)
    possible: str = ""


RUNS = {
    "acl": Run("path and (foreign or ones_own) or directory and ones_own"),
    "copy_and_memory": Run("path and (backup or durable)"),
    "ctypes": Run("path and (counts or lock_of_a_killed)"),
    "fallocate": Run("path and (large or durable or reads)"),
    "flock": Run("memory", whole=(), possible="memory"),
    "folded": Run("twin"),
    "fork_hooks": Run("path and (counts or tasks) or sqlite and tasks"),
    "futex": Run("path and (counts or wait_ends or lock_of_a_killed)"),
    "inotify": Run("directory and (watcher or wait_ends)"),
    "native": Run("path and (counts or queue)"),
    "o_flags": Run("sqlite and (ones_own or durable)"),
    "ofd_locks": Run("path and (counts or killed)"),
    "pidfd": Run("(path or sqlite) and lock_of_a_killed"),
    "pidfd_permission": Run("path and lock_of_a_killed"),
    "poll": Run("(path or directory) and (lock_of_a_killed or wait_ends)"),
    "proc": Run("path and (lock or counts) or sqlite and lock_of_a_killed"),
    "renameat2": Run("path and (backup or exported)"),
    "robust_mutexes": Run("path and (lock or queue) or sqlite and lock_of_a_killed"),
    "shared_mutexes": Run("path and (lock or queue)"),
    "statfs": Run("memory or path and large"),
    "syncfs": Run("path and (durable or backup)"),
    "users": Run("path and (ones_own or lock_is_held)"),
    "macos": Run("path or directory and (counts or watcher)", (f"{_CONTRACT}::TestLmdb", f"{_MACHINE}::TestLmdb")),
    "macos_ofd": Run("path and (counts or killed or lock)"),
    "windows": Run(
        "not directory and not sqlite",  # a path means the sqlite engine there
        (f"{_CONTRACT}::TestSqlite", f"{_MACHINE}::TestSqlite"),
        (f"{_CONTRACT}::TestSqlite", f"{_CONTRACT}::TestMemory", f"{_MACHINE}::TestSqlite"),
        "not directory",
    ),
    "musl": Run("path and (counts or lock or queue or large)", (f"{_CONTRACT}::TestLmdb", f"{_MACHINE}::TestLmdb")),
}
"""By facilities and profiles of ``bootstrap/lacking/tables.py``."""
