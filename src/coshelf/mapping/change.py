"""One change as a watch tells it: its key, what happened, and the value, which is decoded when it is asked for."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from coshelf.contract import Entry, Kind, Position
from coshelf.keys import shown
from coshelf.mapping.handle import Handle
from coshelf.mapping.living import living
from coshelf.mapping.record import Record
from coshelf.values.blobs import MissingBlob

__all__ = ["Change"]

K = TypeVar("K")
V = TypeVar("V")


class Change(Generic[K, V]):
    """What one commit did to one entry. From :meth:`coshelf.Shelf.watch`. It never changes.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> with shelf.watch(timeout=0) as watch:
    ...     shelf["a"] = 1
    ...     del shelf["a"]
    ...     [(change.kind, change.key, change.value) for change in watch]
    [('set', 'a', 1), ('deleted', 'a', None)]
    """

    __slots__ = ("_encoded", "_entry", "_handle", "_is_last", "_key", "_kind", "_value", "_version")

    def __init__(
        self,
        key: K,
        encoded: bytes,
        kind: Kind,
        version: Position,
        is_last: bool,
        entry: Entry | None,
        handle: Handle,
    ) -> None:
        self._key = key
        self._encoded = encoded
        self._kind = kind
        self._version = version
        self._is_last = is_last
        self._entry = entry
        self._handle = handle
        self._value: list[V] = []

    def __repr__(self) -> str:
        key = "" if self._kind == "gap" else f" of {shown(self._key)}"
        return f"<Change{key}: {self._kind}, version {self._version!r}>"

    @property
    def key(self) -> K:
        """The key of the entry; None for a gap."""
        return self._key

    @property
    def kind(self) -> Kind:
        """What happened to the entry, in a word.

        - ``"set"``: it was stored.
        - ``"deleted"``: it was removed.
        - ``"expired"``: it was removed after its time.
        - ``"gap"``: some changes before this one are not known any more. Read again what you need.
        """
        return self._kind

    @property
    def version(self) -> Position:
        """Where to go on: ``shelf.watch(..., since=change.version)`` tells exactly what comes after this change.

        For the last change of a commit it is the number of that commit. For the others it is a str.
        """
        return self._version

    @property
    def is_last(self) -> bool:
        """Whether it is the last one of its commit that the watch tells."""
        return self._is_last

    @property
    def record(self) -> Record[K, V] | None:
        """What was stored, undecoded; None if nothing was. See :attr:`value`."""
        if self._kind != "set":
            return None
        entry = self._latest() if self._entry is None else self._entry
        return Record(self._key, self._encoded, entry, self._handle.codec)

    @property
    def value(self) -> V | None:
        """The value that was stored; None if nothing was. It is decoded at the first use, as the shelf does it.

        On an engine that tells only the latest state (``capabilities.changes``) it is the value that the key has now.

        Raises:
            KeyError: the key has no value any more, and the engine does not keep the earlier one.
            DamagedRecord, UnreadableValue, UntrustedValue: as for reading the shelf. A large buffer may have been
                removed, because the entry was overwritten since.
        """
        if self._kind != "set":
            return None
        if not self._value:
            self._value.append(self._decode())
        return self._value[0]

    def _decode(self) -> Any:
        codec = self._handle.codec
        if self._entry is not None:
            return codec.load(self._key, self._encoded, self._entry.record)
        last: bytes | None = None
        while True:
            entry = self._latest()
            try:
                return codec.load(self._key, self._encoded, entry.record)
            except MissingBlob:  # it was overwritten meanwhile
                if entry.record == last:
                    raise
                last = entry.record

    def _latest(self) -> Entry:
        engine = self._handle.engine
        entry = living(self._encoded, engine, engine.cutoff)
        if entry is None:
            raise KeyError(self._key)
        return entry
