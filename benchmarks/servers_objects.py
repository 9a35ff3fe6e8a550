"""How long a shelf on an object store takes beside the bare client, and the requests of each operation.

``PYTHONPATH=tests/servers python benchmarks/servers_objects.py`` starts SeaweedFS, and moto to count the requests. The
contenders take turns on one server, in another order each round. It prints medians, and their ratio to the bare client.
The module that starts the servers is that of the tests, in tests/servers.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import objects

VALUE = {"name": "somebody", "numbers": list(range(20)), "text": "x" * 100}
SINGLE = 100
BATCH = 100
SCANNED = 500


class Coshelf:
    """A shelf."""

    name = "coshelf"

    def __init__(self, server: objects.Server) -> None:
        import coshelf

        self.shelf = coshelf.open(server.url())

    def set(self, key: str) -> None:
        self.shelf[key] = VALUE

    def get(self, key: str) -> Any:
        return self.shelf[key]

    def update(self, keys: list[str]) -> None:
        self.shelf.update(dict.fromkeys(keys, VALUE))

    def get_many(self, keys: list[str]) -> int:
        return len(self.shelf.get_many(keys))

    def scan(self) -> int:
        return sum(1 for _ in self.shelf.items(prefix="scanned/"))

    def modify(self, key: str) -> None:
        self.shelf.modify(key, lambda value: value)

    def count(self) -> int:
        return len(self.shelf.keys(prefix="scanned/"))


class Bare:
    """obstore and pickle alone, one request after another."""

    name = "obstore, a loop"

    def __init__(self, server: objects.Server) -> None:
        from obstore.store import from_url

        self.prefix = uuid.uuid4().hex
        self.store = from_url(
            f"s3://{objects.BUCKET}",
            config={"endpoint": server.endpoint},
            client_options={"allow_http": True},
        )

    def set(self, key: str) -> None:
        import obstore

        obstore.put(self.store, f"{self.prefix}/{key}", pickle.dumps(VALUE, 5), use_multipart=False)

    def get(self, key: str) -> Any:
        return self._load(f"{self.prefix}/{key}")

    def _load(self, name: str) -> Any:
        import obstore

        return pickle.loads(bytes(obstore.get(self.store, name).bytes()))

    def update(self, keys: list[str]) -> None:
        for key in keys:
            self.set(key)

    def get_many(self, keys: list[str]) -> int:
        return len([self.get(key) for key in keys])

    def scan(self) -> int:
        return len([self._load(name) for name in self._names()])

    def _names(self) -> list[str]:
        import obstore

        pages = obstore.list(self.store, f"{self.prefix}/scanned", chunk_size=1_000)
        return [meta["path"] for page in pages for meta in page]

    def modify(self, key: str) -> None:
        """Read a value, and write it if the object has not changed since."""
        import obstore

        name = f"{self.prefix}/{key}"
        found = obstore.get(self.store, name)
        value, token = pickle.loads(bytes(found.bytes())), found.meta["e_tag"]
        obstore.put(self.store, name, pickle.dumps(value, 5), mode={"e_tag": token}, use_multipart=False)

    def count(self) -> int:
        return len(self._names())


class BareInThreads(Bare):
    """The same, with 16 threads for several requests. A shelf has as many."""

    name = "obstore, 16 threads"

    def __init__(self, server: objects.Server) -> None:
        super().__init__(server)
        self.pool = ThreadPoolExecutor(16)

    def update(self, keys: list[str]) -> None:
        list(self.pool.map(self.set, keys))

    def get_many(self, keys: list[str]) -> int:
        return len(list(self.pool.map(self.get, keys)))

    def scan(self) -> int:
        return len(list(self.pool.map(self._load, self._names())))


CONTENDERS = (Coshelf, Bare, BareInThreads)


def workloads(contender: Any) -> dict[str, tuple[Callable[[], object], int]]:
    """The function of each workload, and how many operations it does."""
    single = [f"single/{number}" for number in range(SINGLE)]
    batch = [f"batch/{number}" for number in range(BATCH)]
    return {
        "set": (lambda: [contender.set(key) for key in single], SINGLE),
        "get": (lambda: [contender.get(key) for key in single], SINGLE),
        "modify": (lambda: [contender.modify(key) for key in single], SINGLE),
        f"update of {BATCH}": (lambda: contender.update(batch), 1),
        f"get_many of {BATCH}": (lambda: contender.get_many(batch), 1),
        f"scan of {SCANNED}": (contender.scan, 1),
        f"count of {SCANNED}": (contender.count, 1),
    }


def measure(server: objects.Server, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of one operation, by workload and contender."""
    made: list[Any] = [contender(server) for contender in CONTENDERS]
    for each in made:
        each.update([f"scanned/{number:05}" for number in range(SCANNED)])
    took: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds + 1):
        for name in workloads(made[0]):
            for each in made[turn % len(made) :] + made[: turn % len(made)]:
                work, operations = workloads(each)[name]
                began = time.perf_counter()
                work()
                if turn:  # the first round warms up
                    spent = (time.perf_counter() - began) / operations * 1e3
                    took.setdefault(name, {}).setdefault(each.name, []).append(spent)
    return took


def count_requests(server: objects.Server) -> dict[str, str]:
    """The requests of one operation of each workload."""
    contender = Coshelf(server)
    contender.update([f"scanned/{number:05}" for number in range(SCANNED)])
    counted = {}
    for name, (work, operations) in workloads(contender).items():
        server.requests.clear()
        work()
        kinds = {kind: server.requests.count(kind) / operations for kind in sorted(set(server.requests))}
        counted[name] = ", ".join(f"{number:g} {'LIST' if 'list' in kind else kind}" for kind, number in kinds.items())
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    os.environ.update(objects.ENVIRONMENT)
    with objects.moto_server() as moto:
        requests = count_requests(moto)
    with objects.Weed() as weed:
        took = measure(weed, given.rounds)
    medians = {name: {who: statistics.median(all_) for who, all_ in of.items()} for name, of in took.items()}
    print("| | requests | " + " | ".join(f"{each.name}, ms" for each in CONTENDERS) + " | ratio to the faster one |")
    print("| --- " * (len(CONTENDERS) + 3) + "|")
    for name, of in medians.items():
        ratio = of["coshelf"] / min(spent for who, spent in of.items() if who != "coshelf")
        cells = " | ".join(f"{of[each.name]:.2f}" for each in CONTENDERS)
        print(f"| {name} | {requests[name]} | {cells} | {ratio:.2f} |")
    if given.results:
        given.results.write_text(json.dumps({"took": took, "requests": requests}, indent=1))


if __name__ == "__main__":
    main()
