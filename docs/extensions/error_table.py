"""``{errors}``: a table of all errors, from their classes and docstrings."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from coshelf import errors

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("errors", ErrorTable)
    app.connect("autodoc-process-docstring", emphasize, priority=420)
    return {"parallel_read_safe": True, "version": "1"}


class ErrorTable(SphinxDirective):
    """Each error, the builtin that catches it, too, and what happened."""

    def run(self) -> list[nodes.Node]:
        lines = ["| error | also a | what happened |", "| --- | --- | --- |"]
        for name in errors.__all__:
            error = getattr(errors, name)
            if error is not errors.CoshelfError:
                first = " ".join((error.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")
                lines.append(f"| {{exc}}`~coshelf.errors.{name}` | {' and '.join(also(error))} | {first} |")
        made = self.parse_text_to_nodes("\n".join(lines))
        for node in made:
            node["classes"].append("stacked")  # on a phone: docs/_static/pages.css
        return made


def also(error: type[Exception]) -> list[str]:
    """The errors above it: a more general one of coshelf, and the builtin."""
    bases = [base for base in error.__bases__ if base is not errors.CoshelfError]
    return [f"`{base.__name__}`" for base in bases]


def emphasize(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """The words with which the paragraphs of an error begin are set in bold."""
    if what == "exception":
        for word in ("Cause", "Remedy"):
            lines[:] = [
                line.replace(f"{word}: ", f"**{word}.** ", 1) if line.startswith(f"{word}: ") else line
                for line in lines
            ]
