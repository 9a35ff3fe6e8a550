"""Has joblib's tests of ``Memory`` make stores in shelves, where they would make directories."""

from __future__ import annotations

import sys
import types

import joblib.memory
import joblib.test.test_memory
from joblib.memory import Memory

from coshelf.contrib.joblib import CoshelfStoreBackend

joblib.memory._STORE_BACKENDS["local"] = CoshelfStoreBackend


def corrupt_single_cache_item(memory: Memory) -> None:
    """Have the one result that is stored be unreadable: its class no longer exists."""
    module = types.ModuleType("passing")
    exec("class Passing: pass", vars(module))
    sys.modules["passing"] = module
    shelf = memory.store_backend._shelf
    (key,) = shelf.keys(prefix=("result",))
    shelf[key] = module.Passing()
    del sys.modules["passing"]


joblib.test.test_memory.corrupt_single_cache_item = corrupt_single_cache_item
