"""Code blocks end with their last line.

In a source the output of an example ends with an empty line, or the end of the block would count as output.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", drop_empty_last_lines)
    return {"parallel_read_safe": True, "version": "1"}


def drop_empty_last_lines(app: Sphinx, page: nodes.document) -> None:
    for block in page.findall(nodes.literal_block):
        if block.rawsource == block.astext():  # no markup inside, so that Pygments colors it
            block.rawsource = block.rawsource.rstrip("\n")
            block.children = [nodes.Text(block.rawsource)]
