"""Better words for instances of well known classes: dates, paths, arrays, tables. Nothing of these classes is imported.

A pickle may name any class and give it anything. What does not fit stays as it was described.
"""

from __future__ import annotations

import contextlib
import struct

from coshelf.inspection.preview import arrays, frames, standard
from coshelf.inspection.preview.reading_things import Unfit
from coshelf.inspection.preview.thing import Thing

__all__ = ["is_table", "tell", "tell_unfinished"]

_KNOWN = {**standard.KNOWN, **arrays.KNOWN, **frames.KNOWN}


def tell(thing: Thing) -> None:
    """Give an instance better words, if it is of a known class."""
    name = thing.called
    words = _KNOWN.get(name)
    if words is None and name.partition(".")[0] in frames.PACKAGES:  # classes move between modules of a package
        words = frames.KNOWN_BY_LAST_NAME.get((name.partition(".")[0], name.rpartition(".")[2]))
    if words is None and thing.state is not None and thing.state.type == "dict":
        words = standard.bare_model
    if words is None:
        return
    try:
        words(thing)
    except (Unfit, LookupError, ValueError, OverflowError, struct.error, RecursionError):
        return  # a RecursionError is of instances in instances, a few hundred levels deep


def is_table(names: list[str]) -> bool:
    """Whether the first class of a pickle is that of a table, whose shape may come late in the pickle."""
    return bool(names) and names[0].partition(".")[0] in frames.PACKAGES


def tell_unfinished(thing: Thing, loose: list[Thing]) -> None:
    """Describe an object whose pickle was not followed to its end.

    Args:
        thing: the object.
        loose: what is not part of anything yet, the first first.
    """
    if thing.called.startswith("pandas.") and thing.called.endswith(".DataFrame"):
        with contextlib.suppress(Unfit, LookupError):
            frames.unfinished_frame(thing, loose)
