"""What an engine is: ordered bytes to bytes, atomic batches, and honest words about what it can do.

An engine knows nothing of Python objects. It is opened by a function ``open_engine(target, options)`` that its module
offers; third parties register theirs in the entry-point group ``coshelf.engines`` under a URL scheme. The tests in
:mod:`coshelf.testing` say whether it keeps the contract. docs/writing-an-engine.md shows how to write one.
"""

from coshelf.contract.engine import (
    ABSENT,
    EVERYTHING_GONE,
    RESERVED,
    Absent,
    Batch,
    Capabilities,
    Doorbell,
    Durability,
    Engine,
    Entry,
    Exclusive,
    Figures,
    FileReader,
    Flag,
    OpenOptions,
    PollingBell,
    Reader,
    SelfChecking,
    Snapshot,
    refuse_wide,
)

__all__ = [
    "ABSENT",
    "EVERYTHING_GONE",
    "RESERVED",
    "Absent",
    "Batch",
    "Capabilities",
    "Doorbell",
    "Durability",
    "Engine",
    "Entry",
    "Exclusive",
    "Figures",
    "FileReader",
    "Flag",
    "OpenOptions",
    "PollingBell",
    "Reader",
    "SelfChecking",
    "Snapshot",
    "refuse_wide",
]
