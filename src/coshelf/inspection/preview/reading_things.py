"""Reads values out of descriptions, which may not have them: a pickle can have anything in any place."""

from __future__ import annotations

from typing import TypeVar

from coshelf.inspection.preview.thing import Thing

__all__ = ["Unfit", "entry_of", "items_of", "named_entries", "part", "scalar"]

T = TypeVar("T")


class Unfit(Exception):
    """A description does not have what is looked for."""


def scalar(thing: Thing, kind: type[T]) -> T:
    """The value of a number, str or bytes. Raises :class:`Unfit`."""
    value = (thing.same or thing).value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise Unfit
    return value


def items_of(thing: Thing | None) -> list[Thing]:
    """The first items of a tuple or list. Raises :class:`Unfit`."""
    found = None if thing is None else thing.same or thing
    if found is None or found.type not in ("tuple", "list"):
        raise Unfit
    return [item for item in found.parts if isinstance(item, Thing)]


def part(things: list[Thing], at: int) -> Thing:
    """One of several things. Raises :class:`Unfit`."""
    if at >= len(things):
        raise Unfit
    return things[at].same or things[at]


def entry_of(thing: Thing | None, *names: str) -> Thing:
    """The value in a dict under the first of some names that it has. Raises :class:`Unfit`."""
    found = None if thing is None else thing.same or thing
    if found is None or found.type != "dict":
        raise Unfit
    entries = dict(named_entries(found))
    for name in names:
        if name in entries:
            return entries[name].same or entries[name]
    raise Unfit


def named_entries(thing: Thing) -> list[tuple[str, Thing]]:
    """The first entries of a dict whose keys are str."""
    pairs = [pair for pair in thing.parts if isinstance(pair, tuple)]
    return [(key.value, value) for key, value in pairs if isinstance(key, Thing) and isinstance(key.value, str)]
