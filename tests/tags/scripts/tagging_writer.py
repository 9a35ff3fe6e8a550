"""Stores entries with a tag, and others that lose the tag at once. Says so at the end."""

from __future__ import annotations

import sys

import coshelf

with coshelf.open(sys.argv[1], flush_interval=0.01) as shelf:
    print("begins", flush=True)
    for number in range(int(sys.argv[2])):
        shelf.set(number, "tagged", expire=3600 if number % 2 else None, tags=("x", f"of {number % 3}"))
        shelf.set(f"kept {number}", "tagged", tags=("x",))
        shelf[f"kept {number}"] = "plain"
    print("ends", flush=True)
