"""A shelf on an engine against a plain dict: whatever is done to both, they stay equal."""

from __future__ import annotations

from coshelf.testing.machine.cursors import CursorRules
from coshelf.testing.machine.many_entries import ManyEntriesRules
from coshelf.testing.machine.model import Model, canonical, order
from coshelf.testing.machine.one_entry import OneEntryRules
from coshelf.testing.machine.opening import OpeningRules
from coshelf.testing.machine.snapshots import SnapshotRules
from coshelf.testing.machine.strategies import keys
from coshelf.testing.machine.transactions import TransactionRules
from coshelf.testing.machine.views import ViewRules

__all__ = ["Model", "ShelfMachine", "canonical", "keys", "order"]


class ShelfMachine(
    OneEntryRules, ManyEntriesRules, ViewRules, CursorRules, TransactionRules, SnapshotRules, OpeningRules
):
    """Does everything that can be done to a shelf, and to a plain dict, in any order.

    While a transaction is open the rules go through it, so that all of them are tried inside one as well. Subclass
    it, override :meth:`open_shelf` (and :meth:`reopen` where closing takes more than ``shelf.close()``), and let
    pytest find the subclass's ``TestCase``.

    Attributes:
        shelf: what was opened.
        target: the shelf, or the transaction that is open on it.
        model: what the target should hold.
        committed: what the shelf should hold.
        longest_key: bytes of an encoded key that the engine takes, with what namespaces add; None for no limit.
    """
