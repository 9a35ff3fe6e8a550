"""What needs more than one contender in one loop: many processes, threads, held snapshots, memory, growth."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["measure"]

HERE = Path(__file__).resolve().parent
SITE = next((path for path in sys.path if path.endswith("site-packages")), "")

_HEAD = """
import json, os, random, sys, threading, time
import multiprocessing as mp
from contenders import CONTENDERS
from data import keys, value
name, directory = sys.argv[1:3]
"""

# Eight processes, half of which read and half of which write, for three seconds.
_CROWD = """
def work(index, count, end, results):
    contender = CONTENDERS[name](directory)
    chance, done, errors, names = random.Random(index), 0, 0, keys(count)
    try:
        contender.open()
    except Exception as error:
        results.put((0, 1, repr(error)))
        return
    reason = ""
    while time.time() < end:
        for _ in range(10):
            key = names[chance.randrange(count)]
            try:
                if index % 2:
                    contender.set(key, value("small dict", done, index))
                else:
                    contender.get(key)
                done += 1
            except Exception as error:
                errors, reason = errors + 1, repr(error)
    results.put((done, errors, reason))
    contender.close()

if __name__ == "__main__":
    count = 10_000
    contender = CONTENDERS[name](directory)
    contender.open()
    contender.update({key: value("small dict", number, 0) for number, key in enumerate(keys(count))})
    contender.settle()
    contender.close()
    context = mp.get_context("spawn")
    results, end = context.Queue(), time.time() + 4
    crew = [context.Process(target=work, args=(index, count, end, results)) for index in range(8)]
    for process in crew:
        process.start()
    found = [results.get() for _ in crew]
    for process in crew:
        process.join()
    print(json.dumps({"rate": sum(f[0] for f in found) / 3.5, "errors": sum(f[1] for f in found),
                      "reason": next((f[2] for f in found if f[2]), "")}))
"""

# Single sets while a second process holds an iterator half way and a snapshot.
_HELD = """
seconds = float(sys.argv[3])

def hold(ready, stop):
    import coshelf
    with coshelf.open(directory + "/a.shelf") as shelf:
        walk, snapshot = iter(shelf.items()), shelf.snapshot()
        for _ in range(10):
            next(walk)
        before = snapshot[keys(100_000)[0]]
        ready.set()
        stop.wait()
        assert sum(1 for _ in walk) == 100_000 - 10 and snapshot[keys(100_000)[0]] == before
        snapshot.close()

def sets(contender, names, length):
    done, took, end = 0, 0.0, time.perf_counter() + length
    while time.perf_counter() < end:
        begun = time.perf_counter()
        for key in names[done % 90_000 : done % 90_000 + 1_000]:
            contender.set(key, value("small dict", done, 1))
            done += 1
        took += time.perf_counter() - begun
    return took / done * 1e6, done

def size():
    return sum(os.lstat(f"{directory}/{name}").st_blocks * 512 for name in os.listdir(directory))

if __name__ == "__main__":
    names = keys(100_000)
    contender = CONTENDERS[name](directory)
    contender.open()
    contender.update({key: value("small dict", number, 0) for number, key in enumerate(names)})
    contender.settle()
    loaded = size()
    alone, _ = sets(contender, names, seconds / 4)
    before = size()
    context = mp.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=hold, args=(ready, stop))
    process.start()
    ready.wait()
    held, done = sets(contender, names, seconds)
    after = size()
    stop.set()
    process.join()
    print(json.dumps({"alone": alone, "held": held, "sets": done, "seconds": seconds, "right": process.exitcode == 0,
                      "bytes": [loaded, before, after]}))
"""

_THREADS = """
def rate(shelf, count):
    done, end = [0] * count, time.time() + 3
    def work(index):
        while time.time() < end:
            shelf[f"thread{index}"] = done[index]
            done[index] += 1
    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / 3

import coshelf
with coshelf.open(directory + "/a.shelf", durability="commit") as shelf:
    found = {1: [], 16: []}
    for _ in range(3):
        for count in found:
            found[count].append(rate(shelf, count))
print(json.dumps({str(count): sorted(rates)[1] for count, rates in found.items()}))
"""

_MEMORY = """
import coshelf
COUNT = 1_000_000

def resident():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("RssAnon")).split()[1]) * 1024

def grown(work):
    peak, done = [0], threading.Event()
    def watch():
        while not done.wait(0.01):
            peak[0] = max(peak[0], resident())
    before, watcher = resident(), threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(peak[0], resident()) - before

names = [f"key{number:07d}" for number in range(COUNT)]
what = sys.argv[3]
with coshelf.open(directory + "/a.shelf") as shelf:
    shelf["first"] = 1
    if what == "update":
        work = lambda: shelf.update((key, value("small dict", number, 0)) for number, key in enumerate(names))
    elif what == "load by sets":
        def work():
            for number, key in enumerate(names):
                shelf[key] = value("small dict", number, 0)
    else:
        work = lambda: sum(1 for _ in shelf.items())
    print(json.dumps(grown(work)))
