"""A shelf on an engine beside a plain dict: after the same operations both are equal."""

from __future__ import annotations

from coshelf.testing.machine.cursors import CursorRules
from coshelf.testing.machine.many_entries import ManyEntriesRules
from coshelf.testing.machine.model import Model, canonical, order
from coshelf.testing.machine.one_entry import OneEntryRules
from coshelf.testing.machine.opening import OpeningRules
from coshelf.testing.machine.snapshots import SnapshotRules
from coshelf.testing.machine.strategies import keys
from coshelf.testing.machine.times import ExpiryRules
from coshelf.testing.machine.transactions import TransactionRules
from coshelf.testing.machine.views import ViewRules
from coshelf.testing.machine.watching import WatchRules

__all__ = ["Model", "ShelfMachine", "canonical", "keys", "order"]


class ShelfMachine(
    ExpiryRules,
    WatchRules,
    OneEntryRules,
    ManyEntriesRules,
    ViewRules,
    CursorRules,
    TransactionRules,
    SnapshotRules,
    OpeningRules,
):
    """Does every operation on a shelf, and on a plain dict, in any order.

    While a transaction is open the rules use it, so that all rules are tried inside a transaction as well. To use the
    machine, subclass it and override :meth:`open_shelf`. Override :meth:`reopen`, too, if closing takes more than
    ``shelf.close()``. Assign the subclass's ``TestCase`` to a name that pytest finds.

    Attributes:
        shelf: the shelf under test.
        target: the shelf, or the transaction that is open on it.
        model: the expected content of the target.
        committed: the expected content of the shelf.
        longest_key: the limit of an encoded key in bytes, with the bytes of namespaces. None: there is no limit.
    """
