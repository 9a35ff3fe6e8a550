"""The contract of an engine: ordered bytes to bytes, atomic batches, and a true account of what it can do.

An engine knows nothing of Python objects. Its module has a function ``open_engine(target, options)``, which opens it.
Third parties register theirs in the entry-point group ``coshelf.engines`` under a URL scheme. The tests in
:mod:`coshelf.testing` show whether an engine keeps the contract. docs/writing-an-engine.md shows how to write one.
"""

from coshelf.contract.batches import (
    ABSENT,
    CLAIMS,
    DEQUES,
    EVERYTHING_GONE,
    HISTORY,
    PASSING,
    QUEUES,
    RESERVED,
    TURNS,
    Absent,
    Batch,
    Entry,
)
from coshelf.contract.capabilities import Capabilities, Durability, Flag, OpenOptions
from coshelf.contract.changes import Change, Changes, Kind, Position
from coshelf.contract.engine import Engine, Exclusive
from coshelf.contract.optional import Compacting, Guarding, Markable, Measured, SelfChecking, TellsOrigin, distrust
from coshelf.contract.reading import Doorbell, PollingBell, Reader, Snapshot
from coshelf.contract.turns import BARRIER, Line, Place, Turns, Who

__all__ = [
    "ABSENT",
    "BARRIER",
    "CLAIMS",
    "DEQUES",
    "EVERYTHING_GONE",
    "HISTORY",
    "PASSING",
    "QUEUES",
    "RESERVED",
    "TURNS",
    "Absent",
    "Batch",
    "Capabilities",
    "Change",
    "Changes",
    "Compacting",
    "Doorbell",
    "Durability",
    "Engine",
    "Entry",
    "Exclusive",
    "Flag",
    "Guarding",
    "Kind",
    "Line",
    "Markable",
    "Measured",
    "OpenOptions",
    "Place",
    "PollingBell",
    "Position",
    "Reader",
    "SelfChecking",
    "Snapshot",
    "TellsOrigin",
    "Turns",
    "Who",
    "distrust",
]
