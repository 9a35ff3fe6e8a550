"""The contract of engines as tests: each sentence of :mod:`coshelf.contract` is one claim here."""

from __future__ import annotations

from coshelf.testing.contract.capabilities import CapabilityTests
from coshelf.testing.contract.checks import CheckTests
from coshelf.testing.contract.commits import CommitTests
from coshelf.testing.contract.doorbell import DoorbellTests
from coshelf.testing.contract.exclusive_lock import ExclusiveLockTests
from coshelf.testing.contract.keys_and_values import KeyAndValueTests
from coshelf.testing.contract.opening import OpeningTests
from coshelf.testing.contract.reading import ReadingTests
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.scans import ScanTests
from coshelf.testing.contract.snapshots import SnapshotTests
from coshelf.testing.contract.threads import ThreadTests

__all__ = ["EngineContract", "needs"]


class EngineContract(
    # From the last to the first, since pytest runs inherited tests in that order.
    OpeningTests,
    DoorbellTests,
    ExclusiveLockTests,
    SnapshotTests,
    ThreadTests,
    CheckTests,
    CommitTests,
    KeyAndValueTests,
    ScanTests,
    ReadingTests,
    CapabilityTests,
):
    """Tests that every engine passes. Inherit from it, in a class named ``Test...``, and say how to open the engine.

    A subclass overrides :meth:`open_engine`, and :meth:`reopen` where closing takes more than ``engine.close()``.

    Attributes:
        demands: what the engine must grant, written as in ``coshelf.open(require=...)``. A test is skipped only where
            the engine's capabilities do not grant what it is about; a demand makes sure that it is not.
        share: what part of the usual entries and rounds there are, where each of them is a request to a slow server.
    """
