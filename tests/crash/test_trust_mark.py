"""The secret behind the trust marks is whole after a power cut, or not there: anything else would stay for ever."""

from __future__ import annotations

import os

from cutting import places
from disk import Cut, Disk
from recording import record


def test_secret_is_whole_or_absent_after_a_cut(scratch: str) -> None:
    root = os.path.join(scratch, "root")
    recording = record(root, "shelf", "short")
    with open(os.path.join(root, "state", "coshelf", "secret"), "rb") as file:
        secret = file.read()
    assert len(secret) == 32
    disk, done, found, wrong = Disk(recording.tree), 0, 0, []
    for number, place in enumerate(places(recording.events, 1, 200, recording.first)):
        for event in recording.events[done : place.position]:
            disk.apply(event)
        done = place.position
        left = os.path.join(scratch, str(number))
        os.mkdir(left)
        disk.build(left, Cut(place.chance))
        path = os.path.join(left, "state", "coshelf", "secret")
        if os.path.exists(path):
            found += 1
            with open(path, "rb") as file:
                data = file.read()
            if data != secret:
                wrong.append((place, data))
    assert found, "no cut left a secret"
    assert not wrong, f"{len(wrong)} of {found} cuts that left a secret left another one: {wrong[0]}"
