import sys

from talking import hear, path, say

import coshelf
from coshelf.engines.lmdb.registry import REGISTRY

with coshelf.open(path) as shelf:
    (environment,) = REGISTRY._open.values()
    file = {"base": environment.base, "delta": environment.current_delta()}[sys.argv[2]]  # type: ignore[attr-defined]
    transaction = file.lmdb.begin(write=True)
    say("holding")
    hear()
    transaction.abort()
    say("let go")
    hear()
