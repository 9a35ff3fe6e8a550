"""Very many mutated inputs: ``python tests/fuzz/campaign.py --inputs 1000000 --seed 0``.

Each target runs in a child process of its own, with bounded memory. A child that dies or stands still is a finding at
the input that it was at, and another goes on with the next. Inputs are known by seed and number (``--target key --only
1234`` writes one), and what led to a finding is kept.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import mutations

import programs

__all__ = ["SHARES", "Campaign", "input_of"]

MAKERS = {
    "record": mutations.mutated_pickle,
    "layered record": mutations.mutated_layered,
    "timed record": mutations.mutated_timed,
    "signed record": mutations.mutated_pickle,
    "gate": programs.program,
    "key": mutations.mutated_key,
    "file": mutations.mutated_file,
}
# Of all inputs, in thousandths: a file takes some thirty times as long as a record.
SHARES = {
    "record": 350, "gate": 100, "layered record": 100, "timed record": 50, "signed record": 100, "key": 250, "file": 50,
}  # fmt: skip
PATIENCE = 20.0  # seconds for one input
_START = 60.0  # seconds until the first, while everything is imported


def input_of(target: str, seed: int, number: int) -> tuple[bytes, bool]:
    """An input, and whether its checksum is to be repaired: three of four are, and a key has none."""
    chance = random.Random(f"{target} {seed} {number}")
    if target == "gate":  # seed 0 begins with all combinations, each with both gates; others have some of them
        many = programs.combinations()
        in_order = seed == 0 and number < 2 * many
        which = number // 2 if in_order else chance.randrange(many) if number % 4 > 1 else None
        if which is None and number % 8 < 2:
            return programs.quick_program(chance), number % 2 == 0
        return programs.program(chance, which), number % 2 == 0
    return MAKERS[target](chance), chance.random() < 0.75


def work(target: str, seed: int, start: int, stop: int, place: str) -> None:
    """In the child: go through inputs, and say at which it is."""
    import targets

    targets.prepare()
    run = targets.TARGETS[target]
    outcomes: Counter[str] = Counter()
    findings: list[dict[str, Any]] = []
    repaired_ones, slowest = 0, 0.0
    with open(os.path.join(place, "at"), "r+b") as file, mmap.mmap(file.fileno(), 8) as at:
        for number in range(start, stop):
            struct.pack_into("<Q", at, 0, number + 1)
            data, repaired = input_of(target, seed, number)
            Path(place, "input").write_bytes(bytes([not repaired]) + data)
            repaired_ones += repaired
            begun = time.perf_counter()
            try:
                outcomes[run(data, repaired)] += 1
            except BaseException as error:
                kept = keep(Path(place, "input"), target, number)
                findings.append({"number": number, "what": f"{type(error).__name__}: {error}"[:300], "input": kept})
            slowest = max(slowest, time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    result = {"outcomes": outcomes, "findings": findings, "repaired": repaired_ones, "slowest": slowest, "peak": peak}
    Path(place, "result").write_text(json.dumps(result))


def keep(made: Path, target: str, number: int) -> str:
    """Keep an input with what came of it; where. ``guided.py TARGET FILE`` gives it to the target once more."""
    directory = Path(tempfile.gettempdir(), "coshelf-fuzz-findings")
    directory.mkdir(exist_ok=True)
    kept = directory / f"{target.replace(' ', '-')}-{number}"
    if made.exists():
        shutil.copy(made, kept)
    return str(kept)


class Campaign:
    """All inputs of one target."""

    def __init__(self, target: str, seed: int) -> None:
        self.target = target
        self.seed = seed
        self.inputs = self.repaired = self.peak = 0
        self.slowest = 0.0
        self.outcomes: Counter[str] = Counter()
        self.findings: list[dict[str, Any]] = []

    def run(self, count: int, batch: int = 20_000) -> None:
        """Go through so many inputs."""
        at = 0
        while at < count:
            at = self._batch(at, min(at + batch, count))
        self.inputs = count

    def _batch(self, start: int, stop: int) -> int:
        """A child's work; where to go on."""
        with tempfile.TemporaryDirectory() as place:
            Path(place, "at").write_bytes(bytes(8))
            arguments = [self.target, str(self.seed), str(start), str(stop), place]
            errors = Path(place, "errors")
            with errors.open("wb") as stderr:
                # What was freed, and what lies around it, is filled with patterns, so that its use is a crash.
                debug = {"PYTHONMALLOC": "debug", "PYTHONFAULTHANDLER": "1"} if self.target == "gate" else {}
                environment, command = os.environ | debug, [sys.executable, __file__, "--work", *arguments]
                child = subprocess.Popen(command, stderr=stderr, env=environment)
                number, stood_still = self._watch(child, Path(place, "at"))
            result = Path(place, "result")
            if child.returncode == 0 and result.exists():
                self._add(json.loads(result.read_text()))
                return stop
            what = "it stood still" if stood_still else f"it died with {child.returncode}"
            kept = keep(Path(place, "input"), self.target, number)
            what = f"{what}: {errors.read_text(errors='replace')[-300:]}"
            self.findings.append({"number": number, "what": what, "input": kept})
        at = start
        while at < number:  # so that what came before is counted
            at = self._batch(at, number)
        return number + 1

    def _watch(self, child: subprocess.Popen[bytes], at: Path) -> tuple[int, bool]:
        last, since = -1, time.monotonic()
        while True:
            try:
                child.wait(0.5)
                stood_still = False
                break
            except subprocess.TimeoutExpired:
                pass
            now = struct.unpack("<Q", at.read_bytes())[0]
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > (PATIENCE if now else _START):
                child.kill()
                child.wait()
                stood_still = True
                break
        return max(0, struct.unpack("<Q", at.read_bytes())[0] - 1), stood_still

    def _add(self, result: dict[str, Any]) -> None:
        self.outcomes.update(result["outcomes"])
        self.findings += result["findings"]
        self.repaired += result["repaired"]
        self.slowest = max(self.slowest, result["slowest"])
        self.peak = max(self.peak, result["peak"])

    def report(self) -> None:
        """A line, the outcomes, and the findings, with their inputs."""
        print(
            f"{self.target}: {self.inputs:,} inputs, {self.repaired:,} with a repaired checksum; "
            f"slowest {self.slowest * 1000:.0f} ms, peak {self.peak >> 20} MiB, {len(self.findings)} findings"
        )
        for outcome, count in self.outcomes.most_common(12):
            print(f"  {count:>9,}  {outcome}")
        for finding in self.findings[:20]:
            print(f"  FINDING {finding['number']}, {finding['input']}: {finding['what']}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--inputs", type=int, default=1_000_000, help="over all targets")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--target", choices=list(SHARES), help="only this one, which gets all inputs")
    arguments.add_argument("--only", type=int, help="write this input of the target to standard output")
    arguments.add_argument("--work", nargs=5, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.work:
        target, seed, start, stop, place = given.work
        work(target, int(seed), int(start), int(stop), place)
        return
    if given.only is not None:
        sys.stdout.buffer.write(input_of(given.target, given.seed, given.only)[0])
        return
    shares = {given.target: 1_000} if given.target else SHARES
    print(f"seed {given.seed}", flush=True)
    failed = False
    for target, share in shares.items():
        campaign = Campaign(target, given.seed)
        campaign.run(given.inputs * share // sum(shares.values()))
        campaign.report()
        sys.stdout.flush()
        failed = failed or bool(campaign.findings)
    sys.exit(failed)


if __name__ == "__main__":
    main()
