"""The examples at the end of each command's help, and what ``coshelf`` says without arguments."""

from __future__ import annotations

__all__ = ["BEGINNING", "examples"]

BEGINNING = """\
coshelf: a dict on disk that every process shares

  coshelf ls recipes.shelf             list the keys; with -l sizes, types and values, too
  coshelf get recipes.shelf hello      write a value to standard output
  coshelf set recipes.shelf hello 15   store a value; the shelf is made if it is missing
  coshelf edit recipes.shelf hello     change a value with your editor
  coshelf check recipes.shelf          verify every page and record

`coshelf --help` lists all commands. `coshelf get --help` explains one.
"""


def examples(*lines: str) -> str:
    """The end of a command's help: command lines that work as they stand.

    >>> print(examples("coshelf ls recipes.shelf").replace(chr(8), "<as it is>"))
    <as it is>
    Examples:
      coshelf ls recipes.shelf
    """
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
