"""What several processes do to a directory: ``python pickleshare_races.py``.

Prints the table of docs/coming-from-pickleshare.md, for pickleshare and for coshelf.pickleshare. The rows are those of
pickleshare's faults that more than one process, a kill or a strange file brings about.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES = ("pickleshare", "coshelf.pickleshare")
NOBODY = 65534


def opened(module: str, place: Path) -> Any:
    """The directory ``place``, as a module opens it."""
    return importlib.import_module(module).PickleShareDB(place / "db")


def together(number: int, work: Callable[[int], object]) -> list[Any]:
    """Run forked processes that begin together; return what the work of each returned, or the error's name."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(number), context.SimpleQueue()

    def run(name: int) -> None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (pickleshare prints what it deletes)
        barrier.wait()
        try:
            results.put((name, work(name)))
        except Exception as error:
            results.put((name, type(error).__name__))

    processes = [context.Process(target=run, args=(name,)) for name in range(number)]
    for process in processes:
        process.start()
    found = dict(results.get() for _ in processes)
    for process in processes:
        process.join()
    return [found[name] for name in sorted(found)]


def readers_during_writes(module: str, place: Path, size: int, seconds: float = 0.5) -> tuple[int, int]:
    """Reads that failed, and reads, while another process writes one value again and again."""
    opened(module, place)["a"] = "x" * size

    def work(name: int) -> tuple[int, int]:
        db, done, failed = opened(module, place), 0, 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if name == 0:
                db["a"] = "x" * size
            else:
                db.uncache()
                done += 1
                failed += db.get("a") != "x" * size
        return failed, done

    found: tuple[int, int] = together(2, work)[1]
    return found


def value_that_cannot_be_pickled(module: str, place: Path) -> object:
    """What is there after one was stored over 1."""
    db = opened(module, place)
    db["a"] = 1
    try:
        db["a"] = [1, lambda: None]
    except Exception:  # whatever pickle says
        db.uncache()
    return db.get("a", "nothing")


def second_write_in_a_second(module: str, place: Path) -> object:
    """What a process reads that had the first of two values that another wrote within a second."""
    reader, writer = opened(module, place), opened(module, place)
    time.sleep(1.1 - time.time() % 1)  # the clock of files is some milliseconds late
    writer["a"] = "first"
    assert reader["a"] == "first"
    writer["a"] = "second"
    return reader["a"]


def clear_with_a_broken_file(module: str, place: Path) -> int:
    """How many of five keys ``clear()`` leaves."""
    db = opened(module, place)
    for key in "abde":
        db[key] = 1
    (place / "db" / "c").touch()
    os.utime(place / "db" / "c", (1, 1))
    db.clear()
    return len(db.keys())


def clear_where_nothing_can_be_written(module: str, place: Path, seconds: float = 2.0) -> str:
    """How ``clear()`` ends on a directory that is read-only."""
    opened(module, place)["a"] = 1
    place.chmod(0o755)
    (place / "db").chmod(0o555)
    pid = os.fork()
    if not pid:
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            opened(module, place).clear()
        except Exception:
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "an error" if status else "no error"
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "never"


_HASHED = "import sys; from {module} import *; db = PickleShareDB(sys.argv[1]); "


def hashed_str_keys(module: str, place: Path) -> tuple[object, object]:
    """What ``hget`` and ``hdict`` of a fifth process say, after four have stored a str key one after another."""

    def run(code: str, seed: int) -> str:
        command = [sys.executable, "-c", _HASHED.format(module=module) + code, str(place / "db")]
        done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1].split(":")[0]

    for seed, value in enumerate(("first", "second", "third", "fourth"), 1):
        run(f"db.hset('h', 'name', {value!r})", seed)
    return run("print(db.hget('h', 'name'))", 5), run("print(db.hdict('h')['name'])", 5)


def hset_by_several(module: str, place: Path, count: int = 300) -> int:
    """How many of the keys are there that three processes stored in one bucket."""

    def work(name: int) -> None:
        db = opened(module, place)
        for number in range(count):
            db.hset("h", (name * count + number) * 256, 1)

    opened(module, place).hset("h", -256, 1)
    together(3, work)
    return len(opened(module, place).hdict("h")) - 1


def compressed_keys_hidden(module: str, place: Path) -> int:
    """How many of 10 compressed keys are found after another came into their bucket."""
    db = opened(module, place)
    for number in range(10):
        db.hset("h", number * 256, 1)
    db.hcompress("h")
    db.hset("h", 10 * 256, 1)
    return sum(db.hget("h", number * 256, None, fast_only=False) == 1 for number in range(10))


def compressed_twice(module: str, place: Path) -> int:
    """How many of 256 keys have their newest value after two rounds of storing and compressing."""
    db = opened(module, place)
    for value in ("old", "new"):
        for number in range(256):
            db.hset("h", number, value)
        db.hcompress("h")
    return sum(value == "new" for value in db.hdict("h").values())


