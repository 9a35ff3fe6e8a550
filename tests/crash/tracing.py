"""Reading the calls of a program as events in one directory tree."""

from __future__ import annotations

import os
from dataclasses import dataclass

from events import Directory, Event, File, Named, Node, Said, Sized, Synced, Wrote
from strace import Call, mentions

__all__ = ["Blind", "Reader"]

_DESCRIPTORS = b"/proc/self/fd/"


@dataclass(slots=True, eq=False)
class _Opened:
    """An open file description, which duplicates of a descriptor share."""

    node: Node
    flags: frozenset[str]
    position: int = 0


class Blind(AssertionError):
    """The program did something to its files that this recorder cannot follow."""


class Reader:
    """Turns calls into events. One reader follows a tree through the traces of several programs, one after another.

    ``root`` is the tree. Names that end in one of ``volatile`` may be mapped for writing: their contents after a power
    cut are anybody's guess, and nothing may depend on them. Programs must not fork.
    """

    def __init__(self, root: str, volatile: tuple[str, ...]) -> None:
        self.root = os.fsencode(root)
        self.volatile = tuple(os.fsencode(ending) for ending in volatile)
        self.tree = Directory(self.root)
        self.events: list[Event] = []
        self._names: dict[bytes, Node] = {self.root: self.tree}
        self._links: dict[bytes, Node | bytes] = {}  # that exist for a moment, and nothing depends on
        self._opened: dict[int, _Opened] = {}
        self._since: dict[int, int] = {}  # the line of the log that gave out a descriptor
        self._files = 0

    def add_directory(self, path: str) -> None:
        """A directory that is there from the beginning, and durable."""
        event = self._name(os.fsencode(path), Directory(os.fsencode(path)))
        self.events += [event, Synced(node=self.tree, covers=len(self.events) + 1)]

    def read(self, calls: list[Call]) -> None:
        """Append the events of one program."""
        self._opened, self._since = {}, {}
        ends: list[tuple[int, int]] = [(-1, len(self.events))]  # line of the log, events that had ended by then
        for call in calls:
            event = self._event(call)
            if event is None:
                continue
            event.seconds = call.seconds
            event.covers = next(events for line, events in reversed(ends) if line < call.started)
            self.events.append(event)
            ends.append((call.ended, len(self.events)))

    def _event(self, call: Call) -> Event | None:
        if call.result < 0 and call.name != "fcntl":
            return None
        handler = getattr(self, f"_{call.name}", None)
        if handler is not None:
            return handler(call)
        if mentions(call, self.root):
            raise Blind(f"{call.name} is not understood: {call}")
        return None

    def _path(self, call: Call, place: int, directory: int | None = None) -> bytes | None:
        """A path argument if it is inside the tree."""
        path = call.text(place)
        if directory is not None:
            path = os.path.normpath(os.path.join(call.path_of(directory), path))
        return path if path.startswith(self.root + b"/") or path == self.root else None

    def _at(self, call: Call, place: int = 0) -> _Opened | None:
        return self._opened.get(call.descriptor(place))

    # --- descriptors -------------------------------------------------------------------------------------------------

    def _openat(self, call: Call) -> Event | None:
        path = self._path(call, 1, 0)
        self._opened.pop(call.result, None)
        if path is None:
            return None
        flags = frozenset(call.arguments[2].split("|"))
        path = self._followed(path)
        node = path if isinstance(path, (File, Directory)) else self._names.get(path)
        event: Event | None = None
        if node is None:
            if "O_CREAT" not in flags:
                raise Blind(f"opened, but never made: {call}")
            assert isinstance(path, bytes)
            node = self._new_file()
            event = self._name(path, node)
        elif "O_TRUNC" in flags and isinstance(node, File):
            event = self._size(node, 0)
        self._opened[call.result] = _Opened(node, flags)
        self._since[call.result] = call.ended
        return event

    def _followed(self, path: bytes) -> bytes | Node:
        return self._links.get(path, path)

    def _close(self, call: Call) -> None:
        descriptor = call.descriptor(0)
        # Another thread may be given a descriptor, and say so, before the call returns that closed it.
        if descriptor in self._opened and self._since[descriptor] < call.started:
            del self._opened[descriptor]

    def _dup(self, call: Call) -> None:
        known = self._at(call)
        self._opened.pop(call.result, None)
        if known is not None:
            self._opened[call.result] = known
            self._since[call.result] = call.ended

    _dup2 = _dup3 = _dup

    def _fcntl(self, call: Call) -> None:
        if call.result >= 0 and call.arguments[1].startswith("F_DUPFD"):
            self._dup(call)

    def _lseek(self, call: Call) -> None:
        known = self._at(call)
        if known is not None:
            known.position = call.result

    def _mmap(self, call: Call) -> None:
        if "PROT_WRITE" not in call.arguments[2] or "MAP_SHARED" not in call.arguments[3] or "-1" in call.arguments[4]:
            return
        known = self._at(call, 4)
        if known is not None and isinstance(known.node, File):
            if not call.path_of(4).endswith(self.volatile):
                raise Blind(f"mapped for writing: {call.path_of(4)!r}")
            known.node.mapped = True

    # --- data --------------------------------------------------------------------------------------------------------

    def _wrote(self, call: Call, data: bytes, offset: int | None) -> Event | None:
        known = self._at(call)
        if known is None:
            return None
        file = _file(known)
        data = data[: call.result]
        assert len(data) == call.result, call
        if "O_APPEND" in known.flags:
            offset = file.size
        elif offset is None:
            offset = known.position
            known.position += call.result
        file.size = max(file.size, offset + len(data))
        return Wrote(file=file, offset=offset, data=data, durable=bool(known.flags & {"O_DSYNC", "O_SYNC"}))

    def _write(self, call: Call) -> Event | None:
        return self._wrote(call, call.text(1), None) if self._at(call) else None

    def _pwrite64(self, call: Call) -> Event | None:
        return self._wrote(call, call.text(1), call.number(3)) if self._at(call) else None

    def _writev(self, call: Call) -> Event | None:
        return self._wrote(call, call.parts(1), None) if self._at(call) else None

    def _pwritev(self, call: Call) -> Event | None:
        return self._wrote(call, call.parts(1), call.number(3)) if self._at(call) else None

    def _ftruncate(self, call: Call) -> Event | None:
        known = self._at(call)
        return self._size(_file(known), call.number(1)) if known else None

    def _truncate(self, call: Call) -> Event | None:
        path = self._path(call, 0)
        if path is None:
            return None
        node = self._followed(path)
        node = node if isinstance(node, (File, Directory)) else self._names[node]
        assert isinstance(node, File)
        return self._size(node, call.number(1))

    def _fallocate(self, call: Call) -> Event | None:
        known = self._at(call)
        if known is None:
            return None
        if call.arguments[1] not in ("0", "FALLOC_FL_KEEP_SIZE"):
            raise Blind(f"not a plain allocation: {call}")
        file = _file(known)
        end = call.number(2) + call.number(3) if call.arguments[1] == "0" else 0
        return self._size(file, max(file.size, end))

    def _size(self, file: File, size: int) -> Event:
        file.size = size
        return Sized(file=file, size=size)

    def _fsync(self, call: Call) -> Event | None:
        known = self._at(call)
        return Synced(node=known.node) if known else None

    _fdatasync = _fsync

    def _sync(self, call: Call) -> Event:
        return Synced(node=None)

    _syncfs = _sync

    # --- names -------------------------------------------------------------------------------------------------------

    def _new_file(self) -> File:
        self._files += 1
        return File(self._files)

    def _name(self, path: bytes, node: Node | None) -> Named:
        directory, name = os.path.split(path)
        parent = self._names[directory]
        assert isinstance(parent, Directory)
        if node is None:
            self._names.pop(path)
        else:
            self._names[path] = node
        return Named(directory=parent, names={name: node})

    def _linked(self, source: bytes | None, target: bytes | None) -> Event | None:
        if target is None:
            return None
        if source is None:
            raise Blind(f"linked from outside: {target!r}")
        return self._name(target, self._names[source])

    def _renamed(self, source: bytes | None, target: bytes | None) -> Event | None:
        if source is None and target is None:
            return None
        if source is None or target is None or os.path.dirname(source) != os.path.dirname(target):
            raise Blind(f"renamed between directories: {source!r}, {target!r}")
        node = self._names[source]
        if isinstance(node, Directory):
            raise Blind(f"a directory was renamed: {source!r}")
        gone = self._name(source, None)
        made = self._name(target, node)
        return Named(directory=gone.directory, names={**gone.names, **made.names})

    def _removed(self, path: bytes | None) -> Event | None:
        if path is None or self._links.pop(path, None) is not None:
            return None
        return self._name(path, None)

    def _made(self, path: bytes | None) -> Event | None:
        return None if path is None else self._name(path, Directory(path))

    def _linked_softly(self, target: bytes, path: bytes | None) -> None:
        if path is None:
            return
        if target.startswith(_DESCRIPTORS):
            self._links[path] = self._opened[int(target.removeprefix(_DESCRIPTORS))].node
        else:
            self._links[path] = os.path.join(os.path.dirname(path), target)

    def _symlink(self, call: Call) -> None:
        self._linked_softly(call.text(0), self._path(call, 1))

    def _symlinkat(self, call: Call) -> None:
        self._linked_softly(call.text(0), self._path(call, 2, 1))

    def _link(self, call: Call) -> Event | None:
        return self._linked(self._path(call, 0), self._path(call, 1))

    def _linkat(self, call: Call) -> Event | None:
        return self._linked(self._path(call, 1, 0), self._path(call, 3, 2))

    def _rename(self, call: Call) -> Event | None:
        return self._renamed(self._path(call, 0), self._path(call, 1))

    def _renameat(self, call: Call) -> Event | None:
        return self._renamed(self._path(call, 1, 0), self._path(call, 3, 2))

    _renameat2 = _renameat

    def _unlink(self, call: Call) -> Event | None:
        return self._removed(self._path(call, 0))

    def _unlinkat(self, call: Call) -> Event | None:
        return self._removed(self._path(call, 1, 0))

    _rmdir = _unlink

    def _mkdir(self, call: Call) -> Event | None:
        return self._made(self._path(call, 0))

    def _mkdirat(self, call: Call) -> Event | None:
        return self._made(self._path(call, 1, 0))

    # --- messages ----------------------------------------------------------------------------------------------------

    def _sendto(self, call: Call) -> Event:
        return Said(text=call.text(1)[: call.result].decode())


def _file(known: _Opened) -> File:
    assert isinstance(known.node, File)
    return known.node
