"""Files as LMDB makes them, by transactions of every kind, each state looked at: nothing in them may count as damage.

By hand: ``python tests/damage/whole_files.py --states 100000 --seed 0``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from unittest.mock import patch

import lmdb

import coshelf
from coshelf.engines.lmdb.checks.records import StateCheck
from coshelf.engines.lmdb.delta import files
from coshelf.engines.lmdb.files.sidecar_directory import delta_path
from coshelf.engines.lmdb.pages.header import read_metas, wrong_with
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.pages.structure import StructureCheck
from coshelf.inspection.reports import Report

__all__ = ["main", "states"]

_COMMITS = 40  # of one file
_NODE = 2038  # bytes of a row that LMDB keeps in a leaf
# As coshelf opens its base, and its delta in its two kinds; without the waiting for a disk.
_FLAGS: dict[str, dict[str, bool]] = {
    "base": {"sync": False},
    "plain delta": {"sync": False, "metasync": False},
    "mapped delta": {"sync": False, "metasync": False, "writemap": True},
}


def problems_of(path: str, *, rows: bool) -> list[str]:
    """The damage reported in a file that no process writes. With ``rows`` the rows of a shelf are checked, too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        metas = read_metas(descriptor, path)
        wrong = wrong_with(metas)
        report = Report(path)
        newest = max(metas, key=lambda meta: meta.transaction)
        pages = Pages(descriptor, newest.page_size)
        if rows:
            StateCheck(pages, newest, report, None).run()
        else:
            StructureCheck(pages, newest, report).run()
    finally:
        os.close(descriptor)
    return [*([] if wrong is None else [wrong]), *map(str, report.problems)]


def _value(chance: random.Random, scale: int) -> bytes:
    """Of all sizes, most often one at which LMDB changes its mind."""
    size = chance.choice(
        (0, 1, chance.randrange(100), chance.randrange(3_000), _NODE - chance.randrange(300), 4_080, 4_081,
         chance.randrange(10_000), 30_000, chance.randrange(200_000))[: 7 + scale]
    )  # fmt: skip
    return bytes(size)


def _key(chance: random.Random, keys: int) -> bytes:
    number = chance.randrange(keys)
    length = (3, 8, 40, 200, 493, 511)[number % 6]
    return number.to_bytes(3, "big").ljust(length, b"k")


def _write(
    transaction: lmdb.Transaction[bytes], environment: lmdb.Environment, chance: random.Random, keys: int
) -> str:
    """The changes of one transaction, of one kind; what it is called."""
    scale = chance.randrange(4)
    kind = chance.choice(("few", "many", "same", "delete", "mixed", "grow and shrink", "all", "append", "taken back"))
    if kind == "all" and chance.random() < 0.7:
        transaction.drop(environment.open_db(None, transaction), delete=False)
    elif kind == "delete":
        share = chance.choice((0.1, 0.5, 0.9, 1.0))
        for key in [key for key, _ in transaction.cursor()]:
            if chance.random() < share:
                transaction.delete(key)
    elif kind == "append":
        rows = [(b"\xff" + chance.randbytes(8), _value(chance, scale)) for _ in range(chance.randrange(1, 60))]
        cursor = transaction.cursor()
        rows = sorted(row for row in rows if not cursor.last() or row[0] > cursor.key())
        cursor.putmulti(rows, append=True)
    elif kind in ("same", "grow and shrink", "taken back"):
        some = [_key(chance, keys) for _ in range(chance.randrange(1, 20))]
        for _ in range(chance.randrange(2, 6)):
            for key in some:
                transaction.put(key, _value(chance, scale))
        if kind == "taken back":
            for key in some:
                transaction.delete(key)
    else:
        for _ in range(chance.randrange(1, 8) if kind == "few" else chance.randrange(20, 200)):
            if kind == "mixed" and chance.random() < 0.4:
                transaction.delete(_key(chance, keys))
            else:
                transaction.put(_key(chance, keys), _value(chance, scale if kind == "few" else scale % 2))
    return kind


def _commit_behind_a_reader(environment: lmdb.Environment, chance: random.Random, keys: int) -> None:
    """Many commits whose old pages cannot be used again, so that the list of free pages becomes a tree."""
    with environment.begin():
        for _ in range(chance.choice((50, 200, 500))):
            with environment.begin(write=True) as transaction:
                transaction.put(_key(chance, keys), bytes(chance.randrange(200)))


