"""How long a shelf on Redis or Valkey takes beside redis-py alone, which sends the same commands and scripts.

``PYTHONPATH=tests/servers python benchmarks/servers_redis.py`` starts a server and a Cluster of three, and writes
results/servers_redis.json. Shelf and bare client take turns. The bare client sends the bytes that the shelf would send.
It does not encode keys, and does not pickle. The module that starts the servers is that of the tests, in tests/servers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coshelf
from coshelf.engines.redis import client as engine_client
from coshelf.engines.redis.commits import _arguments
from coshelf.engines.redis.layout import Bucket
from coshelf.engines.redis.scripts import COMMIT, PAGE
from coshelf.keys import FIRST, LAST, encode

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "servers_redis.json"

KEYS = 10_000
VALUE = {"name": "somebody", "tags": ["a", "b", "c"], "text": "x" * 140}
COUNTS = {"get": 2_000, "set": 1_000, "update of 100": 50, "get of 100": 100, "scan": 1, "len": 1_000}
PER = {"scan": KEYS}


class Shelf:
    """A shelf with all entries."""

    def __init__(self, url: str) -> None:
        self.shelf: coshelf.Shelf[Any, Any] = coshelf.open(url, trust=True)
        for start in range(0, KEYS, 1000):
            self.shelf.update({f"key/{number}": VALUE for number in range(start, start + 1000)})

    def work(self, chance: random.Random) -> dict[str, Callable[[], object]]:
        shelf = self.shelf
        return {
            "get": lambda: shelf[f"key/{chance.randrange(KEYS)}"],
            "set": lambda: shelf.__setitem__(f"key/{chance.randrange(KEYS)}", VALUE),
            "update of 100": lambda: shelf.update({f"key/{chance.randrange(KEYS)}": VALUE for _ in range(100)}),
            "get of 100": lambda: shelf.get_many([f"key/{chance.randrange(KEYS)}" for _ in range(100)]),
            "scan": lambda: sum(1 for _ in shelf.items()),
            "len": lambda: len(shelf),
        }


class Bare:
    """redis-py, on the same entries of the same shelf."""

    def __init__(self, client: Any, shelf: Shelf) -> None:
        engine: Any = shelf.shelf._handle.engine
        self.client = client
        self.bucket: Bucket = engine._layout.buckets[0]
        self.store_id = engine.store_id
        self.body = engine.get(encode("key/1")).record[:-12]
        self.keys = [encode(f"key/{number}") for number in range(KEYS)]

    def commit(self, keys: list[bytes], number: int) -> None:
        bucket = self.bucket
        arguments = _arguments(coshelf.contract.Batch(puts=dict.fromkeys(keys, self.body)), {}, number)
        names = (bucket.state, bucket.records, bucket.keys, bucket.reserved, bucket.times)
        keys_of_commit = (*names, bucket.ticket(b"bare"), bucket.bell)
        command = COMMIT.call(keys_of_commit, self.store_id, number.to_bytes(8, "little"), "PUBLISH", b"", *arguments)
        self.client.execute_command(*command)

    def scan(self) -> int:
        low, count = b"[" + FIRST, 0
        while True:
            names = (self.bucket.keys, self.bucket.records, self.bucket.times)
            command = PAGE.call(names, b"ZRANGEBYLEX", low, b"(" + LAST, 100, b"", 1 << 20)
            keys, _, _ = self.client.execute_command(*command)
            count += len(keys)
            if len(keys) < 100:
                return count
            low = b"(" + keys[-1]

    def work(self, chance: random.Random) -> dict[str, Callable[[], object]]:
        client, bucket, keys = self.client, self.bucket, self.keys
        numbers = itertools.count(1)
        return {
            "get": lambda: client.hget(bucket.records, chance.choice(keys)),
            "set": lambda: self.commit([chance.choice(keys)], next(numbers)),
            "update of 100": lambda: self.commit(chance.choices(keys, k=100), next(numbers)),
            "get of 100": lambda: client.hmget(bucket.records, chance.choices(keys, k=100)),
            "scan": self.scan,
            "len": lambda: client.zcard(bucket.keys),
        }


def round_trips(shelf: Shelf) -> dict[str, float]:
    """How often the shelf waits for a reply, for each kind of work."""
    sent = 0
    inner = engine_client._send

    def counted(*arguments: Any) -> Any:
        nonlocal sent
        sent += 1
        return inner(*arguments)

    engine_client._send = counted  # type: ignore[assignment]
    try:
        found = {}
        for name, do in shelf.work(random.Random(0)).items():
            before = sent
            do()
            found[name] = float(sent - before)
        return found
    finally:
        engine_client._send = inner


def measure(shelf: Shelf, bare: Bare, rounds: int) -> dict[str, dict[str, Any]]:
    """Microseconds of each kind of work by shelf and bare client, in turns, and their ratio."""
    trips = round_trips(shelf)
    contenders = {"shelf": shelf.work(random.Random(0)), "bare": bare.work(random.Random(0))}
    took: dict[str, dict[str, list[float]]] = {name: {work: [] for work in COUNTS} for name in contenders}
    for number in range(rounds + 1):
        for work, count in COUNTS.items():
            order = list(contenders)
            for name in order if number % 2 else order[::-1]:
                do = contenders[name][work]
                began = time.perf_counter()
                for _ in range(count):
                    do()
                if number:  # the first round warms up
                    took[name][work].append((time.perf_counter() - began) / count / PER.get(work, 1) * 1e6)
    return {
        work: {
            "shelf": statistics.median(took["shelf"][work]),
            "bare": statistics.median(took["bare"][work]),
            "ratio": statistics.median(
                mine / theirs for mine, theirs in zip(took["shelf"][work], took["bare"][work], strict=True)
            ),
            "requests": trips[work],
        }
        for work in COUNTS
    }


def main() -> None:
    import redis
    from valkey_servers import Cluster, single

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="coshelf-bench-", dir=HERE) as place:
        server = single(Path(place) / "server")
        try:
            results["server"] = server.client.info("server")["redis_version"]
            shelf = Shelf(f"{server.url}/0/bench")
            results["one server"] = measure(shelf, Bare(redis.Redis(port=server.port), shelf), options.rounds)
        finally:
            server.kill()
        cluster = Cluster(Path(place) / "cluster", replicas=0)
        try:
            shelf = Shelf(f"{cluster.url}/bench")
            bare = redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
            results["a cluster, 1 bucket"] = measure(shelf, Bare(bare, shelf), options.rounds)
        finally:
            cluster.kill()
    options.results.write_text(json.dumps(results, indent=1) + "\n")
    for setting, figures in results.items():
        if isinstance(figures, dict):
            print(f"\n{setting}: microseconds (of a scan: for each entry)\n")
            print("| | shelf | bare client | ratio | requests |\n| --- | --- | --- | --- | --- |")
            for work, each in figures.items():
                times = f"{each['shelf']:.1f} | {each['bare']:.1f} | {each['ratio']:.2f}"
                print(f"| {work} | {times} | {each['requests']:.0f} |")


if __name__ == "__main__":
    main()
