"""A map-style data set for PyTorch's ``DataLoader`` over the entries of a shelf. It does not import torch.

>>> import coshelf
>>> with coshelf.open("memory:") as shelf:
...     shelf.update({f"train/{number:03}": number for number in range(100)})
...     dataset = ShelfDataset(shelf, "train", transform=lambda value: value / 100)
...     len(dataset), dataset[5], dataset.__getitems__([98, -1])
(100, 0.05, [0.98, 0.99])
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, SupportsIndex, TypeVar

from coshelf.contrib.parts import Part, Target
from coshelf.mapping.shelf import Shelf

__all__ = ["ShelfDataset"]

T = TypeVar("T")


class ShelfDataset(Generic[T]):
    """The entries of a part of a shelf by their position: what ``torch.utils.data.DataLoader`` asks of a data set.

    The keys are listed at the first use, in their order, or are given. They stay the same afterwards, whatever is
    stored meanwhile. Workers that are forked or spawned open the shelf for themselves, and get the same keys.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the samples. Empty: all entries.
        keys: the samples, in the order of their positions. A ``range`` takes no memory. None: all keys of the part,
            in order.
        transform: called with each value, in the worker.
        copy: whether large arrays are the caller's own, which needs an engine with snapshots. Otherwise they come back
            in place and read-only, from memory that all workers share.
        options: further arguments of :func:`coshelf.open`. The flag is "r" if none is given: the shelf must exist.

    Raises:
        IndexError: there is no such position.
        KeyError: the entry of a position has been removed.
        Unsupported: ``copy=True`` on an engine without snapshots.
        ShelfNotFound, NotAShelf, ...: at the first use, what :func:`coshelf.open` raises.
    """

    def __init__(
        self,
        target: Target,
        part: str = "",
        *,
        keys: Iterable[Any] | None = None,
        transform: Callable[[Any], T] | None = None,
        copy: bool = False,
        **options: Any,
    ) -> None:
        self._part = Part(target, part, **(options if isinstance(target, Shelf) else {"flag": "r"} | options))
        self._keys: Sequence[Any] | None = keys if keys is None or isinstance(keys, range) else list(keys)
        self._listing = threading.Lock()
        self.transform = transform
        self.copy = copy

    @property
    def keys(self) -> Sequence[Any]:
        """The keys of the samples, by position."""
        if self._keys is None:
            with self._listing:
                if self._keys is None:
                    self._keys = list(self._part.shelf)
        return self._keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: SupportsIndex) -> T:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Iterable[SupportsIndex]) -> list[T]:
        """The samples of a batch, all of one instant. ``DataLoader`` calls this for each batch."""
        keys = self.keys
        wanted = [keys[operator.index(index)] for index in indices]
        found = self._copies(wanted) if self.copy else self._part.shelf.get_many(wanted)
        return [self._sample(key, found.get(key, _MISSING)) for key in wanted]

    def _copies(self, keys: list[Any]) -> dict[Any, Any]:
        shelf = self._part.shelf
        with shelf.snapshot() as then:
            return {key: then.get(key, _MISSING, copy=True) for key in keys}

    def _sample(self, key: Any, value: Any) -> T:
        if value is _MISSING:
            raise KeyError(key)
        return value if self.transform is None else self.transform(value)

    def close(self) -> None:
        """Close the shelf, if the data set opened it."""
        self._part.close()

    def __getstate__(self) -> dict[str, Any]:
        keys = self.keys  # so that all workers have the same ones
        return {name: value for name, value in vars(self).items() if name != "_listing"} | {"_keys": keys}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _listing=threading.Lock())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._part!r}>"


_MISSING = object()
