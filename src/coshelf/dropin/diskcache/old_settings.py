"""The settings that diskcache remembered in a directory, for the cache that takes it over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from coshelf.dropin.diskcache.names import METADATA
from coshelf.dropin.diskcache.policies import Column

__all__ = ["OldSettings", "old_settings"]

_DEFAULT_LIMIT = 2**30
_COLUMNS: dict[str, Column] = {"least-recently-used": "access_time", "least-frequently-used": "access_count"}


class OldSettings(NamedTuple):
    """What a new cache begins with.

    Attributes:
        settings: by name, as they are stored.
        hits: the number of hits.
        misses: the number of misses.
        has_tags: whether tags have an index.
        column: the number of a row that reads change, and by which the policy orders; None: reads change none.
    """

    settings: dict[str, object]
    hits: int
    misses: int
    has_tags: bool
    column: Column | None


def old_settings(found: Sequence[Mapping[str, object]]) -> OldSettings:
    """The settings of one cache for those of all databases of a directory.

    The shards of a FanoutCache have the same settings, but each has a part of the size limit. diskcache stores its
    default limit, of 1 GiB, as if it had been set. That limit is not taken over.

    >>> old_settings([{"size_limit": 1000.0, "hits": 2}, {"size_limit": 1000.0, "hits": 1}])[:2]
    ({'size_limit': 2000, 'shards': 2}, 3)
    """
    settings = {name: value for name, value in found[0].items() if name not in METADATA} if found else {}
    if "size_limit" in settings:
        limit = sum(_number(each.get("size_limit")) for each in found)
        settings["size_limit"] = round(limit)
        if abs(limit - _DEFAULT_LIMIT) < 1:
            del settings["size_limit"]
    if len(found) > 1:
        settings["shards"] = len(found)
    hits, misses = (round(sum(_number(each.get(name)) for each in found)) for name in ("hits", "misses"))
    column = _COLUMNS.get(str(settings.get("eviction_policy")))
    return OldSettings(settings, hits, misses, bool(settings.get("tag_index")), column)


def _number(found: object) -> float:
    return found if isinstance(found, (int, float)) else 0
