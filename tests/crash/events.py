"""What programs did to one directory tree: writes, lengths, names and syncs, and what they said meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class File:
    """An inode, and its size at the end. ``mapped``: written through memory as well, where no trace sees it."""

    number: int
    size: int = 0
    mapped: bool = False


@dataclass(slots=True, eq=False)
class Directory:
    """A directory of the tree, or the tree itself."""

    path: bytes


Node = File | Directory


@dataclass(slots=True)
class Event:
    """Something that happened. ``covers`` is how many events had ended before this one began."""

    seconds: float = 0.0
    covers: int = 0


@dataclass(slots=True)
class Said(Event):
    """A message of the program."""

    text: str = ""


@dataclass(slots=True)
class Wrote(Event):
    """Data of a file; ``durable`` when the call returned, if it was opened with O_DSYNC."""

    file: File = field(default_factory=lambda: File(0))
    offset: int = 0
    data: bytes = b""
    durable: bool = False


@dataclass(slots=True)
class Sized(Event):
    """A file was given this length."""

    file: File = field(default_factory=lambda: File(0))
    size: int = 0


@dataclass(slots=True)
class Named(Event):
    """Names of a directory changed, in one step: to a file or directory, or None for a name that went."""

    directory: Directory = field(default_factory=lambda: Directory(b""))
    names: dict[bytes, Node | None] = field(default_factory=dict)


@dataclass(slots=True)
class Synced(Event):
    """All that had happened to a file, or to the names of a directory, is durable; to everything for None."""

    node: Node | None = None
