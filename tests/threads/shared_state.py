"""Finds in the source what modules and classes share among all threads: mutable globals and attributes, and caches."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["changed_constants", "global_statements", "shared", "weak_sets"]

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "coshelf"
_DISPLAYS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
_TABLES = (*_DISPLAYS, ast.BinOp)
_CHANGES = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove setdefault update".split()
)
_CACHES = frozenset(("cache", "lru_cache", "cached_property"))
# What has no state that changes: sentinels, fields of data classes, and what a thread or a context has for itself.
_STATELESS = frozenset(("ContextVar", "RunVar", "TypeVar"))

Found = tuple[str, str]
"""A module below ``src/coshelf``, as a path without its ending, and a name in it."""


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a block, and of those within it that have no scope of their own."""
    for each in body:
        yield each
        for name in ("body", "orelse", "finalbody"):
            if isinstance(each, ast.If | ast.Try | ast.With | ast.For):
                yield from _statements(getattr(each, name, []))


def _last_name(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _assigned(each: ast.stmt) -> tuple[str, ast.expr] | None:
    if isinstance(each, ast.AnnAssign) and each.value is not None and isinstance(each.target, ast.Name):
        return each.target.id, each.value
    if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
        return each.targets[0].id, each.value
    return None


def _is_constant(name: str) -> bool:
    return name.strip("_").upper() == name.strip("_") or name.startswith("__")


def _in(body: list[ast.stmt], before: str) -> Iterator[str]:
    for each in _statements(body):
        if isinstance(each, ast.ClassDef):
            yield from _in(each.body, f"{before}{each.name}.")
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(_last_name(decorator) in _CACHES for decorator in each.decorator_list):
                yield before + each.name
        elif (assigned := _assigned(each)) is not None:
            name, value = assigned
            kind = _last_name(value) if isinstance(value, ast.Call) else ""
            is_object = kind not in _STATELESS and (
                kind.strip("_")[:1].isupper() or kind in {"count", "deque", "local"}
            )
            if not _is_constant(name) and (isinstance(value, _DISPLAYS) or (is_object and not before)):
                yield before + name


@dataclass
class _Module:
    """What one module has. ``constants`` are the tables among them."""

    name: str
    text: str
    shared: set[str]
    constants: set[str]


@functools.cache
def _modules(source: Path) -> list[_Module]:
    found = []
    for path in sorted(source.rglob("*.py")):
        name, text = path.relative_to(source).with_suffix("").as_posix(), path.read_text("utf-8")
        if not name.startswith("testing/"):
            body = ast.parse(text).body
            assigned = filter(None, map(_assigned, _statements(body)))
            tables = {name for name, value in assigned if _is_constant(name) and isinstance(value, _TABLES)}
            found.append(_Module(name, text, set(_in(body, "")), tables))
    return found


def shared() -> set[Found]:
    """Globals and class attributes that can change, by their names in lower case, and cached functions."""
    return {(module.name, name) for module in _modules(SOURCE) for name in module.shared}


def changed_constants() -> set[Found]:
    """Globals with the name of a constant that are changed in place."""
    change = re.compile(rf"""(?<![\w."'`])(\w+)(?:\.(?:{"|".join(_CHANGES)})\(|\[[^=\n]*\] (?:[-+|]?= ))""")
    deletion = re.compile(r"^ *del (\w+)\[", re.MULTILINE)
    return {
        (module.name, name)
        for module in _modules(SOURCE)
        for name in {*change.findall(module.text), *deletion.findall(module.text)} & module.constants
    }


def global_statements() -> set[Found]:
    """Names that functions bind in their module."""
    statement = re.compile(r"^ +global (.+)$", re.MULTILINE)
    return {(module.name, names) for module in _modules(SOURCE) for names in statement.findall(module.text)}


def weak_sets() -> set[str]:
    """Modules that use a WeakSet, whose iteration fails while another thread adds (before Python 3.14)."""
    use = re.compile(r"weakref\.WeakSet\b(?!`)|import .*\bWeakSet\b")
    return {module.name for module in _modules(SOURCE) if use.search(module.text)}
