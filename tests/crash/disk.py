"""A disk that loses what was not synced.

The model is the weakest that POSIX allows and real disks show. Of what was written since the last sync, any 4 KiB page
may have reached the disk or not, as of any moment in between, whole or only some of its 512-byte sectors. The length
may have been set without the data. Each change of a directory may have been kept or lost for itself.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from events import Directory, Event, File, Named, Node, Sized, Synced, Wrote

PAGE = 4096
SECTOR = 512
MAPPED = 64 * 1024  # bytes of a mapped file that are made; the rest is a hole

Piece = tuple[int, int, bytes]  # index of the event, offset in the page, data


@dataclass(slots=True)
class Contents:
    """A file: what is durable, and what is not yet, by page. ``length`` is the durable one."""

    durable: bytearray = field(default_factory=bytearray)
    length: int = 0
    pieces: dict[int, list[Piece]] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.sizes[-1][1] if self.sizes else self.length

    def write(self, index: int, offset: int, data: bytes) -> None:
        if offset + len(data) > self.size:
            self.sizes.append((index, offset + len(data)))
        while data:
            page, start = divmod(offset, PAGE)
            part = data[: PAGE - start]
            self.pieces.setdefault(page, []).append((index, start, part))
            offset += len(part)
            data = data[len(part) :]

    def resize(self, index: int, size: int) -> None:
        before = self.size
        if size != before:
            self.sizes.append((index, size))
        if size < before:  # what is cut off is zeros when the file grows again
            self.write_zeros(index, size, before)

    def write_zeros(self, index: int, start: int, stop: int) -> None:
        while start < stop:
            end = min(stop, start - start % PAGE + PAGE)
            self.pieces.setdefault(start // PAGE, []).append((index, start % PAGE, bytes(end - start)))
            start = end

    def sync(self, covers: int, pages: list[int] | None = None) -> None:
        """Make durable what came before an event: of these pages, or everything."""
        for page in list(self.pieces) if pages is None else pages:
            pending = self.pieces.pop(page, [])
            kept = [piece for piece in pending if piece[0] >= covers]
            _put(self.durable, page, _patched(self.durable, page, pending[: len(pending) - len(kept)]))
            if kept:
                self.pieces[page] = kept
        reached = [size for index, size in self.sizes if index < covers]
        if pages is None and reached:
            self.sizes = self.sizes[len(reached) :]
            self.length = reached[-1]

    def grow(self, covers: int, end: int) -> None:
        """A write with O_DSYNC returned: its data can be found again."""
        if end > self.length:
            self.length = end
            self.sizes = [(index, size) for index, size in self.sizes if index >= covers or size > end]


class Disk:
    """The state of a tree after some of its events, and every state that a cut there may leave."""

    def __init__(self, root: Directory) -> None:
        self._root = root
        self._files: dict[int, Contents] = {}
        self._names: dict[Directory, dict[bytes, Node]] = {}
        self._pending: dict[Directory, list[tuple[int, Named]]] = {}
        self._index = 0

    def apply(self, event: Event) -> None:
        index = self._index
        self._index += 1
        match event:
            case Wrote():
                contents = self._contents(event.file)
                contents.write(index, event.offset, event.data)
                if event.durable:
                    end = event.offset + len(event.data)
                    contents.sync(index + 1, list(range(event.offset // PAGE, -(-end // PAGE))))
                    contents.grow(index + 1, end)
            case Sized():
                self._contents(event.file).resize(index, event.size)
            case Named():
                self._pending.setdefault(event.directory, []).append((index, event))
            case Synced(node=File() as file):
                self._contents(file).sync(event.covers)
            case Synced(node=Directory() as directory):
                self._sync_names(directory, event.covers)
            case Synced():
                for contents in self._files.values():
                    contents.sync(event.covers)
                for directory in list(self._pending):
                    self._sync_names(directory, event.covers)

    def _contents(self, file: File) -> Contents:
        return self._files.setdefault(file.number, Contents())

    def _sync_names(self, directory: Directory, covers: int) -> None:
        pending = self._pending.get(directory, [])
        names = self._names.setdefault(directory, {})
        for index, event in pending:
            if index < covers:
                _rename(names, event)
        self._pending[directory] = [entry for entry in pending if entry[0] >= covers]

    def build(self, target: str, chance: Chance) -> None:
        """Make the tree as it is found after a cut here, in an empty directory."""
        made: dict[int, bytes] = {}
        self._build(self._root, os.fsencode(target), chance, made)

    def _build(self, directory: Directory, target: bytes, chance: Chance, made: dict[int, bytes]) -> None:
        names = dict(self._names.get(directory, {}))
        for _, event in chance.names(self._pending.get(directory, [])):
            _rename(names, event)
        for name, node in sorted(names.items()):
            path = os.path.join(target, name)
            if isinstance(node, Directory):
                os.mkdir(path)
                self._build(node, path, chance, made)
            elif node.number in made:
                os.link(made[node.number], path)
            else:
                made[node.number] = path
                contents = self._contents(node)
                with open(path, "wb") as file:
                    file.write(chance.mapped(contents) if node.mapped else chance.contents(contents))
                    file.truncate(max(file.tell(), contents.size if node.mapped else 0))  # a hole, mostly
                os.chmod(path, 0o600)


class Chance:
    """What a cut leaves of that which was not synced, decided by a seed. The base class loses nothing."""

    def names(self, pending: list[tuple[int, Named]]) -> list[tuple[int, Named]]:
        return pending

    def contents(self, file: Contents) -> bytes:
        return self._written(file, file.size)

    def mapped(self, file: Contents) -> bytes:
        """The beginning of a file that was written through memory, too."""
        return self._written(file, min(file.size, MAPPED))

    @staticmethod
    def _written(file: Contents, size: int) -> bytes:
        data = bytearray(file.durable)
        for page, pieces in file.pieces.items():
            _put(data, page, _patched(file.durable, page, pieces))
        _resize(data, size)
        return bytes(data)


class Cut(Chance):
    """The cuts that one seed draws: from those that lose everything to those that lose one page."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        # How much reaches the disk, how often a page is torn, and whether a journal keeps directories in order.
        self._kept = self._random.choice([0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0])
        self._torn = self._random.choice([0.0, 0.0, 0.2, 1.0])
        self._journaled = self._random.random() < 0.3

    def _keeps(self) -> bool:
        return self._random.random() < self._kept

    def names(self, pending: list[tuple[int, Named]]) -> list[tuple[int, Named]]:
        if self._journaled:
            return pending[: self._random.randint(0, len(pending))]
        return [entry for entry in pending if self._keeps()]

    def contents(self, file: Contents) -> bytes:
        sizes = [size for _, size in file.sizes]
        size = file.length
        if sizes:
            size = sizes[-1] if self._keeps() else self._random.choice([size, *sizes])
        data = bytearray(file.durable)
        for page, reached in self.pages(file):
            _put(data, page, reached)
        _resize(data, size)
        return bytes(data)

    def pages(self, file: Contents) -> Iterator[tuple[int, bytes]]:
        """The pages in which the file now differs from what is durable."""
        for page, pieces in sorted(file.pieces.items()):
            if self._keeps():
                moment = len(pieces) if self._random.random() < 0.7 else self._random.randint(1, len(pieces))
                yield page, self._page(file, page, pieces, moment)

    def _page(self, file: Contents, page: int, pieces: list[Piece], moment: int) -> bytes:
        """A page that was written to the disk at some moment, and perhaps torn by the cut."""
        newer = _patched(file.durable, page, pieces[:moment])
        if self._random.random() >= self._torn:
            return newer
        older = _patched(file.durable, page, pieces[: self._random.randint(0, moment - 1)])
        return b"".join(
            (newer if self._random.random() < 0.5 else older)[at : at + SECTOR] for at in range(0, PAGE, SECTOR)
        )

    def mapped(self, file: Contents) -> bytes:
        """As it was written by calls, zeros, or noise."""
        size = min(file.size, MAPPED)
        kind = self._random.randrange(3)
        if kind == 0:
            return self._written(file, size)
        return bytes(size) if kind == 1 else self._random.randbytes(size)


def _rename(names: dict[bytes, Node], event: Named) -> None:
    for name, node in event.names.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _patched(durable: bytearray, page: int, pieces: list[Piece]) -> bytes:
    data = durable[page * PAGE : (page + 1) * PAGE].ljust(PAGE, b"\0")
    for _, start, part in pieces:
        data[start : start + len(part)] = part
    return bytes(data)


def _put(data: bytearray, page: int, contents: bytes) -> None:
    """Put a page in its place; what lies behind the file's end is cut off when its size is known."""
    end = (page + 1) * PAGE
    if len(data) < end:
        data.extend(bytes(end - len(data)))
    data[page * PAGE : end] = contents


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


def snapshots(tree: Directory, events: list[Event]) -> Iterator[Disk]:
    """The disk before the first event, and after each one. The same object, further on."""
    disk = Disk(tree)
    yield disk
    for event in events:
        disk.apply(event)
        yield disk
