"""What a time means to joblib's ``Memory``: the age of results that may stay, and the shelf's own ``expire=``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from edge import Edge
from joblib import Memory

import coshelf.contrib.joblib as adapter


def kept(**options: Any) -> Callable[[str], Any]:
    """Store a result in a memory with these options of the backend."""
    return lambda path: after(path, lambda _: None, options)


def reduced(**limits: Any) -> Callable[[str], Any]:
    """Store a result, and reduce the memory."""
    return lambda path: after(path, lambda memory: memory.reduce_size(**limits), {})


def after(path: str, call: Callable[[Memory], None], options: dict[str, Any]) -> Any:
    memory = Memory(path, backend="coshelf", verbose=0, backend_options=options)
    assert isinstance(memory.store_backend, adapter.CoshelfStoreBackend)
    try:
        memory.store_backend.dump_item(["f", "1"], 5)
        call(memory)
    finally:
        memory.store_backend.close()
    return "joblib/", ("result", "f", "1")


def rows() -> list[Edge]:
    hour = timedelta(hours=1)
    return [
        Edge("Memory(...).cache(f)(1)", kept(), "kept"),
        Edge("Memory(..., backend_options={'expire': 90})", kept(expire=90), "expires", 90),
        Edge("Memory(..., backend_options={'expire': timedelta(hours=1)})", kept(expire=hour), "expires", 3600),
        Edge("memory.reduce_size(age_limit=None)", reduced(age_limit=None), "kept"),
        Edge("memory.reduce_size(age_limit=timedelta(hours=1))", reduced(age_limit=hour), "kept"),
        Edge("memory.reduce_size(age_limit=timedelta(0))", reduced(age_limit=timedelta(0)), "gone"),
        Edge(
            "memory.reduce_size(age_limit=timedelta(hours=-1))", reduced(age_limit=-hour), "refused", error=ValueError
        ),
    ]
