"""Modules import modules of their own layer and of layers below, without circles: docs/design.md, "Layers".

Imports inside functions and for type checkers count, too.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from pathlib import Path

import coshelf

SOURCE = Path(coshelf.__file__).parent
LAYERS = [
    ("errors",),
    ("native", "system", "screen"),
    ("keys", "records", "stored"),
    # What a record is, told without an engine: contracts speak of blobs and reports.
    (
        "values.blobs",
        "values.buffers",
        "values.envelope",
        "values.expiry",
        "values.headers",
        "values.limits",
        "values.pickle_surgery",
        "values.tags",
    ),
    ("trust.gate", "inspection.preview", "inspection.reports", "inspection.tables"),
    ("contract",),
    ("values", "trust", "inspection.record_check"),
    ("engines",),
    ("memo", "coordination"),
    ("mapping", "values.training", "inspection"),
    ("opening",),
    ("aio",),
    ("inspection.files", "trust.granting"),
    ("dropin", "diskcache", "shelve", "dbm", "pickleshare", "sqlitedict", "ipython", "transfer"),
    ("contrib",),
    ("cli", "viewer", "testing", "__main__", "__init__"),
]
PERMITTED = {
    (
        "trust.__init__",
        "trust.granting",
    ): "a public name, imported when it is asked for: granting trust opens the shelf",
}


def modules() -> dict[str, Path]:
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}


MODULES = modules()


def module_of(name: str) -> str | None:
    """The module of a dotted name below coshelf: a module, a package, or something in one."""
    while name:
        for found in (name, f"{name}.__init__"):
            if found in MODULES:
                return found
        name = name.rpartition(".")[0]
    return None


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {module_of(name.removeprefix("coshelf.")) for name in names if name.startswith("coshelf.")}
    return frozenset(name for name in found if name not in (None, module))


def layer_of(module: str) -> int:
    """The layer of the longest name in the table with which the module's name begins."""
    ranked = [
        (len(name), number)
        for number, names in enumerate(LAYERS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    assert ranked, f"{module} is in no layer"
    return max(ranked)[1]


def test_no_module_imports_one_of_a_layer_above_it() -> None:
    upward = [
        f"{module} imports {imported}"
        for module in sorted(MODULES)
        for imported in sorted(imports_of(module))
        if layer_of(imported) > layer_of(module) and (module, imported) not in PERMITTED
    ]
    assert upward == []


def test_permitted_imports_exist() -> None:
    assert [pair for pair in PERMITTED if pair[1] not in imports_of(pair[0])] == []


def test_modules_name_each_other_in_no_circle() -> None:
    imports = {module: imports_of(module) for module in MODULES}
    imports["__init__"] = frozenset()  # the public face imports everything
    assert circles(imports) == []


def circles(imports: Mapping[str, frozenset[str]]) -> list[set[str]]:
    """The strongly connected components of more than one module."""
    reached = {module: reachable(module, imports) for module in imports}
    found: list[set[str]] = []
    for module in imports:
        circle = {other for other in reached[module] if module in reached[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def reachable(module: str, imports: Mapping[str, frozenset[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        for imported in imports[waiting.pop()] - seen:
            seen.add(imported)
            waiting.append(imported)
    return seen
