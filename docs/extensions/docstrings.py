"""Docstrings are written to be read by `help()`. This makes links and signatures of them as a page has them."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import signature as signature_of
from sphinx.util.inspect import stringify_signature

__all__ = ["setup"]

MADE_BY_METHODS = (
    "coshelf.aio.",
    "coshelf.coordination.",
    "coshelf.inspection.",
    "coshelf.mapping.",
    "coshelf.memo.",
    "coshelf.values.training.",
)
"""Classes whose instances a shelf gives: how they are made is no part of the reference."""

DEFAULTS = {"_ATTEMPTS": "5", "_ALL": "2**62"}
"""Private names of defaults in the source, and what they stand for."""

PAGE = re.compile(r"\bdocs/((?:[\w-]+/)*[\w-]+)\.md\b")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", link_pages, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", name_the_abstract_method, priority=410)
    app.connect("autodoc-process-docstring", put_words_back, priority=600)  # after napoleon
    app.connect("autodoc-process-signature", hide_overloads, priority=400)
    app.connect("autodoc-process-signature", hide_constructors)
    app.connect("autodoc-process-signature", show_our_constructor)
    app.connect("doctree-read", show_values_of_defaults)
    app.connect("doctree-read", set_dashes)
    return {"parallel_read_safe": True, "version": "1"}


def link_pages(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """``docs/trust.md`` becomes a link to that page."""
    lines[:] = [PAGE.sub(r":doc:`/\1`", line) for line in lines]


def name_the_abstract_method(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """A method of a mapping or sequence without its own docstring behaves as the one that it stands for."""
    if what == "method" and lines and lines[0].startswith(("D.", "S.")):
        lines[:] = [f"As ``{name.rpartition('.')[2]}`` of every mapping or sequence."]


def put_words_back(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Napoleon takes what comes before a colon for the type of an attribute: here it begins the sentence."""
    if what in ("attribute", "property", "data") and lines:
        found = [line for line in lines if line.startswith(":type: ")]
        for line in found:
            lines.remove(line)
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"


def hide_overloads(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str | None, returned: str | None
) -> None:
    """Overloads are for type checkers, and have no defaults: a page has the signature itself."""
    module = getattr(value, "__module__", None)
    if what in ("function", "method") and module is not None and module.startswith("coshelf."):
        analyzer = ModuleAnalyzer.for_module(module)
        analyzer.analyze()
        analyzer.overloads.clear()


def set_dashes(app: Sphinx, page: nodes.document) -> None:
    """Between an argument and what is said of it, Sphinx leaves two hyphens if it does not set quotation marks."""
    for text in list(page.findall(nodes.Text)):
        if text.astext() == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def hide_constructors(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, str] | None:
    """Show the name alone of a class that only a shelf makes."""
    module = f"{getattr(value, '__module__', '')}."
    return ("", "") if what == "class" and module.startswith(MADE_BY_METHODS) else None


def show_our_constructor(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, str] | None:
    """A class whose base is a stand-in for that of a framework is called as our ``__init__`` says.

    The stand-in has a ``__new__``, which takes any arguments. Without an ``__init__`` of ours the framework makes the
    instances, and the name alone is shown.
    """
    if what != "class" or not hasattr(value, "__sphinx_mock__"):
        return None
    makers = [vars(base).get("__init__") for base in inspect.getmro(value) if base.__module__.startswith("coshelf.")]
    ours = next(filter(None, makers), None)
    if ours is None:
        return "", ""
    arguments = signature_of(ours, bound_method=True)
    return stringify_signature(arguments, show_return_annotation=False, unqualified_typehints=True), ""


def show_values_of_defaults(app: Sphinx, page: nodes.document) -> None:
    """Show a number instead of the private name that it has in the source."""
    for parameter in page.findall(addnodes.desc_parameter):
        for value in parameter.findall(nodes.inline):
            if "default_value" in value["classes"] and value.astext() in DEFAULTS:
                value.children = [nodes.Text(DEFAULTS[value.astext()])]
