"""Writes to a shelf at random, and notes in a journal what it is about to commit, and what it has committed.

Usage: lmdb_writer.py SHELF JOURNAL NAME SEED STEPS. Each value is (name, step, number of entries in the commit).
"""

from __future__ import annotations

import json
import os
import random
import sys
from typing import Any

import coshelf

shelf_path, journal_path, name, seed = sys.argv[1:5]
steps = int(sys.argv[5])
chance = random.Random(f"{name} {seed}")
journal = os.open(journal_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)


def note(what: str, step: int, puts: dict[str, Any], deletes: list[str]) -> None:
    os.write(journal, (json.dumps([what, step, sorted(puts), sorted(deletes)]) + "\n").encode())


def opened() -> Any:
    return coshelf.open(shelf_path, flush_interval=chance.choice((0.005, 0.05, 1.0)))


shelf = opened()
mine = [f"{name}/{number}" for number in range(20)]
for step in range(1, steps + 1):
    kind = chance.random()
    many = 1 if kind < 0.6 else 1_200 if kind > 0.99 else chance.randrange(2, 6)
    keys = [f"{name}/{step}/{number}" for number in range(many)] if many > 20 else chance.sample(mine, many)
    if kind < 0.2:
        keys = [f"shared/{chance.randrange(3)}"]
    value = (name, step, many)
    if 0.6 <= kind < 0.7:
        gone = [key for key in keys if key in shelf]
        note("begun", step, {}, gone)
        with shelf.transaction():
            for key in gone:
                del shelf[key]
        note("done", step, {}, gone)
    elif 0.7 <= kind < 0.73:
        gone = [key for key in shelf.keys(prefix=f"{name}/") if key not in mine]
        note("begun", step, {}, gone)
        with shelf.transaction():
            for key in gone:
                del shelf[key]
        note("done", step, {}, gone)
    else:
        note("begun", step, dict.fromkeys(keys), [])
        if many == 1:
            shelf[keys[0]] = value
        else:
            shelf.update(dict.fromkeys(keys, value))
        note("done", step, dict.fromkeys(keys), [])
    if kind > 0.985:
        shelf.sync()
    elif kind > 0.97:
        shelf.close()
        shelf = opened()
shelf.close()