def _of_lmdb(chance: random.Random, path: str, kind: str) -> Iterator[tuple[str, list[str]]]:
    """The states of one file that LMDB alone writes."""
    keys = chance.choice((5, 60, 600))
    readers: list[lmdb.Transaction[bytes]] = []
    environment = lmdb.open(path, map_size=1 << 28, subdir=False, lib_version=0, max_readers=16, **_FLAGS[kind])
    try:
        yield f"{kind}, new", problems_of(path, rows=False)
        for _ in range(_COMMITS):
            transaction = environment.begin(write=True)
            what = _write(transaction, environment, chance, keys)
            if chance.random() < 0.1:
                transaction.abort()
                what += ", aborted"
            else:
                transaction.commit()
            yield f"{kind}, {what}", problems_of(path, rows=False)
            if readers and chance.random() < 0.2:
                readers.pop(chance.randrange(len(readers))).abort()
            elif len(readers) < 3 and chance.random() < 0.1:
                readers.append(environment.begin())
            if chance.random() < 0.05:
                _commit_behind_a_reader(environment, chance, keys)
                yield f"{kind}, behind a reader", problems_of(path, rows=False)
            if chance.random() < 0.05:
                for reader in readers:
                    reader.abort()
                readers = []
                environment.close()
                environment = lmdb.open(
                    path, map_size=1 << 28, subdir=False, lib_version=0, max_readers=16, **_FLAGS[kind]
                )  # fmt: skip
    finally:
        for reader in readers:
            reader.abort()
        environment.close()


def _of_coshelf(chance: random.Random, path: str) -> Iterator[tuple[str, list[str]]]:
    """The states of the file and the delta, which is a table, of one shelf."""
    names = ["a", "k" * 600, "k" * 1_200, ("t", 1), 7, "k" * 493, "k" * 494, *map(str, range(chance.choice((5, 300))))]
    snapshots = []
    tables = patch.object(files, "native", SimpleNamespace(in_use=False, shares_memory=False))
    with tables, coshelf.open(path, flush_interval=1_000) as shelf:
        shelf[names[0]] = 0  # the first commit makes the delta
        for _ in range(_COMMITS // 2):
            scale = chance.randrange(4)
            what = chance.choice(("few", "many", "delete", "clear", "transaction", "long keys"))
            some = chance.sample(names, min(len(names), 3 if what == "few" else 40))
            if what == "clear" and chance.random() < 0.5:
                shelf.clear()
            elif what in ("delete", "transaction"):
                with shelf.transaction() as transaction:
                    for name in some:
                        transaction.pop(name, None)
                        if what == "transaction" and chance.random() < 0.5:
                            transaction[name] = _value(chance, scale)
            elif what == "long keys":
                shelf.update({"k" * chance.randrange(480, 1_500): _value(chance, scale) for _ in range(20)})
            else:
                for _ in range(chance.randrange(1, 4)):
                    shelf.update({name: _value(chance, scale) for name in some})
            yield f"delta of a shelf, {what}", problems_of(delta_path(path, 0), rows=False)
            if chance.random() < 0.6:
                shelf.sync()
                yield f"shelf, {what}", problems_of(path, rows=True)
                yield f"delta of a shelf, {what}, flushed", problems_of(delta_path(path, 0), rows=False)
            if snapshots and chance.random() < 0.3:
                snapshots.pop().close()
            elif len(snapshots) < 2 and chance.random() < 0.1:
                snapshots.append(shelf.snapshot())
        for snapshot in snapshots:
            snapshot.close()
    yield "shelf, closed", problems_of(path, rows=True)


def states(seed: int) -> Iterator[tuple[str, list[str]]]:
    """The states of files without end: how each came about, and what is called damaged in it."""
    number = 0
    while True:
        number += 1
        chance = random.Random(f"{seed} {number}")
        directory = tempfile.mkdtemp(
            prefix="coshelf-whole-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        )
        path = os.path.join(directory, "a.shelf")
        try:
            which = number % 4
            found = _of_coshelf(chance, path) if which == 3 else _of_lmdb(chance, path, list(_FLAGS)[which])
            for what, problems in found:
                yield f"seed {seed}, file {number}: {what}", problems
        finally:
            shutil.rmtree(directory)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--states", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    home = tempfile.mkdtemp()
    os.environ["XDG_STATE_HOME"] = home
    kinds: Counter[str] = Counter()
    damaged = 0
    try:
        for number, (what, problems) in enumerate(states(given.seed), 1):
            kinds[what.split(": ")[1].split(",")[0]] += 1
            if problems:
                damaged += 1
                print(f"{what}: {problems[:3]}", flush=True)
            if number % 10_000 == 0:
                print(f"{number:,} states, {damaged} called damaged", flush=True)
            if number == given.states:
                break
    finally:
        shutil.rmtree(home)
    print(dict(kinds), flush=True)
    sys.exit(bool(damaged))


if __name__ == "__main__":
    main()
