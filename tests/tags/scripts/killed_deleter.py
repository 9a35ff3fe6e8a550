"""Stores entries with a tag and deletes them again, until it is killed. Says so before each step."""

from __future__ import annotations

import sys

import coshelf
from coshelf.mapping import expiring

target, entries, together = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
expiring._TAGGED = together
with coshelf.open(target, flush_interval=0.01) as shelf:
    while True:
        shelf.update(dict.fromkeys(range(entries), "value"), expire=3600, tags=("x", "y"))
        print("deletes", flush=True)
        shelf.delete_tagged("x")
        print("stores", flush=True)
