"""LangGraph's checkpoints, store and node cache in a shelf: ``graph.compile(checkpointer=, store=, cache=)``.

docs/integrations/langgraph.md says what is promised.
"""

from coshelf.contrib.langgraph.cache import CoshelfCache
from coshelf.contrib.langgraph.saver import CoshelfSaver
from coshelf.contrib.langgraph.store import CoshelfStore

__all__ = ["CoshelfCache", "CoshelfSaver", "CoshelfStore"]
