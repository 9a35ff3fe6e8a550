"""The results of memoized functions, as entries of a shelf."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from coshelf.contract import Batch
from coshelf.errors import ReadOnlyShelf, TransactionInProgress
from coshelf.mapping.handle import Handle
from coshelf.mapping.lapsing import MISSING, Expire
from coshelf.memo.claims import Claim, Claims
from coshelf.memo.results import MISSING as NOT_KEPT
from coshelf.values.tags import row_key, text_of

if TYPE_CHECKING:
    from coshelf.mapping.reading import ShelfKeys

__all__ = ["Entries"]

_TOGETHER = 1_000  # entries that are removed in one commit


class Entries:
    """The results that are entries of a shelf. :class:`coshelf.memo.results.Results` describes the methods."""

    def __init__(self, shelf: Any, expire: Expire, tags: tuple[bytes, ...]) -> None:
        self._shelf = shelf
        self._expire = expire
        self._tags = tags
        self._texts = tuple(map(text_of, tags))
        self._handle: Handle = shelf._handle  # noqa: SLF001 (this is a part of the shelf)
        handle = self._handle
        self._claims: Claims = handle.claims or vars(handle).setdefault("claims", Claims(handle.engine))

    def encoded(self, key: Any) -> bytes:
        encoded: bytes = self._shelf._namespace.encode(key)  # noqa: SLF001
        return encoded

    def read(self, key: Any) -> Any:
        try:
            return self._shelf[key]
        except KeyError:
            return NOT_KEPT

    def keep(self, key: Any, result: Any, claim: Claim | None) -> None:
        if claim is not None and self._commits_together():
            length = self._shelf._lifetime(self._expire)  # noqa: SLF001
            encoded = self.encoded(key)
            body = self._handle.codec.dump(key, encoded, result)
            if claim.drop_with(self._shelf._batch({encoded: body}, length, self._tags)):  # noqa: SLF001
                self._shelf._sweep(length is not None)  # noqa: SLF001
                return
        if self._expire is MISSING and not self._tags:
            self._shelf[key] = result
        else:
            self._shelf.set(key, result, self._expire, self._texts)

    def _commits_together(self) -> bool:
        """Whether a batch of two entries is quicker than two commits, and this shelf keeps nothing beside the engine.

        On a server it is not: two entries need a transaction, and one does not.
        """
        return bool(self._shelf.capabilities.exclusive) and not self._shelf.writeback and not self._handle.inside

    def is_due(self, key: Any, length: int) -> bool:
        try:
            self._handle.refuse_writing()
            expires = self._shelf.expires(key)
        except (KeyError, ReadOnlyShelf, TransactionInProgress):
            return False
        return expires is not None and expires * 1_000_000 - self._handle.engine.now() <= length

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
            encoded = list(map(self.encoded, some))
            rows = [row_key(tag, key) for tag in self._tags for key in encoded]
            batch = Batch(deletes=frozenset((*encoded, *rows)))
            self._handle.commit(batch)
            self._shelf._committed(batch)  # noqa: SLF001

    def count(self, prefix: tuple[Any, ...]) -> int:
        return len(self._keys(prefix))

    def _keys(self, prefix: tuple[Any, ...]) -> ShelfKeys[Any]:
        keys: ShelfKeys[Any] = self._shelf.keys(prefix=prefix)
        return keys

    def is_joined(self) -> bool:
        return self._handle.joined() is not None

    def claims(self) -> Claims:
        return self._claims
