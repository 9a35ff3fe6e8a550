"""Expiry, tags, eviction and statistics of a cache."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from itertools import islice
from typing import Any

from coshelf.dropin.diskcache import building, eviction, indexes
from coshelf.dropin.diskcache.checking import check
from coshelf.dropin.diskcache.configured import Configured, is_limit
from coshelf.dropin.diskcache.expiring import refuse_tag
from coshelf.dropin.diskcache.layout import EXPIRY, HITS, MISSES, ROWID, TAG, TAGS, Row
from coshelf.dropin.diskcache.names import Timeout
from coshelf.dropin.diskcache.policies import Policy, policy_of
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.walking import every_row, numbered_row

__all__ = ["Upkeep"]

_EXPIRY = EXPIRY.ranges[2]
_AT_ONCE = 1_000  # rows that are removed, or looked at, in one commit


class Upkeep(Configured):
    """What removes entries by itself, or many together, and what counts reads."""

    # --- as part of other calls --------------------------------------------------------------------------------------

    def _note_read(self, key: Any, raw: bool, row: Row | None, retry: bool) -> None:
        """Count a hit, or with None a miss, and note the use of the entry."""
        if self.statistics:
            self._reads.count(self._store, is_hit=row is not None)
        if row is not None and is_limit(self.size_limit):
            column = policy_of(self.eviction_policy).noted
            if column is not None:
                self._reads.use(self._store, column, row, time.time())

    def _cull(self, rows: Rows, now: float) -> None:
        """Remove some rows that have expired, and some that are too many, as part of a write."""
        most = self.cull_limit
        if most == 0:
            return
        if most < 0:
            most = sys.maxsize
        policy = policy_of(self.eviction_policy)
        most -= _remove_expired(rows, now, most)
        limit = self.size_limit
        if most and policy.evicts and is_limit(limit) and rows.totals()[2] >= limit:
            self._prepare(rows, policy)
            for _ in islice(eviction.evict(rows, policy, now), most):
                pass

    def _prepare(self, rows: Rows, policy: Policy) -> None:
        """Have an index for the policy, unless there is one for another policy."""
        if indexes.existing(rows)[1] is None:
            building.settle_policy(rows, policy.indexed)

    def close(self) -> None:
        use = self._local.use
        if use is not None:  # or else it is closed already, and is not to be opened for that
            self._reads.finish(use.store)
        super().close()

    # --- removing ----------------------------------------------------------------------------------------------------

    def expire(self, now: float | None = None, retry: bool = False) -> int:
        """Remove the entries that have expired. Return how many these were.

        Args:
            now: the time by which they have expired, in seconds since 1970. None: the time now.
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout. ``args[0]`` is the number of
                entries that were removed before.

        >>> import coshelf.diskcache, time
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.set("a", 1, expire=60), cache.set("b", 1)
        (True, True)
        >>> cache.expire(), cache.expire(time.time() + 61), list(cache)
        (0, 1, ['b'])
        """
        until = now or time.time()
        return self._repeated(lambda rows: _remove_expired(rows, until, _AT_ONCE), retry)

    def evict(self, tag: Any, retry: bool = False) -> int:
        """Remove all entries with a tag. Return how many these were.

        Args:
            tag: the tag. None is no tag: nothing is removed.
            retry: as for :meth:`expire`.

        Raises:
            Timeout: as :meth:`expire`.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.set("a", 1, tag="red"), cache.set("b", 1, tag="blue")
        (True, True)
        >>> cache.evict("red"), list(cache)
        (1, ['b'])
        """
        refuse_tag(tag)
        if tag is None or tag != tag:  # noqa: PLR0124
            return 0
        return self._walked(tag, retry)

    def clear(self, retry: bool = False) -> int:
        """Remove all entries that exist when the call begins. Return how many these were.

        The entries are removed in several commits. Those that are stored meanwhile stay.

        Args:
            retry: as for :meth:`expire`.

        Raises:
            Timeout: as :meth:`expire`.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache["a"] = 1
        >>> cache.clear(), len(cache)
        (1, 0)
        """
        after, last = 0, self._store.totals()[3]

        def step(rows: Rows) -> int:
            nonlocal after
            found = list(islice(every_row(rows, after, last), _AT_ONCE))
            for key, raw, row in found:
                rows.remove(key, raw, row)
                after = row[ROWID]
            return len(found)

        return self._repeated(step, retry)

    def cull(self, retry: bool = False) -> int:
        """Remove what has expired, and then entries by the policy, until the volume is not above the limit.

        Return how many entries were removed; 0 for a policy that removes none.

        Args:
            retry: as for :meth:`expire`.

        Raises:
            Timeout: as :meth:`expire`.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache(size_limit=1_000, cull_limit=0)
        >>> for key in range(10):
        ...     cache[key] = "x" * 100
        >>> cache.cull() > 0, cache.volume() <= 1_000, list(cache)[-1]
        (True, True, 9)
        """
        now = time.time()
        expired = self.expire(now, retry)
        policy, limit = policy_of(self.eviction_policy), self.size_limit
        if not policy.evicts:
            return 0

        def step(rows: Rows) -> int:
            if not is_limit(limit) or rows.totals()[2] <= limit:
                return 0
            self._reads.write(rows)
            self._prepare(rows, policy)
            removed = 0
            for _ in islice(eviction.evict(rows, policy, now), _AT_ONCE):
                removed += 1
                if rows.totals()[2] <= limit:
                    break
            return removed

        return self._repeated(step, retry, expired)

    def _repeated(self, step: Callable[[Rows], int], retry: bool, removed: int = 0) -> int:
        """The number of entries that a step removes, which is repeated until it removes no more."""
        try:
            while found := self._store.step(step, retry, locked=True):
                removed += found
        except Timeout:
            raise Timeout(removed) from None
        return removed

    def _walked(self, tag: Any, retry: bool) -> int:
        """Remove the rows with a tag that exist now, in several commits."""
        removed, after, last = 0, 0, self._store.totals()[3]

        def step(rows: Rows) -> tuple[int, int]:
            found = _tagged_by_index(rows, tag, after, last) if indexes.existing(rows)[0] else None
            if found is None:
                return _remove_tagged(rows, tag, after, last)
            for rowid in found:
                each = numbered_row(rows, rowid)
                if each is not None:
                    rows.remove(each.key, each.raw, each.row)
            return len(found), found[-1] if len(found) == _AT_ONCE else last

        try:
            while after < last:
                found, after = self._store.step(step, retry, locked=True)
                removed += found
        except Timeout:
            raise Timeout(removed) from None
        return removed

    # --- tags --------------------------------------------------------------------------------------------------------

    def create_tag_index(self) -> None:
        """Build the index of tags, with which :meth:`evict` need not look at all entries. It is kept from now on.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.create_tag_index()
        >>> cache.tag_index
        1
        """
        self.reset("tag_index", 1)

    def drop_tag_index(self) -> None:
        """Remove the index of tags."""
        self.reset("tag_index", 0)

    # --- figures -----------------------------------------------------------------------------------------------------

    def stats(self, enable: bool = True, reset: bool = False) -> tuple[int, int]:
        """Return the numbers of hits and misses of all processes, and turn counting on or off for all of them.

        Args:
            enable: whether reads are counted from now on.
            reset: whether to begin again with 0.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.stats()
        (0, 0)
        >>> cache.get("missing")
        >>> cache.stats()
        (0, 1)
        """

        def step(rows: Rows) -> tuple[int, int]:
            self._reads.write(rows)
            found = rows.get(HITS), rows.get(MISSES)
            for encoded, figure in zip((HITS, MISSES), found, strict=True):
                if figure is None or (reset and figure):
                    rows.put(encoded, 0)
            return found[0] or 0, found[1] or 0

        self.hits, self.misses = figures = self._store.step(step, retry=True, locked=True)
        if reset:
            self.hits = self.misses = 0
        if self._loaded("statistics") != enable or self.statistics != enable:
            self.reset("statistics", enable)
        return figures

    def volume(self) -> int:
        """Return the bytes of all entries: of their keys, values and files, and some for the rows of each.

        >>> import coshelf.diskcache
        >>> coshelf.diskcache.Cache().volume()
        0
        """
        return self._store.totals()[2]

    def check(self, fix: bool = False, retry: bool = False) -> list[warnings.WarningMessage]:
        """Verify the shelf, the rows, the indexes and the files, and return what is wrong as warnings.

        Other writers wait meanwhile.

        Args:
            fix: whether to repair it. Rows whose file is missing are removed, and so are files and empty directories
                that belong to no row.
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.

        >>> import coshelf.diskcache
        >>> coshelf.diskcache.Cache().check()
        []
        """
        return check(self._store, self._directory, fix=fix, retry=retry)


def _remove_expired(rows: Rows, now: float, most: int) -> int:
    """Remove up to a number of rows whose time is before ``now``, the earliest first. Return how many these were."""
    first = rows.first(*_EXPIRY)  # quick, and as a rule all that is needed
    removed = 0
    while first is not None and removed < most and EXPIRY.decode(first[0])[0] < now:
        for key, _ in rows.some(_EXPIRY[0], EXPIRY.encode((now, 0)), min(most - removed, _AT_ONCE)):
            found = numbered_row(rows, EXPIRY.decode(key)[1])
            if found is None:
                rows.delete(key)
            else:
                rows.remove(found.key, found.raw, found.row)
                removed += 1
        first = rows.first(*_EXPIRY)
    return removed


def _tagged_by_index(rows: Rows, tag: Any, after: int, last: int) -> list[int]:
    found = rows.some(indexes.tag_key(tag, after + 1), indexes.tag_key(tag, last + 1), _AT_ONCE)
    return [TAGS.decode(key)[1] for key, _ in found]


def _remove_tagged(rows: Rows, tag: Any, after: int, last: int) -> tuple[int, int]:
    """Look at some rows, and remove those with a tag. Return how many these were, and the last one looked at."""
    found = list(islice(every_row(rows, after, last), _AT_ONCE))
    tagged = [each for each in found if each.row[TAG] == tag]
    for key, raw, row in tagged:
        rows.remove(key, raw, row)
    return len(tagged), found[-1].row[ROWID] if len(found) == _AT_ONCE else last
