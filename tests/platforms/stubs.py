"""What modules of the standard library have on a platform, by the stubs of typeshed that mypy brings."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

__all__ = ["HERE_ALL_THE_SAME", "RARE", "are_here", "are_missing", "missing", "names"]

RARE = frozenset({"EPOLLEXCLUSIVE", "EPOLLMSG", "EPOLLRDBAND", "EPOLLRDNORM", "EPOLLWRBAND", "EPOLLWRNORM", "POLLMSG"})
"""Names that the tables leave out, beside those that begin as families do."""
_FAMILIES = ("MFD_HUGE", "MFD_", "EPOLL", "POLL", "SIGCLD", "_")
HERE_ALL_THE_SAME = frozenset({"fchmod", "lchmod", "set_blocking", "get_blocking"})
"""Names that a later Python has, and this one has not."""


@functools.cache
def _root() -> Path | None:
    found = importlib.util.find_spec("mypy")
    return None if found is None or not found.origin else Path(found.origin).parent / "typeshed" / "stdlib"


def are_here() -> bool:
    """Whether the stubs are installed."""
    return _root() is not None


def are_missing(module: str, platform: str) -> bool:
    """Whether a platform has nothing of a module that Linux has."""
    there = {name for name in dir(importlib.import_module(module)) if not name.startswith("_")}
    return not there & names(module, platform) - {"sys"}


def missing(module: str, platform: str) -> frozenset[str]:
    """The names that this Python has here, that Linux has, and that the platform lacks."""
    found = names(module, "linux") - names(module, platform)
    there = set(dir(importlib.import_module(module)))
    return frozenset(name for name in found & there if not name.startswith(_FAMILIES))


@functools.cache
def names(module: str, platform: str) -> frozenset[str]:
    """The names that the stubs of a module have on a platform."""
    root = _root()
    assert root is not None
    path = root / f"{module}.pyi"
    if not path.exists():
        path = root / module / "__init__.pyi"
    return frozenset(_named(ast.parse(path.read_text("utf-8")).body, platform))


def _named(body: Iterable[ast.stmt], platform: str) -> Iterable[str]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _named(node.body if _holds(node.test, platform) else node.orelse, platform)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield from names(node.module or "", platform) if alias.name == "*" else [alias.asname or alias.name]


def _holds(test: ast.expr, platform: str) -> bool:
    """Whether a condition about platform and version holds."""
    known = {"sys": SimpleNamespace(platform=platform, version_info=sys.version_info), "TYPE_CHECKING": True}
    return bool(eval(compile(ast.Expression(test), "stub", "eval"), known))
