"""The contract of engines as tests: each sentence of :mod:`coshelf.contract` is one claim here."""

from __future__ import annotations

from coshelf.testing.contract.capabilities import CapabilityTests
from coshelf.testing.contract.changes import ChangesTests
from coshelf.testing.contract.checks import CheckTests
from coshelf.testing.contract.commits import CommitTests
from coshelf.testing.contract.doorbell import DoorbellTests
from coshelf.testing.contract.exclusive_lock import ExclusiveLockTests
from coshelf.testing.contract.expiry import ExpiryTests
from coshelf.testing.contract.keys_and_values import KeyAndValueTests
from coshelf.testing.contract.opening import OpeningTests
from coshelf.testing.contract.reading import ReadingTests
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.scans import ScanTests
from coshelf.testing.contract.snapshots import SnapshotTests
from coshelf.testing.contract.tags import TagsTests
from coshelf.testing.contract.threads import ThreadTests
from coshelf.testing.contract.turns import TurnTests

__all__ = ["EngineContract", "needs"]


class EngineContract(
    # From the last to the first, because pytest runs inherited tests in that order.
    OpeningTests,
    TurnTests,
    ChangesTests,
    DoorbellTests,
    ExclusiveLockTests,
    TagsTests,
    ExpiryTests,
    SnapshotTests,
    ThreadTests,
    CheckTests,
    CommitTests,
    KeyAndValueTests,
    ScanTests,
    ReadingTests,
    CapabilityTests,
):
    """Tests that every engine passes. Inherit from it in a class named ``Test...``.

    A subclass overrides :meth:`open_engine`. It also overrides :meth:`reopen` if closing takes more than
    ``engine.close()``.

    Attributes:
        demands: capabilities that the engine must grant, written as in ``coshelf.open(require=...)``. A test is skipped
            if the capabilities do not grant what it needs. A demand makes sure that they do.
        share: the fraction of the usual entries and rounds, for engines where each is a request to a slow server.
    """
