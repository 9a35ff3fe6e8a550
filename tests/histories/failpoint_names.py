"""The failpoints that the library has, found in its source, and how a forked child is armed with one."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from functools import cache
from pathlib import Path

import coshelf
from coshelf.system import failpoints

__all__ = ["arm", "names"]

# Where no history gets: tests/care, tests/blobs and tests/diskcache kill there.
_ELSEWHERE = ("backup-", "compact-", "blob", "taken-over-")


@cache
def names() -> list[str]:
    """All of those that reading and writing reach, so that a new one is under test by being there."""
    found = set()
    for source in Path(coshelf.__file__).parent.rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "reach(" in text else ():  # each test process collects the names
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reach":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{source}:{node.lineno}: a failpoint's name is to be a literal"
                found.add(name.value)
    return sorted(name for name in found if not name.startswith(_ELSEWHERE))


def arm(steps: str) -> None:
    """Do in this process what ``COSHELF_FAILPOINTS`` does when it is set before the library is imported."""
    os.environ["COSHELF_FAILPOINTS"] = steps
    importlib.reload(failpoints)
    for name, module in list(sys.modules.items()):
        if name.startswith("coshelf.") and hasattr(module, "ARMED"):
            module.ARMED = failpoints.ARMED  # type: ignore[attr-defined]
