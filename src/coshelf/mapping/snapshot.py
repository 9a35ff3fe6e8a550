"""A shelf at one instant."""

from __future__ import annotations

import time
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from coshelf import contract
from coshelf.contract import Reader
from coshelf.mapping.living import LivingSnapshot
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.reading import Readable
from coshelf.mapping.tagging import usable_tag
from coshelf.values.codec import Codec

if TYPE_CHECKING:
    from coshelf.mapping.glance import Glance

__all__ = ["Snapshot"]

K = TypeVar("K")
V = TypeVar("V")

_LONG = 600.0  # seconds after which a warning is given for an open snapshot


class _HeldInstant:
    """The reader that a snapshot and its subs share, and the time at which it was taken."""

    def __init__(self, reader: contract.Snapshot, engine: contract.Engine) -> None:
        self.reader = reader
        self.living = LivingSnapshot(reader, engine.cutoff)
        self.capabilities = engine.capabilities
        self.engine = engine.name
        self.where = engine.where
        self.answers_at_once = engine.reads_at_once
        self.is_closed = False
        self._since: float | None = time.monotonic()

    def read(self) -> contract.Snapshot:
        if self._since is not None and time.monotonic() - self._since > _LONG:
            self._since = None
            warnings.warn(
                f"a snapshot of {self.where} has been held for more than {_LONG / 60:.0f} minutes: meanwhile "
                "the space of overwritten entries is not used again, and the file grows",
                ResourceWarning,
                stacklevel=4,
            )
        return self.reader


class Snapshot(Readable[K, V], Generic[K, V]):
    """A read-only mapping that shows a shelf at one instant, from :meth:`coshelf.Shelf.snapshot`.

    Writers do not wait for it. Close it, or use ``with``: until then overwritten entries keep their space on disk.
    A snapshot that is held for ten minutes gives a ``ResourceWarning``.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf.update({"soups/leek": 40, "soups/pea": 60})
    >>> with shelf.snapshot() as then:
    ...     shelf.clear()
    ...     then["soups/pea"], list(then.sub("soups")), len(shelf)
    (60, ['leek', 'pea'], 0)
    """

    def __init__(self, instant: _HeldInstant, namespace: Namespace, codec: Codec) -> None:
        self._instant = instant
        self._namespace = namespace
        self._codec = codec

    def _glance(self) -> Glance:
        from coshelf.mapping.glance import Glance

        held = self._instant
        return Glance(
            "Snapshot of",
            held.where,
            held.engine,
            held.capabilities,
            held.answers_at_once,
            self._select(),
            lambda: held.living,
            ("read-only",),
            "closed" if held.is_closed else "",
        )

    def _reader(self) -> contract.Snapshot:
        return self._instant.read()

    def _now(self) -> int:
        return self._instant.living.now()

    def _wanted(self, tag: Any) -> bytes:
        return usable_tag(tag, self._instant.capabilities, self._instant.engine)

    def _living(self) -> Reader:
        self._instant.read()
        return self._instant.living

    def sub(self, name: str) -> Snapshot[Any, V]:
        """A namespace at the same instant. It is closed with this snapshot."""
        return Snapshot(self._instant, self._namespace.sub(name), self._codec)

    def close(self) -> None:
        """Release the instant. It may be closed again; any other use raises ShelfClosed."""
        self._instant.is_closed = True
        self._instant.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def take(engine: contract.Engine, namespace: Namespace, codec: Codec) -> Snapshot[K, V]:
    """A snapshot over that of an engine. The clock is read after that is taken."""
    return Snapshot(_HeldInstant(engine.snapshot(), engine), namespace, codec)
