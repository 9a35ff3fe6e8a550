"""Caches, stores and sessions of LLM frameworks in a shelf.

========================  ====================================================
name                      for
========================  ====================================================
``LangChainCache``        LangChain's ``set_llm_cache``
``LangChainByteStore``    LangChain's ``CacheBackedEmbeddings`` and retrievers
``LlamaIndexKVStore``     LlamaIndex's document, index and ingestion stores
``LiteLLMCache``          ``litellm.cache``
``AgentsSession``         sessions of the OpenAI Agents SDK
========================  ====================================================

Each name imports its framework when it is used for the first time. docs/integrations/llm.md says what is promised.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coshelf.contrib.llm.langchain import LangChainByteStore, LangChainCache
    from coshelf.contrib.llm.litellm import LiteLLMCache
    from coshelf.contrib.llm.llama_index import LlamaIndexKVStore
    from coshelf.contrib.llm.openai_agents import AgentsSession

__all__ = ["AgentsSession", "LangChainByteStore", "LangChainCache", "LiteLLMCache", "LlamaIndexKVStore"]

_MODULES = {
    "AgentsSession": "openai_agents",
    "LangChainByteStore": "langchain",
    "LangChainCache": "langchain",
    "LiteLLMCache": "litellm",
    "LlamaIndexKVStore": "llama_index",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
