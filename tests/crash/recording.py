"""Recording a writer: what reached the file system, in which order, and what the writer said when."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace

import strace
from disk import Chance, Disk
from events import Directory, Event, Said
from tracing import Reader

WRITER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "writer.py")
# What is mapped for writing, or never synced; docs/format.md, "Beside the file".
VOLATILE = ("-lock", ".coshelf/state", ".coshelf/delta")
TIMEOUT = 400
_STALL = 0.1  # seconds without a call of a writer that pauses for a sixth of that: it was held up


@dataclass(slots=True)
class Ran:
    """A writer that has ended: what it said, how it ended, and its calls."""

    said: list[str]
    status: int
    errors: str
    calls: list[strace.Call]

    def number(self, word: str) -> int:
        """The last number it said with this word."""
        found = [int(line.split()[1]) for line in self.said if line.startswith(f"{word} ")]
        return found[-1] if found else 0


@dataclass(slots=True)
class Recording:
    """Everything that happened to a tree, from when it was empty. ``first`` is how many events made it so."""

    tree: Directory
    events: list[Event]
    first: int

    def after(self, words: str) -> int:
        """How many events there were when the writer first said this."""
        return next(
            number
            for number, event in enumerate(self.events, 1)
            if isinstance(event, Said) and event.text.startswith(words)
        )


def without_stalls(recording: Recording) -> Recording:
    """The same by a clock that stands still while the system holds up the whole writer, and its flushes with it."""
    events, latest, held_up = [], math.inf, 0.0
    for event in recording.events:
        held_up += max(0.0, event.seconds - latest - _STALL)
        latest = event.seconds if latest == math.inf else max(latest, event.seconds)
        events.append(replace(event, seconds=event.seconds - held_up))
    return replace(recording, events=events)


def run(root: str, store: str, which: str, calls: list[str], inject: str = "") -> Ran:
    """Run a writer below ``root`` under strace. ``inject`` as for strace."""
    state = os.path.join(root, "state")
    environment = {**os.environ, "XDG_STATE_HOME": state, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    environment.pop("COSHELF_SECRET_FILE", None)
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory() as directory, ours:
        log = os.path.join(directory, "log")
        with theirs:
            arguments = [sys.executable, "-W", "error", WRITER, root, store, which, str(theirs.fileno())]
            ended = subprocess.run(
                [*strace.command(log, calls, inject), *arguments],
                pass_fds=[theirs.fileno()], capture_output=True, text=True, env=environment, timeout=TIMEOUT,
            )  # fmt: skip
        said = b"".join(iter(lambda: ours.recv(1 << 16), b"")).decode()
        return Ran(said.splitlines(), ended.returncode, ended.stderr, strace.read_log(log))


def record(root: str, store: str, which: str, inject: str = "") -> Recording:
    """Record a writer from an empty tree to its end, and make sure that nothing of it was missed.

    ``inject`` is what strace does to it: ``fsync:signal=KILL:when=2``. If that kills it, another goes on where it was.
    """
    os.mkdir(root)
    reader = Reader(root, VOLATILE)
    for name in ("shelf", "state"):
        os.mkdir(os.path.join(root, name))
        reader.add_directory(os.path.join(root, name))
    first = len(reader.events)
    ran = run(root, store, which, strace.DISK_CALLS, inject)
    reader.read(ran.calls)
    if inject and ran.status == -signal.SIGKILL:
        ran = run(root, store, f"{which}:{ran.number('done')}", strace.DISK_CALLS)
        reader.read(ran.calls)
    assert ran.status == 0 and not ran.errors, ran.errors
    _check(root, reader)
    return Recording(reader.tree, reader.events, first)


def _check(root: str, reader: Reader) -> None:
    """The recording, replayed in full, gives the files that are there, byte for byte."""
    disk = Disk(reader.tree)
    for event in reader.events:
        disk.apply(event)
    with tempfile.TemporaryDirectory() as copy:
        disk.build(copy, Chance())
        found, expected = _files(copy), _files(root)
        assert found.keys() == expected.keys(), f"recorded {sorted(found)}, there are {sorted(expected)}"
        for name, contents in expected.items():
            if not name.endswith(VOLATILE):
                assert found[name] == contents, f"{name} is not what was recorded"


def _files(root: str) -> dict[str, bytes]:
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = b"" if name.endswith(VOLATILE) else file.read()
    return found
