"""The settings of a cache: which value holds, where it is stored, and the attributes of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from coshelf.dropin.diskcache import building
from coshelf.dropin.diskcache.indexes import NO_INDEXES, Indexes, existing
from coshelf.dropin.diskcache.layout import HITS, INDEXES, MISSES, SETTINGS, TOTALS
from coshelf.dropin.diskcache.names import DEFAULT_SETTINGS, ENOVAL, METADATA, NO_LIMIT
from coshelf.dropin.diskcache.opened import Opened
from coshelf.dropin.diskcache.policies import policy_of
from coshelf.dropin.diskcache.reads import Reads
from coshelf.dropin.diskcache.rows import Rows

__all__ = ["Configured"]

_SETTINGS = SETTINGS.ranges[1]
_OF_POLICY = {"eviction_policy", "size_limit"}
_FIGURES = {"hits": HITS, "misses": MISSES}


class _Setting:
    """An attribute whose change decides whether reads are noted."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, cache: Configured | None, owner: type) -> Any:
        if cache is None:
            return self
        return vars(cache).get(self._name, DEFAULT_SETTINGS[self._name])

    def __set__(self, cache: Configured, value: Any) -> None:
        vars(cache)[self._name] = value
        cache._decide_on_notes()


class Configured(Opened):
    """The settings of a cache.

    What is given when it is opened goes before what is stored, and that before the defaults. The result is stored, and
    each setting is an attribute. Assigning an attribute changes the setting for this object alone.
    """

    cull_limit: int
    tag_index: int
    count: int
    size: int
    hits: int
    misses: int
    statistics = _Setting()
    eviction_policy = _Setting()
    size_limit = _Setting()

    _notes_reads = False
    """Whether each read is told to :meth:`_note_read`."""
    _reads: Reads

    def _settle(self, settings: dict[str, Any]) -> dict[str, Any]:
        self._reads = Reads()
        given = {name: _as_set(name, value) for name, value in settings.items() if name not in METADATA}
        reader = self._store.reader()
        stored = _stored(reader)
        chosen = DEFAULT_SETTINGS | stored | given
        policy_of(chosen["eviction_policy"])
        if _differs(chosen, stored) or existing(reader) != _indexes_at_opening(reader, chosen, given):
            chosen = self._store.step(lambda rows: _write_all(rows, given), retry=True, locked=True)
        for name, value in chosen.items():
            setattr(self, name, value)
        for name in METADATA:
            self.reset(name)
        return chosen

    def reset(self, key: str, value: Any = ENOVAL, update: bool = True) -> Any:
        """Load a setting or figure again, or change a setting for all that open the cache later. Return its value.

        A setting is an attribute of the cache, too. Objects that have the cache open already keep the value that they
        have, until they load it again.

        Args:
            key: the name of a setting, or ``"count"``, ``"size"``, ``"hits"`` or ``"misses"``.
            value: the new value. If it is not given, the stored one is loaded.
            update: whether the new value is stored. If not, it holds for this object alone.

        Settings that begin with ``disk_`` are attributes of the disk. Those that begin with ``sqlite_`` do nothing.

        Raises:
            ValueError: there is no such setting to load.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.reset("cull_limit", 5), cache.cull_limit, cache.reset("count")
        (5, 5, 0)
        """
        if value is ENOVAL:
            value = self._loaded(key)
        else:
            value = _as_set(key, value)
            if update:
                self._store.step(lambda rows: _write(rows, key, value), retry=True, locked=True)
        if key.startswith("disk_"):
            setattr(self._disk, key.removeprefix("disk_"), value)
        setattr(self, key, value)
        return value

    def _loaded(self, name: str) -> Any:
        reader = self._store.reader()
        if name in METADATA:
            return _figure(reader, name)
        encoded = SETTINGS.encode(name)
        if not reader.holds(encoded):
            raise ValueError(f"the cache has no setting {name!r}")
        return reader.get(encoded)

    def _decide_on_notes(self) -> None:
        """Decide whether reads are noted: for statistics, or for the policy of a cache with a limit."""
        self._notes_reads = bool(self.statistics)
        if is_limit(self.size_limit):
            with suppress(KeyError):  # there is no such policy: the next write raises it
                self._notes_reads |= policy_of(self.eviction_policy).noted is not None


def is_limit(size_limit: float) -> bool:
    """Whether a limit is set."""
    return size_limit != NO_LIMIT


def _as_set(name: str, value: Any) -> Any:
    return NO_LIMIT if name == "size_limit" and value is None else value


def _stored(rows: Rows) -> dict[str, Any]:
    found = rows.some(*_SETTINGS, 10_000)
    return {SETTINGS.decode(key): value for key, value in found}


def _differs(chosen: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    return any(name not in stored or stored[name] != value for name, value in chosen.items())


def _indexes_for(settings: Mapping[str, Any]) -> Indexes:
    """The indexes that settings ask for: of tags, and of the policy if a limit is set."""
    column = None
    if is_limit(settings["size_limit"]):
        try:
            column = policy_of(settings["eviction_policy"]).indexed
        except KeyError:  # a policy that no program has added yet
            column = None
    return bool(settings["tag_index"]), column


def _indexes_at_opening(rows: Rows, settings: Mapping[str, Any], given: Mapping[str, Any]) -> Indexes:
    """The same; without a setting that says otherwise, indexes stay that other objects have asked for."""
    has_tags, column = existing(rows)
    wants_tags, wanted = _indexes_for(settings)
    return wants_tags or (has_tags and "tag_index" not in given), wanted or (
        None if _OF_POLICY & given.keys() else column
    )


def _write_all(rows: Rows, given: Mapping[str, Any]) -> dict[str, Any]:
    stored = _stored(rows)
    chosen = DEFAULT_SETTINGS | stored | dict(given)
    for name, value in chosen.items():
        if name not in stored or stored[name] != value:
            rows.put(SETTINGS.encode(name), value)
    for encoded, first in ((INDEXES, NO_INDEXES), (HITS, 0), (MISSES, 0)):
        if not rows.holds(encoded):  # in a damaged shelf, one that is missing could not be told from one that is lost
            rows.put(encoded, first)
    building.settle(rows, _indexes_at_opening(rows, chosen, given))
    return chosen


def _write(rows: Rows, name: str, value: Any) -> None:
    """Store a setting that exists, and build the indexes that it asks for."""
    if name in METADATA:
        _write_figure(rows, name, value)
        return
    encoded = SETTINGS.encode(name)
    if not rows.holds(encoded):
        return
    rows.put(encoded, value)
    if name in ("tag_index", "eviction_policy", "size_limit"):
        building.settle(rows, _indexes_for(DEFAULT_SETTINGS | _stored(rows)))


def _figure(rows: Rows, name: str) -> int:
    if name in _FIGURES:
        figure: int | None = rows.get(_FIGURES[name])
        return 0 if figure is None else figure
    return rows.totals()[0 if name == "count" else 1]


def _write_figure(rows: Rows, name: str, value: int) -> None:
    if name in _FIGURES:
        rows.put(_FIGURES[name], value)
        return
    count, size, volume, last = rows.totals()
    rows.put(TOTALS, (value, size, volume, last) if name == "count" else (count, value, volume, last))
