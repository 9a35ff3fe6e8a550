"""Overwrites all, so many times that every page is used again that nobody holds."""

import sys

from talking import path

import coshelf

shelf = coshelf.open(path, timeout=float(sys.argv[2]))
for turn in range(140):
    shelf.update(dict.fromkeys(range(100), (turn, "y" * 500)))
