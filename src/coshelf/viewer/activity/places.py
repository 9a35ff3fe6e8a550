"""The branches and keys of a branch that are measured for the map of sizes, found within a limit of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from coshelf.contract import Reader
from coshelf.viewer.activity.sizes import Place
from coshelf.viewer.keys.addresses import address_of
from coshelf.viewer.keys.branches import Branch, Child, runs

__all__ = ["Places", "places_in"]

_SECONDS: Final = 0.6
_MOST: Final = 2_000


@dataclass(frozen=True, slots=True)
class Places:
    """What a branch consists of.

    Attributes:
        places: its branches, then its keys.
        other_keys: how many more keys it has.
        is_whole: whether the branch was searched to its end.
    """

    places: list[Place]
    other_keys: int
    is_whole: bool


def places_in(
    reader: Reader,
    branch: Branch,
    *,
    seconds: float = _SECONDS,
    most: int = _MOST,
    clock: Callable[[], float] = time.monotonic,
) -> Places:
    """The branches and keys in a branch. Branches come first, because they have most of the space.

    Args:
        reader: where the keys are read.
        branch: the branch.
        seconds: the limit of time.
        most: how many branches, and how many keys, are told one by one.
        clock: tells the seconds.
    """
    end = clock() + seconds
    branches: list[Branch] = []
    keys: list[bytes] = []
    other_keys, is_whole = 0, True
    with closing(runs(reader, branch)) as found:
        for each in found:
            if isinstance(each, Branch):
                branches.append(each)
            else:
                kept = each[: most - len(keys)]
                keys += kept
                other_keys += len(each) - len(kept)
            if len(branches) == most or clock() >= end:
                is_whole = next(found, None) is None
                break
    inner = [Place(each.name(branch), each.start, each.stop, each.address, is_branch=True) for each in branches]
    single = [Place(Child(key, None).name(branch), key, key + b"\0", address_of(key), is_branch=False) for key in keys]
    return Places(inner + single, other_keys, is_whole)
