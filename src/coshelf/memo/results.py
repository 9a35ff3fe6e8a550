"""Where the results of memoized calls are kept, as the calls see it."""

from __future__ import annotations

from typing import Any, Final, Protocol

from coshelf.memo.claims import Claim, Claims

__all__ = ["MISSING", "Results"]


class _Missing:
    def __repr__(self) -> str:
        return "<none>"


MISSING: Final[Any] = _Missing()
"""Instead of a result that is not kept: None is a result, too."""


class Results(Protocol):
    """The entries of a shelf."""

    def encoded(self, key: Any) -> bytes:
        """The bytes of a key. Raises InvalidKey."""
        ...

    def read(self, key: Any) -> Any:
        """The result of a key, or :data:`MISSING`."""
        ...

    def keep(self, key: Any, result: Any, claim: Claim | None) -> None:
        """Store the result of a key. With a claim of the key, its row may be removed in the same commit."""
        ...

    def is_due(self, key: Any, length: int) -> bool:
        """Whether the result of a key expires within so many microseconds, and this task can store another one now."""
        ...

    def forget(self, key: Any) -> bool:
        """Remove the result of a key. Return whether it existed."""
        ...

    def clear(self, prefix: tuple[Any, ...]) -> None:
        """Remove the results whose keys begin with these elements."""
        ...

    def count(self, prefix: tuple[Any, ...]) -> int:
        """The number of results whose keys begin with these elements."""
        ...

    def is_joined(self) -> bool:
        """Whether this task is in a transaction, of which its writes are part. Raises if it cannot write now."""
        ...

    def claims(self) -> Claims:
        """The claims of this handle."""
        ...
