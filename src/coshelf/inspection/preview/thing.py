"""Descriptions of the objects that a pickle would make."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Attribute", "Thing"]

_KEPT = 12  # parts of a container that are kept
_DEEPEST = 6


class Attribute(NamedTuple):
    """A part of an instance that has a name."""

    name: str
    value: Thing


@dataclass(slots=True, eq=False)
class Thing:
    """The description of an object.

    Attributes:
        type: the name of its class, with the module unless that is builtins.
        text: how it is written if it has no parts; it may be cut.
        brackets: the text before and after its parts.
        parts: the first parts; in a mapping these are pairs.
        count: how many parts there are.
        value: of a number, str or bytes, the value; of long str and bytes only the beginning.
        called: the name of what is called to make an instance; empty for anything else.
        arguments: the first arguments of that call.
        state: what the instance gets afterwards.
        content: the entries or items that are put into the instance.
        same: the thing that was described before, and comes again.
        tell: finds better words, once, before the thing is written.
    """

    type: str
    text: str = ""
    brackets: tuple[str, str] = ("", "")
    parts: list[Any] = field(default_factory=list)
    count: int = 0
    value: Any = None
    called: str = ""
    arguments: list[Thing] = field(default_factory=list)
    state: Thing | None = None
    content: Thing | None = None
    same: Thing | None = None
    tell: Callable[[Thing], None] | None = None

    def add(self, parts: Iterable[Any]) -> None:
        """Add parts."""
        for part in parts:
            self.count += 1
            if len(self.parts) < _KEPT:
                self.parts.append(part)

    def become(self, type_: str, text: str) -> None:
        """Describe it by a text alone."""
        self.type, self.text = type_, text
        self.brackets, self.parts, self.count = ("", ""), [], 0

    def told(self) -> Thing:
        """The thing itself, in its best words."""
        tell, self.tell = self.tell, None
        if tell is not None:
            tell(self)
        return self

    def written(self, room: int, depth: int = 0) -> str:
        """The object as Python would write it, in about this many characters."""
        self.told()
        if self.same is not None:
            # A container may hold itself. Writing it in full would never end.
            again = self.same.told()
            text = f"<{again.type} as before>" if again.brackets[1] else again.text
            return text if len(text) <= room else f"{text[: max(room - 3, 1)]}..."
        if not self.brackets[1]:
            return self.text if len(self.text) <= room else f"{self.text[: max(room - 3, 1)]}..."
        words: list[str] = []
        left = room - len(self.brackets[0]) - 1
        for part in self.parts if depth < _DEEPEST else ():
            if left <= 3:
                break
            word = _written(part, left, depth + 1)
            words.append(word)
            left -= len(word) + 2
        if len(words) < self.count:
            words.append("...")
        only = "," if self.brackets == ("(", ")") and self.type == "tuple" and self.count == 1 else ""
        return f"{self.brackets[0]}{', '.join(words)}{only}{self.brackets[1]}"


def _written(part: Any, room: int, depth: int) -> str:
    if isinstance(part, Attribute):
        return f"{part.name}={part.value.written(room, depth)}"
    if isinstance(part, tuple):
        return f"{part[0].written(room, depth)}: {part[1].written(room, depth)}"
    written: str = part.written(room, depth)
    return written
