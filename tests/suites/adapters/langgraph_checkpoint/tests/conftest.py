"""Puts our saver and store in the places of LangGraph's own, before its tests import those."""

import langgraph.checkpoint.memory
import langgraph.store.memory

from coshelf.contrib.langgraph import CoshelfSaver, CoshelfStore


class InMemorySaver(CoshelfSaver):
    def __init__(self, **options):
        super().__init__("memory:", **options)


class InMemoryStore(CoshelfStore):
    def __init__(self, **options):
        super().__init__("memory:", **options)


langgraph.checkpoint.memory.InMemorySaver = InMemorySaver
langgraph.store.memory.InMemoryStore = InMemoryStore
