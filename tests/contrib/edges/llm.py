"""What times mean to LangChain's cache. Those of LiteLLM are in for_llm/test_litellm.py: importing it takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from edge import Edge
from langchain_core.outputs import Generation

from coshelf.contrib.llm import LangChainCache
from coshelf.errors import InvalidExpiry


def rows() -> list[Edge]:
    call = "LangChainCache(path"
    return [
        Edge(f"{call})", updated(), "kept"),
        Edge(f"{call}, expire=None)", updated(expire=None), "kept"),
        Edge(f"{call}, expire=90)", updated(expire=90), "expires", 90),
        Edge(f"{call}, expire=90.5)", updated(expire=90.5), "expires", 90.5),
        Edge(f"{call}, expire=timedelta(minutes=2))", updated(expire=timedelta(minutes=2)), "expires", 120),
        Edge(f"{call}, expire=0)", updated(expire=0), "gone"),
        Edge(f"{call}, expire=-1)", updated(expire=-1), "gone"),
        Edge(f"{call}, expire='90')", updated(expire="90"), "refused", error=InvalidExpiry),
    ]


def updated(**options: Any) -> Callable[[str], Any]:
    def run(path: str) -> Any:
        cache = LangChainCache(path, **options)
        cache.update("prompt", "model", [Generation(text="answer")])
        keys = list(cache.part.whole)
        cache.close()
        return keys[0] if keys else "gone"

    return run