def reading_while_hset(module: str, place: Path, count: int = 1000) -> int:
    """How many of the keys are there that one process stored while another read the category."""
    end = place / "end"

    def work(name: int) -> None:
        db = opened(module, place)
        if name == 0:
            for number in range(count):
                db.hset("h", number, "x" * 500)
            end.touch()
        while not end.exists():
            db.hdict("h")

    opened(module, place).hset("h", -1, 1)
    together(2, work)
    return len(opened(module, place).hdict("h")) - 1


def compressing_while_hset(module: str, place: Path, count: int = 500) -> int:
    """How many of the keys are there that one process stored while another compressed the category."""
    end = place / "end"

    def work(name: int) -> None:
        db = opened(module, place)
        if name == 0:
            try:
                for number in range(count):
                    db.hset("h", number, 1)
            finally:
                end.touch()
        while not end.exists():
            try:
                db.hcompress("h")
            except (KeyError, OSError):
                continue

    opened(module, place).hset("h", -1, 1)
    together(2, work)
    return len(opened(module, place).hdict("h")) - 1


def nested_keys_at_once(module: str, place: Path, count: int = 200) -> int:
    """How many of the keys are there that four processes stored in the same new directories."""

    def work(name: int) -> None:
        db = opened(module, place)
        for number in range(count):
            try:
                db[f"d{number}/e/{name}"] = 1
            except OSError:
                continue

    opened(module, place)
    together(4, work)
    return len(opened(module, place).keys())


def key_that_leads_out(module: str, place: Path) -> str:
    """Where the value of the key ``../outside`` lies."""
    try:
        opened(module, place)["../outside"] = 1
    except (TypeError, ValueError):
        return "refused"
    return "outside" if (place / "outside").exists() else "inside"


def unreadable_value(module: str, place: Path) -> str:
    """What the KeyError of a value says whose class is gone, beside that it is a KeyError."""
    db = opened(module, place)
    (place / "db" / "a").write_bytes(b"\x80\x02cnowhere\nGone\n)\x81.")
    try:
        db["a"]
    except KeyError as error:
        return type(error.__cause__).__name__
    return "nothing"


def killed_writers(module: str, place: Path, kills: int = 20) -> int:
    """How many of the kills of a process that writes 20 MB left a value that is neither old nor new."""
    db = opened(module, place)
    value = list(range(2_000_000))
    db["a"] = value
    left = 0
    for turn in range(kills):
        pid = os.fork()
        if not pid:
            mine = opened(module, place)
            while True:
                mine["a"] = value
        time.sleep(0.15 + 0.01 * turn)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        data = (place / "db" / "a").read_bytes()
        left += data != pickle.dumps(value, 2)
    return left


def row(words: str, measure: Callable[[str, Path], object]) -> None:
    cells = []
    for module in MODULES:
        with tempfile.TemporaryDirectory() as place:
            cells.append(measure(module, Path(place)))
            for path in Path(place).rglob("*"):
                path.chmod(0o700)
    print(f"| {words} | {cells[0]} | {cells[1]} |", flush=True)


def failed_reads(size: int) -> Callable[[str, Path], object]:
    return lambda module, place: "{:,} of {:,}".format(*readers_during_writes(module, place, size, 2.0))


def main() -> None:
    print("| | pickleshare | coshelf.pickleshare |\n| --- | --- | --- |")
    row("reads that fail while another process writes, 20 bytes", failed_reads(10))
    row("reads that fail while another process writes, 300 kB", failed_reads(300_000))
    row("a value that cannot be pickled was stored over 1: the key has", value_that_cannot_be_pickled)
    row("two writes within a second: a process that has read the first now reads", second_write_in_a_second)
    row("`clear()` with a broken file: of 5 keys stay", clear_with_a_broken_file)
    row("`clear()` on a read-only directory ends with", clear_where_nothing_can_be_written)
    row("a hashed str key, stored by 4 processes: `hget` and `hdict` of a fifth", hashed_str_keys)
    row("3 processes `hset` 300 keys each in one bucket: of 900 exist", hset_by_several)
    row("compressed keys found after another came into their bucket, of 10", compressed_keys_hidden)
    row("newest values after compressing twice, of 256", compressed_twice)
    row("1,000 keys stored while another process reads `hdict`: exist", reading_while_hset)
    row("500 keys stored while another process compresses: exist", compressing_while_hset)
    row("4 processes store 200 nested keys each: of 800 exist", nested_keys_at_once)
    row("the key `../outside`", key_that_leads_out)
    row("the class of a value is gone: the KeyError's cause", unreadable_value)
    row("20 kills of a process that writes 10 MB: half values left", killed_writers)


if __name__ == "__main__":
    main()
