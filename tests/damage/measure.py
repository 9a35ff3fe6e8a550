"""Damage shelves in every way and count what comes of it; by hand: ``python tests/damage/measure.py --trials 200``.

Trials fork, and so run here, in a process of its own without threads, for the tests as well.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from typing import Any

import trials
from kinds import KINDS
from shapes import SHAPES, Shape, make

from coshelf import CoshelfError
from coshelf.engines.lmdb.files import sidecars
from coshelf.engines.lmdb.pages import closing_stamp
from coshelf.engines.lmdb.pages.header import read_metas

__all__ = ["STAMPS"]

STAMPS = ("all", "inner", "none", "crafted")
_PAGE = 4096
_BAD = (trials.MISSING, trials.WRONG, trials.UNTYPED, trials.CRASH, trials.HANG)


def set_stamps(which: str) -> None:
    """Stamp shelves as usual, or as very large ones, or as if their last process had died."""
    if which == "inner":
        closing_stamp.LARGEST = 0
    elif which == "none":
        sidecars.stamp = lambda *_, **__: None  # type: ignore[assignment]


def restamped(content: bytes, directory: str) -> bytes:
    """The file with the stamp that its last closer would have given it. An attacker can do that, too."""
    path = os.path.join(directory, "restamped")
    with open(path, "wb") as file:
        file.write(content)
    descriptor = os.open(path, os.O_RDWR)
    try:
        metas = sorted(read_metas(descriptor, path), key=lambda meta: meta.transaction)
        if len(metas) == 2:
            for page in (0, 1):
                os.pwrite(descriptor, bytes(_PAGE - 512), page * _PAGE + 512)
            stamp = closing_stamp.make_stamp(descriptor, metas[1], metas[0], has_damage=False)
            if stamp is not None:
                closing_stamp.write_stamp(descriptor, _PAGE, stamp)
    except CoshelfError:
        pass  # no header that could have a stamp
    finally:
        os.close(descriptor)
    with open(path, "rb") as file:
        return file.read()


def run(shape: Shape, kind: str, most: int | None, directory: str, crafted: bool = False) -> dict[str, Any]:
    """The outcomes of one kind of damage to one shelf, and the first of each bad one.

    A ``crafted`` file has a stamp that fits, and is opened as the file of another user.
    """
    outcomes: Counter[str] = Counter()
    bad: dict[str, str] = {}
    damages = KINDS[kind](shape, random.Random(f"{shape.name} {kind}"))
    for damage in itertools.islice(damages, most):
        content = restamped(damage.content, directory) if crafted else damage.content
        outcome = trials.trial(content, lambda path: trials.use(path, shape.entries, trust=not crafted), directory)
        outcomes[outcome.name] += 1
        if outcome.name in _BAD:
            bad.setdefault(outcome.name, f"{kind}, {damage.where}: {outcome.how}")
    return {"shape": shape.name, "kind": kind, "outcomes": outcomes, "bad": bad}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--shapes", default=",".join(SHAPES))
    arguments.add_argument("--kinds", default=",".join(kind for kind in KINDS if kind != "every bit"))
    arguments.add_argument("--trials", type=int, help="of each kind for each shape; all there are by default")
    arguments.add_argument("--stamps", choices=STAMPS, default="all")
    given = arguments.parse_args()
    set_stamps(given.stamps)
    directory = tempfile.mkdtemp(prefix="coshelf-damage-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    os.environ["XDG_STATE_HOME"] = directory
    try:
        for name in given.shapes.split(","):
            shape = make(name, directory)
            for kind in given.kinds.split(","):
                print(json.dumps(run(shape, kind, given.trials, directory, given.stamps == "crafted")), flush=True)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
