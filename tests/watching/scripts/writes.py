"""Commits numbered batches, each of several entries, from the number after the last one to a given number."""

from __future__ import annotations

import sys

from talking import path, say

import coshelf

with coshelf.open(path) as shelf:
    for number in range(shelf.get("last", 0) + 1, int(sys.argv[2]) + 1):
        shelf.update({"last": number, ("batch", number % 5): number, f"jobs/{number % 3}": number, "unwatched": 0})
        say(number)
