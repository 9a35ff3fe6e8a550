"""How long it takes until a change is told by another process, and what watching costs the writers, on servers.

    PYTHONPATH=tests/servers python benchmarks/watching_servers.py redis postgresql

The writer of a shelf that is watched and that of one that is not take turns, on one server. Figures are medians. The
latency counts from the beginning of a put in one process to the change in another one. The modules that start servers
are those of the tests, in tests/servers.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import coshelf

ROUNDS = 15
PUTS = 100
LATENCIES = 1_000
END = -1


@contextlib.contextmanager
def redis() -> Iterator[Callable[[str], str]]:
    """A server of Valkey that appends, and a function from names of shelves to URLs."""
    from valkey_servers import single

    with tempfile.TemporaryDirectory() as place:
        server = single(Path(place))
        try:
            yield lambda name: f"{server.url}/0/{name}"
        finally:
            server.kill()


@contextlib.contextmanager
def postgresql() -> Iterator[Callable[[str], str]]:
    """A server of PostgreSQL that flushes each commit."""
    from postgresql import new_server

    server = new_server(durable=True)
    try:
        server.make()
        server.start()
        yield server.url
    finally:
        server.remove()


SERVERS = {"redis": redis, "postgresql": postgresql}


def watch(url: str) -> None:
    """Print the latency of each change in milliseconds, until one has the value :data:`END`."""
    found = []
    with coshelf.open(url) as shelf, shelf.watch() as watching:
        print("ready", flush=True)
        for change in watching:
            put_at = change.value or 0
            if put_at == END:
                break
            found.append((time.monotonic_ns() - put_at) / 1e6)
    print(*found)


@contextlib.contextmanager
def watched(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that watches a shelf."""
    program = [sys.executable, __file__, "--watch", url]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def put_some(shelf: coshelf.Shelf[str, int]) -> float:
    """Milliseconds of a put."""
    began = time.perf_counter()
    for number in range(PUTS):
        shelf[f"k{number}"] = time.monotonic_ns()
    return (time.perf_counter() - began) * 1000 / PUTS


def measure(kind: str) -> None:
    """Measure one kind of server, and print a line."""
    with SERVERS[kind]() as url_of:
        one, other = url_of("watched"), url_of("unwatched")
        with coshelf.open(one) as shelf, coshelf.open(other) as alone, watched(one) as process:
            put_some(shelf)
            put_some(alone)
            rounds = [(put_some(alone), put_some(shelf)) for _ in range(ROUNDS)]
            shelf["k"] = END
            assert process.stdout is not None
            process.stdout.read()
        with coshelf.open(one) as shelf, watched(one) as process:
            for _ in range(LATENCIES):
                shelf["k"] = time.monotonic_ns()
                time.sleep(0.002)
            shelf["k"] = END
            assert process.stdout is not None
            latencies = sorted(map(float, process.stdout.read().split()))
    unwatched = statistics.median(each for each, _ in rounds)
    ratio = statistics.median(with_one / without for without, with_one in rounds)
    print(
        f"{kind}: a put {unwatched:.3f} ms, with a watcher {ratio:.2f} times; told after "
        f"{statistics.median(latencies):.2f} ms, 99 % within {latencies[len(latencies) * 99 // 100]:.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=", ".join(SERVERS))
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watch:
        watch(arguments.watch)
    for kind in arguments.kinds:
        measure(kind)


if __name__ == "__main__":
    main()
