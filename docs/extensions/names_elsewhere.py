"""Names that no page of the site describes are shown without a link, if they exist.

Those are names of the standard library and of frameworks, because the site is built without a network, and names of
coshelf that are not public. A name that does not exist is a mistake, which Sphinx reports.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

__all__ = ["setup"]

FULL_NAMES = {"Shelf": "coshelf.Shelf", "Deque": "coshelf.coordination.deques.Deque"}
TYPE_VARIABLE = re.compile(r"(?:typing\.)?~?[A-Z](?:_co)?")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", settle_short_names)
    app.connect("missing-reference", name_elsewhere)
    return {"parallel_read_safe": True, "version": "1"}


def settle_short_names(app: Sphinx, page: nodes.document) -> None:
    """Take ``dict`` for the builtin, and ``Shelf`` for ours, though other classes have something of that name."""
    for node in list(page.findall(pending_xref)):
        name = node.get("reftarget")
        if node.get("refdomain") == "py" and node.get("reftype") == "class":
            if hasattr(builtins, name):
                node.replace_self(nodes.Text(name))
            elif name in FULL_NAMES and node.get("py:module") in (None, "coshelf.dbm"):
                node["reftarget"] = FULL_NAMES[name]


def name_elsewhere(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.TextElement | None:
    """The content of a reference that has no page here, unchanged. None: the reference is wrong."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    if name.partition(".")[0] in app.config.autodoc_mock_imports:
        return content
    module, cls = node.get("py:module"), node.get("py:class")
    places = (name, f"{module}.{name}", f"{module}.{cls}.{name}", f"{cls}.{name}")
    return content if TYPE_VARIABLE.fullmatch(name) or any(found(place) is not None for place in places) else None


def found(name: str) -> object | None:
    """The object of this name: a builtin, or something in a module."""
    first, _, rest = name.partition(".")
    if hasattr(builtins, first):
        return attribute(getattr(builtins, first), rest)
    if first not in sys.stdlib_module_names and first not in sys.modules:
        return None
    module = name
    while module:
        try:
            imported = importlib.import_module(module)
        except ImportError:
            module = module.rpartition(".")[0]
        else:
            return attribute(imported, name.removeprefix(module).lstrip("."))
    return None


def attribute(value: object, path: str) -> object | None:
    for part in filter(None, path.split(".")):
        value = getattr(value, part, None)
    return value
