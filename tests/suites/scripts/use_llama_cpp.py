"""llama-cpp-python's LlamaDiskCache: its file alone, because the package needs llama.cpp, which is compiled.

The file names two things of ``llama_cpp.llama``: the class of a state, and how long the common beginning of two token
lists is. Both are taken unchanged from that file of the same source distribution, whose place is the working directory.
"""

from __future__ import annotations

import ast
import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
from elsewhere import at_once, elsewhere


def part_of_llama(source: Path) -> types.ModuleType:
    """The module llama_cpp.llama, with the two things that a cache of states needs."""
    tree = ast.parse(source.read_text("utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    classes["Llama"].body = [
        node for node in classes["Llama"].body if getattr(node, "name", None) == "longest_token_prefix"
    ]
    tree.body = [tree.body[0], classes["Llama"], classes["LlamaState"]]
    module = types.ModuleType("llama_cpp.llama")
    exec(compile(tree, str(source), "exec", dont_inherit=True), module.__dict__)
    return module


def caches() -> Any:
    """The module llama_cpp.llama_cache."""
    source = Path.cwd() / "llama_cpp"
    package, llama = types.ModuleType("llama_cpp"), part_of_llama(source / "llama.py")
    package.__dict__.update(__path__=[str(source)], llama=llama)
    sys.modules.update({"llama_cpp": package, "llama_cpp.llama": llama})
    return importlib.import_module("llama_cpp.llama_cache")


def state(number: int, size: int = 100_000) -> Any:
    tokens = np.arange(number, dtype=np.intc)
    return sys.modules["llama_cpp.llama"].LlamaState(tokens, np.ones((2, 3), np.single), number, b"s" * size, size, 7)


def test_state_of_the_longest_common_beginning_is_found(tmp_path: Path) -> None:
    cache = caches().LlamaDiskCache(str(tmp_path))
    cache[[1, 2]] = state(2)
    cache[[1, 2, 3, 4]] = state(4)
    assert [1, 2, 3] in cache
    assert [9] not in cache
    found = cache[[1, 2, 3, 9]]
    assert found.n_tokens == 4
    assert found.input_ids.tolist() == [0, 1, 2, 3]
    assert found.llama_state == b"s" * 100_000
    assert cache[[1, 2, 3, 9]].n_tokens == 2  # the first one was popped
    assert [1, 2, 3] not in cache


def test_cache_trims_itself_to_its_capacity(tmp_path: Path) -> None:
    cache = caches().LlamaDiskCache(str(tmp_path), capacity_bytes=1_000_000)
    for number in range(1, 30):
        cache[[number, 0]] = state(number)
    assert 100_000 < cache.cache_size <= 1_000_000
    kept = [number for number in range(1, 30) if [number, 0] in cache]
    assert kept == list(range(30 - len(kept), 30))
    assert len(kept) >= 5


WRITE = """
import sys
from use_llama_cpp import caches, state
cache = caches().LlamaDiskCache(sys.argv[1])
for number in range(20):
    cache[[int(sys.argv[2]), number]] = state(number, 40_000)
"""
READ = """
import sys
from use_llama_cpp import caches
cache = caches().LlamaDiskCache(sys.argv[1])
print(sum([who, number] in cache for who in (1, 2) for number in range(20)), cache[[2, 19]].n_tokens)
"""


def test_processes_write_together_and_a_later_one_reads(tmp_path: Path) -> None:
    at_once(WRITE, [(tmp_path, 1), (tmp_path, 2)])
    assert elsewhere(READ, tmp_path) == "40 19"
