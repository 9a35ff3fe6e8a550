"""After a power cut the file system is mounted again, and the shelf on it is whole, whatever blocks were written.

The disk itself is recorded here, below ext4 and xfs, so what goes through a writable map is seen, too, and the sidecars
are there as the cut left them. This needs root, FUSE and loop devices. The harness is tested with what it must convict.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import loop
import pytest
import reboot
from block_device import SYSTEMS, BlockRecording
from cutting import Found, Place
from events import Said

HERE = os.path.dirname(os.path.abspath(__file__))
PROMISES = {"shelf": "durable", "shelf in intervals": "interval"}
LIVES = [
    *[("ext4", seed, 400) for seed in range(1, 5)],
    *[("ext4 writeback", seed, 400) for seed in range(11, 13)],
    *[("xfs", seed, 250) for seed in range(21, 23)],
]

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@functools.cache
def _why_unusable() -> str:
    """Empty if a disk can be recorded and replayed here."""
    if reason := reboot.why_unusable():
        return reason
    for path in ("/dev/fuse", loop.CONTROL):
        if not os.access(path, os.R_OK | os.W_OK):
            return f"{path} is missing"
    try:
        import mfusepy  # noqa: F401 (it looks for the library when imported)

        with loop.device():
            return ""
    except ImportError:
        return "mfusepy is not installed"
    except OSError as error:
        return str(error)


@pytest.fixture
def device() -> Iterator[str]:
    """A loop device of our own."""
    if reason := _why_unusable():
        pytest.skip(f"cutting at the block level needs root, FUSE (fuse3 and mfusepy) and loop devices: {reason}")
    with loop.device() as path:
        yield path


def _cuts(
    device: str, system: str, store: str, seed: int, count: int, promise: str, scratch: str, after: str = "begun 1"
) -> tuple[list[Found], str]:
    """What is found after the cuts that a seed draws from one recorded run, and a line about them."""
    if shutil.which(SYSTEMS[system].make[0]) is None:
        pytest.skip(f"{SYSTEMS[system].make[0]} is not installed")
    path = os.path.join(scratch, "recording")
    _run("block_recording.py", device, system, store, str(seed), path)
    begun = time.monotonic()
    options = ["--device", device, "--seed", str(seed), "--count", str(count), "--after", after]
    lines = _run("block_cutting.py", path, promise, *options).splitlines()
    seconds = time.monotonic() - begun
    found = [Found(**{**line, "place": Place(**line["place"])}) for line in map(json.loads, lines)]
    assert len(found) == count
    bad = sum(1 for cut in found if cut.wrong)
    different = len({cut.tree for cut in found})
    line = f"{system}, {store}, seed {seed}: {bad} of {count} cuts bad, {different} different, {count / seconds:.0f}/s"
    return found, f"{line}, lost at most {_longest_lost(BlockRecording.load(path), found):.3f} s"


def _run(script: str, *arguments: str) -> str:
    command = [sys.executable, os.path.join(HERE, script), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stderr}"
    return ended.stdout


def _longest_lost(recording: BlockRecording, found: list[Found]) -> float:
    """How long before a cut the first operation had returned that it took."""
    returned = {
        int(event.text.split()[1]): event.seconds
        for event in recording.events
        if isinstance(event, Said) and event.text.startswith("done")
    }
    ages = [0.0]
    for cut in found:
        now = recording.events[cut.place.position - 1].seconds
        ages.append(now - returned.get(cut.operations + 1, now) if not cut.wrong else 0.0)
    return max(ages)


@pytest.mark.parametrize("store", PROMISES)
@pytest.mark.parametrize(("system", "seed", "count"), LIVES)
def test_shelf_is_whole_after_a_cut_anywhere(
    system: str, seed: int, count: int, store: str, device: str, scratch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, line = _cuts(device, system, store, seed, count, PROMISES[store], scratch)
    with capsys.disabled():
        print(f"\n{line}")
    for cut in found:
        if cut.wrong:
            kept = os.path.join(tempfile.mkdtemp(prefix="coshelf-cut-"), "recording")
            shutil.copy(os.path.join(scratch, "recording"), kept)
            again = f"{kept} {PROMISES[store]} --cut {cut.place.position} --chance {cut.place.chance}"
            pytest.fail(
                f"{line}\nafter one of them, {cut.least} of {cut.most} operations having to be there: {cut.wrong}\n"
                f"to repeat it: python tests/crash/block_cutting.py {again}",
                pytrace=False,
            )
    assert len({cut.tree for cut in found}) > count * 0.6
    if PROMISES[store] == "interval":
        assert any(cut.operations < cut.most - 1 for cut in found), "no cut took anything: nothing was tried"


@pytest.mark.parametrize("store", ["slow lmdb without syncs", "slow mapped lmdb without syncs"])
@pytest.mark.parametrize("seed", [1, 2])
def test_lmdb_without_syncs_is_found_corrupt(
    seed: int, store: str, device: str, scratch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, line = _cuts(device, "ext4", store, seed, 200, "nothing", scratch, "done 1")
    with capsys.disabled():
        print(f"\n{line}")
    assert [cut for cut in found if cut.wrong]


def test_lmdb_with_syncs_is_not(device: str, scratch: str) -> None:
    found, line = _cuts(device, "ext4", "lmdb", 1, 200, "durable", scratch, "done 1")
    assert not [cut for cut in found if cut.wrong], line


@pytest.mark.parametrize(
    ("store", "promise"),
    [("shelf whose flushes are not synced", "durable"), ("shelf that takes up the delta of any boot", "interval")],
)
def test_shelf_that_breaks_its_promise_is_convicted(
    store: str, promise: str, device: str, scratch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, line = _cuts(device, "ext4", store, 1, 100, promise, scratch)
    with capsys.disabled():
        print(f"\n{line}")
    assert [cut for cut in found if cut.wrong]


def test_nothing_is_left_when_cutting_is_killed(device: str, scratch: str) -> None:
    path = os.path.join(scratch, "recording")
    _run("block_recording.py", device, "ext4", "shelf", "short", path)
    _kill_in_use(device, "block_cutting.py", path, "durable", "--device", device, "--count", "10000")


def test_nothing_is_left_when_recording_is_killed(device: str, scratch: str) -> None:
    path = os.path.join(scratch, "recording")
    _kill_in_use(device, "block_recording.py", device, "ext4", "shelf in intervals", "1", path)
    assert not os.path.exists(path)


def _kill_in_use(device: str, script: str, *arguments: str) -> None:
    """Kill a script that has the device; that it becomes free again is seen when it is removed."""
    with subprocess.Popen([sys.executable, os.path.join(HERE, script), *arguments], stdout=subprocess.DEVNULL) as one:
        while not loop.is_attached(device):
            assert one.poll() is None, "it ended without using the device"
            time.sleep(0.001)
        one.kill()
    loop.wait_until_free(device)
