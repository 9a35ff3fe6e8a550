"""A recorded disk: the file systems on it, what was written to it, and what a power cut leaves."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass

from disk import PAGE, Contents, Cut
from events import Event, Said, Synced, Wrote


@dataclass(frozen=True, slots=True)
class System:
    """A file system: how large a disk it is given, how it is made, and how it is mounted."""

    type: str
    size: int
    make: tuple[str, ...]
    options: str = ""


_EXT4 = ("mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "lazy_itable_init=0,nodiscard")
SYSTEMS = {
    "ext4": System("ext4", 64 << 20, _EXT4),
    # Data and journal are written in any order, and a rename without a sync before it gets no extra sync.
    "ext4 writeback": System("ext4", 64 << 20, _EXT4, "data=writeback,noauto_da_alloc"),
    "xfs": System("xfs", 300 << 20, ("mkfs.xfs", "-q", "-f", "-K")),  # the smallest size that it accepts
}


@dataclass(slots=True)
class BlockRecording:
    """A disk's pages before the writer began, and what it was asked to do from then on, among what the writer said."""

    device: str
    system: str
    store: str
    which: str
    pages: dict[int, bytes]
    events: list[Event]
    longest_sync: float  # seconds, of a small file beside the shelf

    def after(self, words: str) -> int:
        """How many events there were when the writer first said this."""
        return next(
            number
            for number, event in enumerate(self.events, 1)
            if isinstance(event, Said) and event.text.startswith(words)
        )

    @staticmethod
    def load(path: str) -> BlockRecording:
        with open(path, "rb") as file:
            recording: BlockRecording = pickle.load(file)
            return recording


class BlockDevice:
    """The disk after some of its events, and every state that a cut there may leave."""

    def __init__(self, recording: BlockRecording) -> None:
        self._size = SYSTEMS[recording.system].size
        self._contents = Contents(length=self._size)
        for page, data in recording.pages.items():
            self._contents.write(-1, page * PAGE, data)
        self._contents.sync(0)
        self._used = set(recording.pages)
        self._index = self._flushes = 0

    def apply(self, event: Event) -> None:
        match event:
            case Wrote():
                self._contents.write(self._index, event.offset, event.data)
            case Synced():
                self._used.update(self._contents.pieces)
                self._contents.sync(event.covers)
                self._flushes += 1
        self._index += 1

    def build(self, image: int, chance: Cut) -> str:
        """Make an open file the disk as it is found after a cut here; return what tells it from others."""
        os.ftruncate(image, 0)
        os.ftruncate(image, self._size)
        durable = memoryview(self._contents.durable)
        for start, stop in _runs(self._used):
            os.pwrite(image, durable[start * PAGE : stop * PAGE], start * PAGE)
        durable.release()
        total = hashlib.blake2b(self._flushes.to_bytes(8, "big"), digest_size=16)
        for page, data in chance.pages(self._contents):
            os.pwrite(image, data, page * PAGE)
            total.update(page.to_bytes(8, "big") + data)
        return total.hexdigest()


def _runs(pages: set[int]) -> Iterator[tuple[int, int]]:
    """Pages as ranges, so that they can be written at once."""
    start = stop = -1
    for page in sorted(pages):
        if page != stop:
            if stop > start:
                yield start, stop
            start = page
        stop = page + 1
    if stop > start:
        yield start, stop
