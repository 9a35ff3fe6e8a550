"""How long the gate takes beside ``pickle.loads``, and a get or set through the gate or with a signature.

``python benchmarks/gate.py`` writes results/gate.json. Contenders take turns. The figures are medians of the rounds.
``python benchmarks/gate.py kinds A/src B/src`` prints a table with a row for each kind of plain data. It also measures
the gates of the versions in A/src and B/src, each in a process of its own.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PosixPath
from typing import Any
from zoneinfo import ZoneInfo

import coshelf
from coshelf.keys import encode
from coshelf.records import checksum, seal
from coshelf.trust.gate import Gate
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles
from coshelf.values.signatures import Signature
from data import KINDS, value

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "gate.json"
ROUNDS, TIMES = 15, 20_000


def compared(one: Callable[[], Any], other: Callable[[], Any]) -> dict[str, float]:
    """Microseconds of one call of each function. The functions take turns."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for function, times in zip((one, other), took, strict=True):
            begun = time.perf_counter()
            for _ in range(TIMES):
                function()
            times.append((time.perf_counter() - begun) / TIMES * 1e6)
    plain, gated = map(statistics.median, took)
    return {"plain": plain, "gate": gated, "ratio": gated / plain}


def kinds() -> dict[str, Any]:
    """One value of each kind that the gate loads in a separate way."""
    start, zone = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), ZoneInfo("UTC")
    return {
        "small dict": value(KINDS[0], 5, 0),
        "text of 1 KB": "x" * 1024,
        "bytes of 1 KB": b"x" * 1024,
        "bytes of 100 KB": b"x" * 100_000,
        "UUID": uuid.UUID(int=5 << 90),
        "60 UUIDs": [uuid.UUID(int=number << 100) for number in range(60)],
        "Counter of 5": Counter("aabcde"),
        "Counter of 1,000": Counter({f"word {number}": number for number in range(1000)}),
        "OrderedDict of 1,000": OrderedDict((f"k{number}", number) for number in range(1000)),
        "defaultdict of 1,000": defaultdict(list, {f"k{number}": number for number in range(1000)}),
        "deque of 1,000": deque(range(1000), 2000),
        "path": PosixPath("/srv/data"),
        "100 paths": [PosixPath(f"/srv/data/{number}") for number in range(100)],
        "100 Decimals": [Decimal(number) / 7 for number in range(100)],
        "100 Fractions": [Fraction(number, 7) for number in range(100)],
        "100 datetimes, UTC": [start + dt.timedelta(number) for number in range(100)],
        "100 datetimes, ZoneInfo": [start.replace(tzinfo=zone) + dt.timedelta(number) for number in range(100)],
        "1,000 dates": [start.date() + dt.timedelta(number) for number in range(1000)],
        "1,000 rows": [
            {"id": number, "name": f"n{number}", "part": number / 3, "tags": ["a", "b"], "none": None}
            for number in range(1000)
        ],
        "1,000 tuples": [(number, f"name {number}", number / 7) for number in range(1000)],
        "1,000 texts": [f"some text {number}" for number in range(1000)],
        "100,000 ints": list(range(100_000)),
        "10,000 floats": [number / 7 for number in range(10_000)],
    }


class OtherGate:
    """The gate of another version of coshelf, in a process of its own. It is measured there."""

    def __init__(self, source: str) -> None:
        paths = [source, *filter(None, sys.path)]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip

    def seconds(self, name: str, times: int) -> float:
        """Seconds of so many loads of a kind of `kinds`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([name, times]), file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


def serve() -> None:
    """Measure this version's gate: each line of input has a kind and a number of loads. Print the seconds."""
    loads, pickled = Gate().loads, {name: pickle.dumps(each) for name, each in kinds().items()}
    for line in sys.stdin:
        name, times = json.loads(line)
        print(_seconds(loads, pickled[name], times), flush=True)


def _seconds(load: Callable[[bytes], Any], data: bytes, times: int) -> float:
    load(data)
    begun = time.perf_counter()
    for _ in range(times):
        load(data)
    return time.perf_counter() - begun


def compare_kinds(sources: list[str]) -> None:
    """Print a table: microseconds of ``pickle.loads``, and the ratios of the gates to it. They take turns."""
    others, loads = [OtherGate(source) for source in sources], Gate().loads
    print("| | pickle.loads, us |" + " before |" * len(sources) + " gate |\n|" + " --- |" * (len(sources) + 3))
    for name, each in kinds().items():
        data = pickle.dumps(each)
        times = max(1, min(5000, int(0.005 / max(_seconds(pickle.loads, data, 1), 1e-6))))
        took = []
        for _ in range(ROUNDS):
            before = [other.seconds(name, times) for other in others]
            took.append((_seconds(pickle.loads, data, times), *before, _seconds(loads, data, times)))
        plain, *gated = (statistics.median(column) / times * 1e6 for column in zip(*took, strict=True))
        print(f"| {name} | {plain:.2f} | " + " | ".join(f"{each / plain:.2f}" for each in gated) + " |", flush=True)
    for other in others:
        other.end()


def main() -> None:
    if sys.argv[1:] == ["serve"]:
        serve()
        return
    if sys.argv[1:2] == ["kinds"]:
        compare_kinds(sys.argv[2:])
        return
    loads = Gate().loads
    values = {kind: value(kind, 5, 0) for kind in KINDS}
    values |= {"ten dates": [dt.date(2026, 11, day) for day in range(1, 11)], "UUID": uuid.UUID(int=5)}
    results: dict[str, Any] = {}
    for name, each in values.items():
        data = pickle.dumps(each)
        results[f"loads, {name}"] = compared(lambda data=data: pickle.loads(data), lambda data=data: loads(data))  # type: ignore[misc]
    with tempfile.TemporaryDirectory(dir=HERE) as place:
        coshelf.open(f"{place}/a.shelf").close()
        with (
            coshelf.open(f"{place}/a.shelf", trust=True) as own,
            coshelf.open(f"{place}/a.shelf", trust=False) as other,
        ):
            own["k"] = value(KINDS[0], 5, 0)
            own.sync()
            results[f"get, {KINDS[0]}"] = compared(lambda: own["k"], lambda: other["k"])
            with coshelf.open(f"{place}/signed.shelf", sign=b"k" * 32) as signed_shelf:
                small = value(KINDS[0], 5, 0)
                signed_shelf["k"] = small
                signed_shelf.sync()
                results[f"get, signed, {KINDS[0]}"] = compared(lambda: own["k"], lambda: signed_shelf["k"])
                results[f"set, signed, {KINDS[0]}"] = compared(
                    lambda: own.__setitem__("k", small), lambda: signed_shelf.__setitem__("k", small)
                )
    data = pickle.dumps(value(KINDS[0], 5, 0))
    pickles, key = Pickles(), encode("k")
    plain, signed = PickleCodec(pickles), LayeredCodec(pickles, [Signature((b"k" * 32,), bytes(16))])
    records_of = {
        codec: seal(body, checksum(key, body), 1)
        for codec in (plain, signed)
        for body in (codec.dump("k", key, pickle.loads(data)),)
    }
    results[f"signed, reading, {KINDS[0]}"] = compared(
        lambda: plain.load("k", key, records_of[plain]), lambda: signed.load("k", key, records_of[signed])
    )
    stored = value(KINDS[0], 5, 0)
    results[f"signed, storing, {KINDS[0]}"] = compared(
        lambda: plain.dump("k", key, stored), lambda: signed.dump("k", key, stored)
    )
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {RESULTS}", file=sys.stderr)


if __name__ == "__main__":
    main()
