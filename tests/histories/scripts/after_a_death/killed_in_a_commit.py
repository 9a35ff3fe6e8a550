"""A transaction that is too large for the delta, and so goes straight to the base."""

import os

from talking import path, say

import coshelf

shelf = coshelf.open(path, timeout=30)
say(os.getpid())
with shelf.transaction() as transaction:
    transaction["total"] += 1
    transaction["part"] += 1
    transaction["large"] = bytes(1_100_000)
