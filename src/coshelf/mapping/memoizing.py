"""``Shelf.memoize``: the results of a function are entries of the shelf."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from coshelf.contract import Batch
from coshelf.mapping.handle import Handle

if TYPE_CHECKING:
    from coshelf.mapping.namespace import Namespace
    from coshelf.mapping.reading import ShelfKeys
    from coshelf.memo.claims import Claims
    from coshelf.memo.memoized import Memoized

__all__ = ["Memoizing"]

P = ParamSpec("P")
R = TypeVar("R")

_TOGETHER = 1_000  # entries that are removed in one commit


class Memoizer(Protocol):
    """The decorator that ``memoize`` with parentheses returns."""

    def __call__(self, function: Callable[P, R], /) -> Memoized[P, R]: ...


class Memoizing:
    """The method of a :class:`coshelf.Shelf` that keeps results of functions."""

    _handle: Handle
    _namespace: Namespace

    @overload
    def memoize(self, function: Callable[P, R], /) -> Memoized[P, R]: ...
    @overload
    def memoize(
        self,
        function: None = None,
        /,
        *,
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
            key: is called with the arguments, and returns what is used for the key instead of them.
            ignore: parameters that are not part of the key, by name or position.
            typed: whether 1, 1.0 and True are different arguments.
            version: change it when the function computes something else. Older results are not found any more.
            when: is called with each new result, and says whether to keep it.

        Raises:
            TypeError: at once for a function that cannot be memoized, such as a generator function.
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
        from coshelf.memo.arguments import Arguments
        from coshelf.memo.memoized import memoized

        def decorate(function: Any) -> Any:
            arguments = Arguments(function, key=key, ignore=ignore, typed=typed, version=version)
            return memoized(function, _Entries(self), arguments, when)

        return decorate if function is None else decorate(function)


class _Entries:
    """The entries of a shelf, as memoized calls see them."""

    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf
        self._handle: Handle = shelf._handle  # noqa: SLF001 (this is a part of the shelf)
        from coshelf.memo.claims import Claims

        if self._handle.claims is None:
            self._handle.claims = Claims(self._handle.engine)
        self._claims: Claims = self._handle.claims

    def encoded(self, key: Any) -> bytes:
        encoded: bytes = self._shelf._namespace.encode(key)  # noqa: SLF001
        return encoded

    def read(self, key: Any) -> Any:
        from coshelf.memo.results import MISSING

        try:
            return self._shelf[key]
        except KeyError:
            return MISSING

    def keep(self, key: Any, result: Any) -> None:
        self._shelf[key] = result

    def forget(self, key: Any) -> bool:
        try:
            del self._shelf[key]
        except KeyError:
            return False
        return True

    def clear(self, prefix: tuple[Any, ...]) -> None:
        keys = iter(self._keys(prefix))
        if self.is_joined():
            for key in list(keys):
                with suppress(KeyError):
                    del self._shelf[key]
            return
        while some := list(islice(keys, _TOGETHER)):
            self._handle.commit(Batch(deletes=frozenset(map(self.encoded, some))))

    def count(self, prefix: tuple[Any, ...]) -> int:
        return len(self._keys(prefix))

    def _keys(self, prefix: tuple[Any, ...]) -> ShelfKeys[Any]:
        keys: ShelfKeys[Any] = self._shelf.keys(prefix=prefix)
        return keys

    def is_joined(self) -> bool:
        return self._handle.joined() is not None

    def claims(self) -> Claims:
        return self._claims
