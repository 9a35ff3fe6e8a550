"""Repeat one cut of ``test_power_cut.py``, and keep what it left: the command is printed when a test fails."""

from __future__ import annotations

import argparse
import os
import tempfile

from checker import Checker
from cutting import Place, cut
from disk import Cut, Disk
from history import DURABLE
from recording import record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", help="the seed of the run, or short")
    parser.add_argument("--cut", type=int, required=True, help="behind how many events")
    parser.add_argument("--chance", type=int, required=True, help="seed of what the cut left")
    parser.add_argument("--inject", default="", help="what strace does to the writer, as fsync:signal=KILL:when=2")
    parser.add_argument("--store", default="shelf", help="what is written to")
    given = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="coshelf-cut-")
    recording = record(os.path.join(directory, "root"), given.store, given.which, given.inject)
    print(f"the last of {given.cut} events before the cut, of {len(recording.events)}:")
    for number, event in enumerate(recording.events[: given.cut][-12:], max(0, given.cut - 12) + 1):
        print(f"  {number} {repr(event)[:170]}")
    disk = Disk(recording.tree)
    for event in recording.events[: given.cut]:
        disk.apply(event)
    left = os.path.join(directory, "left")
    os.mkdir(left)
    disk.build(left, Cut(given.chance))
    place = Place(given.cut, given.chance)
    with Checker() as checker:
        for found in cut(recording, given.store, given.which, [place], DURABLE, directory, checker):
            print(found.wrong or f"nothing wrong: {found.operations} operations, {found.least} had returned")
    print(f"what the cut left: {left}")


if __name__ == "__main__":
    main()
