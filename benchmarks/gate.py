"""What loading through the gate costs beside ``pickle.loads``, a get where nothing is trusted, and a signature.

``python benchmarks/gate.py`` writes results/gate.json. Contenders take turns; medians of the rounds.
"""

from __future__ import annotations

import datetime as dt
import json
import pickle
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coshelf
from coshelf.keys import encode
from coshelf.records import checksum, seal
from coshelf.trust.gate import Gate
from coshelf.values.pickled import PickleCodec
from coshelf.values.signed import SignedPickles
from data import KINDS, value

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "gate.json"
ROUNDS, TIMES = 15, 20_000


def compared(one: Callable[[], Any], other: Callable[[], Any]) -> dict[str, float]:
    """Microseconds of a call of each, in turns."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for function, times in zip((one, other), took, strict=True):
            begun = time.perf_counter()
            for _ in range(TIMES):
                function()
            times.append((time.perf_counter() - begun) / TIMES * 1e6)
    plain, gated = map(statistics.median, took)
    return {"plain": plain, "gate": gated, "ratio": gated / plain}


def main() -> None:
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
    plain, signed, key = PickleCodec(), SignedPickles(None, (b"k" * 32,), bytes(16)), encode("k")
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
