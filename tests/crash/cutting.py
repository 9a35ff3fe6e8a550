"""Cutting the power of a recorded writer, again and again, and looking at what is left."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from checker import Checker
from disk import MAPPED, Cut, Disk
from events import Event, Named, Sized, Synced, Wrote
from history import DURABLE, Promise
from recording import Recording

SPARSE = 16 << 20  # bytes from which on a file is mostly a hole


@dataclass(frozen=True, slots=True)
class Place:
    """A cut: behind how many events, and the seed of what it left."""

    position: int
    chance: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found after a cut: the number of operations, what is wrong, and the tree as a digest."""

    place: Place
    least: int
    most: int
    operations: int
    wrong: str
    tree: str


def places(events: list[Event], seed: int, count: int, start: int = 0) -> list[Place]:
    """Cuts behind events that do something, drawn evenly; each place again with another chance, until enough."""
    chance = random.Random(seed)
    useful = [
        position
        for position, event in enumerate(events, 1)
        if position > start and isinstance(event, Wrote | Sized | Named | Synced)
    ]
    drawn: list[Place] = []
    while len(drawn) < count:
        turn = chance.sample(useful, min(count - len(drawn), len(useful)))
        drawn += [Place(position, chance.randrange(1 << 30)) for position in turn]
    return sorted(drawn, key=lambda place: (place.position, place.chance))


def cut(
    recording: Recording, store: str, which: str, drawn: list[Place], promise: Promise, scratch: str, checker: Checker
) -> Iterator[Found]:
    """Build and check each cut, in the order of their positions."""
    disk = Disk(recording.tree)
    done = 0
    root = os.path.join(scratch, "cut")
    for place in drawn:
        for event in recording.events[done : place.position]:
            disk.apply(event)
        done = place.position
        os.mkdir(root)
        disk.build(root, Cut(place.chance))
        tree = digest(root)
        least, most = promise.bounds(recording.events, place.position)
        operations, wrong = checker.ask(root, store, which, least, most)
        yield Found(place, least, most, operations, wrong, tree)
        shutil.rmtree(root)


def check_cuts(
    recording: Recording,
    which: str,
    seed: int,
    count: int,
    scratch: str,
    inject: str = "",
    promise: Promise = DURABLE,
    store: str = "shelf",
) -> int:
    """Check the cuts of a shelf that a seed draws; return how many of them were different."""
    trees = set()
    drawn = places(recording.events, seed, count, recording.first)
    with Checker() as checker:
        for found in cut(recording, store, which, drawn, promise, scratch, checker):
            if found.wrong:
                again = f"{which} --cut {found.place.position} --chance {found.place.chance}"
                again += f" --inject {inject}" if inject else ""
                again += f" --store '{store}'" if store != "shelf" else ""
                pytest.fail(
                    f"after a cut behind event {found.place.position} of {len(recording.events)}, "
                    f"{found.least} of {found.most} operations having returned: {found.wrong}\n"
                    f"to repeat it: python tests/crash/repeat.py {again}",
                    pytrace=False,
                )
            trees.add(found.tree)
    return len(trees)


def digest(root: str) -> str:
    """Of all names and contents below a directory, to tell cuts from each other."""
    total = hashlib.blake2b(digest_size=16)
    for directory, directories, names in os.walk(root):
        directories.sort()
        for name in sorted(names):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                data = file.read() if os.path.getsize(path) < SPARSE else file.read(MAPPED)
            total.update(f"{os.path.relpath(path, root)}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
    return total.hexdigest()
