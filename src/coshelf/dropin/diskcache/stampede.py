"""Results that are computed anew before they expire, and by one call at a time."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from coshelf.diskcache.core import ENOVAL, Cache, args_to_key
from coshelf.diskcache.fanout import FanoutCache
from coshelf.dropin.diskcache.guarding import ground_of, is_inside, name_of
from coshelf.errors import TurnHeld

__all__ = ["Stampede"]

_PATIENCE: Final = 10.0
"""Seconds for which a call waits for another one that computes. The computation may wait for what the caller holds."""
_LEAST: Final = 2.0**-53  # instead of 0, which has no logarithm


class _Here(threading.local):
    """Attributes:
    computes: whether this thread computes a result that others wait for.
    """

    computes = False


class Stampede:
    """The results of a function in a cache. The arguments are those of ``memoize_stampede``."""

    def __init__(
        self,
        cache: Cache | FanoutCache,
        function: Callable[..., Any],
        base: tuple[Any, ...],
        *,
        expire: float | None,
        typed: bool,
        tag: Any,
        beta: float,
        ignore: Collection[int | str],
    ) -> None:
        self._cache = cache
        self._function = function
        self._base = base
        self._expire = expire
        self._typed = typed
        self._tag = tag
        self._beta = beta
        self._ignore = ignore

    def key(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The key of a call."""
        return args_to_key(self._base, args, kwargs, self._typed, self._ignore)

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The result of a call."""
        key = self.key(*args, **kwargs)
        found, expires = self._cache.get(key, default=ENOVAL, expire_time=True, retry=True)
        if found is ENOVAL:
            return self._first(key, args, kwargs)
        result, seconds = found
        if expires is not None and self._earlier(seconds) >= expires - time.time():
            self._begin_next(key, seconds, args, kwargs)
        return result

    def _earlier(self, seconds: float) -> float:
        """How many seconds before its end a result is computed anew that took some seconds: a random number."""
        return -seconds * self._beta * math.log(random.random() or _LEAST)

    def _compute(self, key: tuple[Any, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        began = time.time()
        result = self._function(*args, **kwargs)
        pair = result, time.time() - began
        self._cache.set(key, pair, expire=self._expire, tag=self._tag, retry=True)
        return result

    # --- the first result --------------------------------------------------------------------------------------------

    def _first(self, key: tuple[Any, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with self._turn(key):
            if key in self._cache:  # before a get, which counts as a hit or miss
                found = self._cache.get(key, default=ENOVAL, retry=True)
                if found is not ENOVAL:
                    return found[0]
            return self._compute(key, args, kwargs)

    @contextmanager
    def _turn(self, key: tuple[Any, ...]) -> Iterator[None]:
        """Wait until no other call computes the same result.

        No call waits in a transaction, or while it computes another result: these could keep out the call that it
        waits for.
        """
        if _here.computes or is_inside(self._cache):
            yield
            return
        try:
            turn = ground_of(self._cache).turn("compute", name_of(self._cache, key)).acquire(timeout=_PATIENCE)
        except TurnHeld:  # a signal handler interrupted the call that computes
            yield
            return
        _here.computes = True
        try:
            yield
        finally:
            _here.computes = False
            if turn:
                turn.release()

    # --- the next result ---------------------------------------------------------------------------------------------

    def _begin_next(
        self, key: tuple[Any, ...], seconds: float, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Have a thread compute the next result, unless another one does that."""
        if not self._cache.add((*key, ENOVAL), None, expire=seconds, retry=True):
            return

        def compute() -> None:
            with self._cache:
                self._compute(key, args, kwargs)

        threading.Thread(target=compute, daemon=True).start()


_here = _Here()
