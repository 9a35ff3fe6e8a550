"""``{command} get``: usage, options and examples of a command, from the command itself."""

from __future__ import annotations

from typing import Any, ClassVar

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from coshelf.cli.commands import coshelf as group

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("command", CommandDirective)
    return {"parallel_read_safe": True, "version": "1"}


class CommandDirective(SphinxDirective):
    """Usage, options and examples of ``coshelf NAME --help``. The page says what the command does."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        context = click.Context(group, info_name="coshelf")
        command = group.get_command(context, name)
        if command is None:
            raise self.error(f"there is no command {name!r}")
        usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
        parts: list[nodes.Node] = [shell(f"$ coshelf {name} {usage}")]
        options = [self.described(each) for each in command.params if isinstance(each, click.Option)]
        if options:
            parts.append(nodes.definition_list("", *options))
        examples = [line.strip() for line in (command.epilog or "").lstrip("\b\n").splitlines()[1:]]
        if examples:
            parts.append(nodes.paragraph("", "Examples:"))
            parts.append(shell("\n".join(f"$ {line}" for line in examples)))
        return parts

    def described(self, option: click.Option) -> nodes.definition_list_item:
        """An option with its names, and what its help says."""
        context = click.Context(click.Command("any"))
        names, help_text = option.get_help_record(context) or ("", "")
        if isinstance(option.default, int | float | str) and not option.is_flag and not option.show_default:
            default = f"{option.default:g}" if isinstance(option.default, float) else option.default
            help_text = f"{help_text.removesuffix('.')}, {default} by default."
        term = nodes.term("", "", nodes.literal("", names))
        return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", help_text)))


def shell(text: str) -> nodes.literal_block:
    block = nodes.literal_block(text, text)
    block["language"] = "console"
    return block