"""

_OPENING = """
begun = time.perf_counter()
import coshelf
imported = time.perf_counter() - begun
took = []
for _ in range(9):
    begun = time.perf_counter()
    shelf = coshelf.open(directory + "/a.shelf")
    took.append(time.perf_counter() - begun)
    count = len(shelf)
    shelf.close()
print(json.dumps({"open": sorted(took)[4], "import": imported, "keys": count}))
"""

_GROWTH = """
count = int(sys.argv[3])
contender = CONTENDERS[name](directory)
contender.open()
names = keys(count)
for at in range(0, count, 10_000):
    contender.update({key: value("small dict", at + n, 0) for n, key in enumerate(names[at : at + 10_000])})
contender.settle()
def each(work, operations):
    found = []
    for turn in range(5):
        begun = time.perf_counter()
        work(turn)
        found.append((time.perf_counter() - begun) / operations * 1e6)
    return sorted(found)[2]
def some(turn, length):
    return random.Random(turn).sample(names, min(length, count))
def gets(turn):
    for key in chosen[turn]:
        contender.get(key)
def sets(turn):
    for key in chosen[turn]:
        contender.set(key, 1)
def prefixes(turn):
    for key in chosen[turn][:50]:
        found = contender.prefix(key[:12])
        assert sum(1 for _ in found) == 100
chosen = [some(turn, 10_000) for turn in range(5)]
result = {"get": each(gets, len(chosen[0]))}
if contender.prefix(names[0][:12]) is not None:
    result["prefix of 100"] = each(prefixes, 50)
result["set"] = each(sets, len(chosen[0]))
contender.settle()
begun = time.perf_counter()
contender.count()
result["len"] = (time.perf_counter() - begun) * 1e6
print(json.dumps(result))
"""


def _run(script: str, name: str, directory: str, *arguments: object, python: str = "") -> Any:
    """The result that a script prints, in a process of its own."""
    path = os.path.join(directory, "script.py")  # in a file, so that what it spawns finds its functions
    with open(path, "w", encoding="utf-8") as file:
        file.write(_HEAD + script)
    place = os.path.join(directory, "data")
    os.makedirs(place, exist_ok=True)
    paths = [str(HERE), str(HERE.parent / "src"), *([] if python else [SITE])]
    ran = subprocess.run(
        [python or sys.executable, path, name, place, *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, check=False,
    )  # fmt: skip
    if ran.returncode:
        return {"failed": ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else str(ran.returncode)}
    return json.loads(ran.stdout.strip().splitlines()[-1])


def measure(
    place: str, growth: int, seconds: float, others: dict[str, str], say: Callable[[str], None]
) -> dict[str, Any]:
    """All of it; sizes up to ``growth``, the snapshot held for so many seconds."""

    def run(script: str, name: str, *arguments: object, again: str | None = None) -> Any:
        directory = again or tempfile.mkdtemp(prefix="coshelf-bench-", dir=place)
        try:
            return _run(script, name, directory, *arguments, python=others.get(name, ""))
        finally:
            if again is None:
                shutil.rmtree(directory)

    found: dict[str, Any] = {"crowd": {}, "growth": {}, "memory": {}}
    for name in ("coshelf", "diskcache", "sqlitedict", "shelve on sqlite3", "pickleshare"):
        found["crowd"][name] = run(_CROWD, name)
    say("  eight processes: done")
    found["held"] = run(_HELD, "coshelf", seconds)
    say("  held iterator and snapshot: done")
    found["threads"] = run(_THREADS, "coshelf")
    kept = tempfile.mkdtemp(prefix="coshelf-bench-", dir=place)
    try:
        for what in ("update", "scan"):
            found["memory"][what] = run(_MEMORY, "coshelf", what, again=kept)
        found["opening"] = run(_OPENING, "coshelf", again=kept)
    finally:
        shutil.rmtree(kept)
    found["memory"]["load by sets"] = run(_MEMORY, "coshelf", "load by sets")
    found["bare"] = statistics.median(_bare() for _ in range(9))
    found["imported"] = statistics.median(_bare("import coshelf") for _ in range(9))
    say("  threads, memory, opening: done")
    for name in ("coshelf", "shelve on gdbm", "rocksdict"):
        count = 10_000
        while count <= growth:
            found["growth"].setdefault(name, {})[str(count)] = run(_GROWTH, name, count)
            say(f"  growth: {name}, {count:,} keys")
            count *= 10
    return found


def _bare(code: str = "pass") -> float:
    """Seconds from start to end of an interpreter."""
    import time

    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), SITE])}
    subprocess.run([sys.executable, "-S", "-c", code], env=environment, check=True)
    return time.perf_counter() - begun
