"""Record what a writer makes a disk do: ``block_recording.py DEVICE SYSTEM STORE WHICH TARGET``, as root.

The shelf lies on a file system of its own, on a loop device over a disk that keeps a log (``logged_disk.py``). Beside
the writer, the kernel's write-back is hurried: left alone it would write nothing but what is synced in so short a life.
Everything happens in a mount namespace that ends with this program; what remains is the recording, a pickle.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import pickle
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator

import loop
from block_device import SYSTEMS, BlockRecording, System
from disk import PAGE
from events import Event, File, Said
from logged_disk import read_log, served
from mounts import enter_namespace, mount, unmount
from recording import run

DEVICE = File(1)
START_WRITING = 2  # SYNC_FILE_RANGE_WRITE
_SYNC_EVERY = 0.03  # seconds; each sync of another file commits the journal of the file system


class _Hurry:
    """A thread that has random pages of a shelf's files written, as the kernel may at any time, and syncs another."""

    def __init__(self, root: str, seed: int) -> None:
        self._root = root
        self._chance = random.Random(seed)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest_sync = 0.0

    def __enter__(self) -> _Hurry:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        descriptor = os.open(os.path.join(self._root, "beside"), os.O_WRONLY | os.O_CREAT, 0o600)
        synced = 0.0
        while not self._ended.wait(0.001):
            self._write_some()
            begun = time.monotonic()
            if begun > synced + _SYNC_EVERY:
                os.pwrite(descriptor, self._chance.randbytes(16), self._chance.randrange(1 << 16))
                os.fsync(descriptor)
                synced = time.monotonic()
                self.longest_sync = max(self.longest_sync, synced - begun)
        os.close(descriptor)

    def _write_some(self) -> None:
        directory = os.path.join(self._root, "shelf")
        names = sorted(os.listdir(directory))
        if not names:
            return
        try:
            descriptor = os.open(os.path.join(directory, self._chance.choice(names)), os.O_RDONLY)
        except FileNotFoundError:
            return
        pages = os.fstat(descriptor).st_size // PAGE + 1
        # Mostly near the beginning, where the pages are that everything else depends on.
        at = self._chance.randrange(min(pages, 8) if self._chance.random() < 0.5 else pages)
        length = self._chance.choice([1, 1, 2, 8, pages])
        place = ctypes.c_long(at * PAGE), ctypes.c_long(length * PAGE)
        assert self._libc.sync_file_range(descriptor, *place, START_WRITING) == 0, os.strerror(ctypes.get_errno())
        os.close(descriptor)


def record(device: str, system: str, store: str, which: str, scratch: str) -> BlockRecording:
    """Run a writer from an empty file system to its end."""
    image, log = os.path.join(scratch, "image"), os.path.join(scratch, "log")
    kind = SYSTEMS[system]
    with open(image, "wb") as file:
        file.truncate(kind.size)
    subprocess.run([*kind.make, image], check=True)
    with _mounted(device, kind, image, log, scratch) as root:
        for name in ("shelf", "state"):
            os.mkdir(os.path.join(root, name))
    with open(log, "wb"):  # what came so far is in the image, and the disk at rest
        pages = dict(_pages(image))
    with _mounted(device, kind, image, log, scratch) as root:
        with _Hurry(root, sum(which.encode())) as hurry:
            ran = run(root, store, which, ["sendto"])
        ended = time.time()
    assert ran.status == 0 and not ran.errors, ran.errors
    said: list[Event] = [
        Said(seconds=call.seconds, text=call.text(1)[: call.result].decode().strip())
        for call in ran.calls
        if call.name == "sendto" and call.text(1) != b"closed\n"
    ]
    asked = [event for event in read_log(log, DEVICE) if event.seconds < ended]
    return BlockRecording(device, system, store, which, pages, _merged(asked, said), hurry.longest_sync)


@contextlib.contextmanager
def _mounted(device: str, kind: System, image: str, log: str, scratch: str) -> Iterator[str]:
    disk, root = os.path.join(scratch, "disk"), os.path.join(scratch, "root")
    for directory in (disk, root):
        os.makedirs(directory, exist_ok=True)
    with served(image, log, disk) as path, _unmounted(disk), loop.attached(device, path):
        mount(device, root, kind.type, options=kind.options)
        with _unmounted(root):
            _sync(root)  # what mounting wrote
            yield root


@contextlib.contextmanager
def _unmounted(directory: str) -> Iterator[None]:
    try:
        yield
    finally:
        unmount(directory)


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _pages(image: str) -> Iterator[tuple[int, bytes]]:
    """The pages of a file that are not all zeros."""
    zeros = bytes(PAGE)
    with open(image, "rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        at = 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // PAGE * PAGE
            except OSError:  # nothing but a hole from there on
                return
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            for start in range(at, hole, PAGE):
                page = os.pread(file.fileno(), PAGE, start)
                if page != zeros:
                    yield start // PAGE, page
            at = hole


def _merged(asked: list[Event], said: list[Event]) -> list[Event]:
    """All events by time. The disk's events keep their order. A writer speaks before and after each operation."""
    events = sorted([*asked, *said], key=lambda event: event.seconds)
    places = {id(event): place for place, event in enumerate(events)}
    for event in asked:
        event.covers = places[id(event)]
    return events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("device", "system", "store", "which", "target"):
        parser.add_argument(name)
    given = parser.parse_args()
    enter_namespace()
    with tempfile.TemporaryDirectory(dir=os.path.dirname(given.target)) as scratch:
        recording = record(given.device, given.system, given.store, given.which, scratch)
    with open(given.target, "wb") as file:
        pickle.dump(recording, file)


if __name__ == "__main__":
    main()
