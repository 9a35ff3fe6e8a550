"""``Shelf.memoize``: the results of a function are entries of the shelf."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from coshelf.mapping.lapsing import MISSING, Expire
from coshelf.mapping.tagging import Tags
from coshelf.values.expiry import lifetime

if TYPE_CHECKING:
    from coshelf.memo.memoized import Memo, Memoized

__all__ = ["Memoizing"]

P = ParamSpec("P")
R = TypeVar("R")


class Memoizer(Protocol):
    """The decorator that ``memoize`` with parentheses returns."""

    def __call__(self, function: Callable[P, R], /) -> Memoized[P, R]: ...


class Memoizing:
    """The method of a :class:`coshelf.Shelf` that keeps results of functions."""

    _lifetime: Callable[[Any], int | None]
    _marked: Callable[[Any], tuple[bytes, ...]]

    @overload
    def memoize(self, function: Callable[P, R], /) -> Memoized[P, R]: ...
    @overload
    def memoize(
        self,
        function: None = None,
        /,
        *,
        expire: Expire = MISSING,
        refresh: float | timedelta | None = None,
        tags: Tags = (),
        key: Callable[..., Any] | None = None,
        ignore: Iterable[str | int] | str | int = (),
        typed: bool = False,
        version: Any = None,
        when: Callable[[Any], object] | None = None,
    ) -> Memoizer: ...
    def memoize(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        expire: Expire = MISSING,
        refresh: float | timedelta | None = None,
        tags: Tags = (),
        key: Callable[..., Any] | None = None,
        ignore: Iterable[str | int] | str | int = (),
        typed: bool = False,
        version: Any = None,
        when: Callable[[Any], object] | None = None,
    ) -> Any:
        """A decorator: keep the results of a function, so that each is computed once, in whatever process.

        Works for functions, methods and ``async def``, with and without parentheses. While one thread or process
        computes a result, all others that call with the same arguments wait for it. If it is killed, one of them
        computes instead. A call that raises keeps nothing, and one of the others computes next.

        A result belongs to the function's module and name, to ``version`` and to the arguments, with defaults applied.
        Arguments are compared as the keys of a shelf are, and otherwise by their content. docs/caching.md has the
        types.

        Inside a transaction of this shelf, a call waits for no other one, and its result is part of the transaction.

        Args:
            function: the function, if the decorator is used without parentheses.
            expire: for how long a result is kept: seconds or a timedelta. None: it does not expire. If it is not given,
                the shelf's default applies.
            refresh: the last part of that time, in seconds or as a timedelta. A call in this part returns the old
                result, and one of them computes the next result in the background: in a thread, or in a task for
                ``async def``.
            tags: the tags that results have, as for :meth:`coshelf.Shelf.set`.
            key: is called with the arguments, and returns what is used for the key instead of them.
            ignore: parameters that are not part of the key, by name or position.
            typed: whether 1, 1.0 and True are different arguments.
            version: change it when the function computes something else. Older results are not found any more.
            when: is called with each new result, and says whether to keep it.

        Raises:
            TypeError: at once for a function that cannot be memoized, such as a generator function.
            InvalidExpiry, InvalidTag, ValueError: at once for times and tags that are not possible.
            Unsupported: at once, if entries of this engine cannot expire, or have no tags.
            UnkeyableArgument: by a call with an argument that has no form that is the same in every process.
            ReadOnlyShelf: by a call that has no result yet, if the shelf was opened with flag "r".

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> @shelf.memoize
        ... def square(x):
        ...     print("computing")
        ...     return x * x
        >>> square(4), square(x=4)
        computing
        (16, 16)
        >>> square.cache_info()
        CacheInfo(hits=1, misses=1, maxsize=None, currsize=1)
        """
        from coshelf.memo.memoized import memoized

        make = self._memos(
            expire=expire, refresh=refresh, tags=tags, key=key, ignore=ignore, typed=typed, version=version, when=when
        )

        def decorate(function: Any) -> Any:
            return memoized(make(function))

        return decorate if function is None else decorate(function)

    def _memos(
        self,
        *,
        expire: Expire,
        refresh: float | timedelta | None,
        tags: Tags,
        key: Callable[..., Any] | None,
        ignore: Iterable[str | int] | str | int,
        typed: bool,
        version: Any,
        when: Callable[[Any], object] | None,
    ) -> Callable[[Callable[..., Any]], Memo[..., Any]]:
        """What :meth:`memoize` makes for a function, without the way in which the function is called."""
        from coshelf.mapping.memoized_entries import Entries
        from coshelf.memo.arguments import Arguments
        from coshelf.memo.memoized import Memo
        from coshelf.memo.refreshing import Refresh

        last, marked = self._last_part(expire, refresh), self._marked(tags)

        def make(function: Callable[..., Any]) -> Memo[..., Any]:
            arguments = Arguments(function, key=key, ignore=ignore, typed=typed, version=version)
            results = Entries(self, expire, marked)
            return Memo(function, results, arguments, when, None if last is None else Refresh(results, last))

        return make

    def _last_part(self, expire: Expire, refresh: float | timedelta | None) -> int | None:
        """The part of a result's life, in microseconds, in which it is computed again. Raises for impossible times."""
        whole = self._lifetime(expire)
        if refresh is None:
            return None
        last = lifetime(refresh)
        if whole is None:
            raise ValueError("refresh: results that do not expire are never computed again; give expire=, too")
        if not 0 < last < whole:
            raise ValueError(
                f"refresh: the last {last / 1e6:g} s are not a part of a life of {whole / 1e6:g} s\n"
                "  hint: give more than 0 and less than expire="
            )
        return last
