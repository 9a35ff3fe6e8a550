"""Cut the power of a recorded disk, again and again, and look at what is left after a reboot: as root,
``block_cutting.py RECORDING PROMISE`` with either a seed and a count, or one cut that is to be repeated.

Each cut is made an image, put below a loop device of the number that the recorded one had (so that device and inode of
every file are as they were), and mounted, which replays the journal of the file system; then the checker opens the
shelf, in another boot. What is found is printed as lines of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Iterator

import loop
from block_device import SYSTEMS, BlockDevice, BlockRecording
from checker import Checker
from cutting import Found, Place, places
from disk import Cut
from history import DURABLE, Promise, in_intervals
from mounts import mount, unmount
from reboot import reboot
from stores import INTERVAL
from writer import run_of


def promise_of(name: str, recording: BlockRecording) -> Promise:
    """What is asked of a store: that all which has returned is durable, or all but the last interval, or nothing."""
    if name == "interval":
        # One flush is two syncs of the base and perhaps one more when it grows, and has to get its turn.
        return in_intervals(run_of(recording.which), INTERVAL + 3 * recording.longest_sync + 0.1)
    return {"durable": DURABLE, "nothing": Promise(math.inf)}[name]


def cut(recording: BlockRecording, device: str, drawn: list[Place], promise: Promise, scratch: str) -> Iterator[Found]:
    """Build, mount and check each cut, in the order of their positions."""
    disk = BlockDevice(recording)
    root, image = os.path.join(scratch, "root"), os.path.join(scratch, "image")
    os.mkdir(root)
    kind = SYSTEMS[recording.system]
    with open(image, "wb", buffering=0) as file:
        file.truncate(kind.size)
        done = 0
        with loop.attached(device, image) as descriptor, Checker() as checker:
            for place in drawn:
                for event in recording.events[done : place.position]:
                    disk.apply(event)
                done = place.position
                tree = disk.build(file.fileno(), Cut(place.chance))
                loop.forget(descriptor)
                least, most = promise.bounds(recording.events, place.position)
                try:
                    mount(device, root, kind.type, options=kind.options)
                except OSError as error:
                    yield Found(place, least, most, -1, str(error), tree)
                    continue
                operations, wrong = checker.ask(root, recording.store, recording.which, least, most, rebooted=False)
                if wrong:
                    checker.end()  # it may have left files open, and nothing could be unmounted
                unmount(root)
                yield Found(place, least, most, operations, wrong, tree)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", help="a file that block_recording.py has made")
    parser.add_argument("promise", choices=["durable", "interval", "nothing"])
    parser.add_argument("--device", help="a free loop device; one is made if none is given")
    parser.add_argument("--after", default="begun 1", help="what the writer had said before the first cut")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--cut", type=int, help="behind how many events")
    parser.add_argument("--chance", type=int, help="seed of what the cut left")
    given = parser.parse_args()
    recording = BlockRecording.load(given.recording)
    if given.cut is None:
        drawn = places(recording.events, given.seed, given.count, recording.after(given.after))
    else:
        drawn = [Place(given.cut, given.chance)]
    with contextlib.ExitStack() as stack:
        device = given.device or stack.enter_context(loop.device())
        scratch = stack.enter_context(
            tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(given.recording)))
        )
        reboot()
        for found in cut(recording, device, drawn, promise_of(given.promise, recording), scratch):
            print(json.dumps(dataclasses.asdict(found)), flush=True)


if __name__ == "__main__":
    main()
