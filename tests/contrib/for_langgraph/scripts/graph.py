"""A graph with a saver, a store and a cache in one shelf, for several processes: ``graph.py PATH MODE``."""

from __future__ import annotations

import operator
import sys
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import CachePolicy
from talking import hear, path, say

import coshelf
from coshelf.contrib.langgraph import CoshelfCache, CoshelfSaver, CoshelfStore


class State(TypedDict):
    words: Annotated[list[str], operator.add]


def first(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
    count = runtime.store.get(("runs",), "first")
    runtime.store.put(("runs",), "first", {"count": 1 if count is None else count.value["count"] + 1})
    return {"words": ["first"]}


def slow(state: State) -> dict[str, Any]:
    say("in slow")
    return {"words": [hear()]}


def cached(state: State) -> dict[str, Any]:
    say("in cached")
    return {"words": ["cached"]}


def compiled(shelf: coshelf.Shelf[Any, Any]) -> Any:
    builder = StateGraph(State).add_node("first", first).add_node("slow", slow)
    builder.add_node("cached", cached, cache_policy=CachePolicy(key_func=lambda _: "same", ttl=600))
    builder.add_edge(START, "first").add_edge("first", "slow").add_edge("slow", "cached").add_edge("cached", END)
    return builder.compile(checkpointer=CoshelfSaver(shelf), store=CoshelfStore(shelf), cache=CoshelfCache(shelf))


with coshelf.open(path) as opened:
    graph, config = compiled(opened), {"configurable": {"thread_id": "t"}}
    given = {"words": ["begin"]} if sys.argv[2] == "begin" else None
    say("ready")
    hear()
    say(" ".join(graph.invoke(given, config, durability="sync")["words"]))
    say(str(CoshelfStore(opened).get(("runs",), "first").value["count"]))
