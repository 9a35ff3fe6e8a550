"""The dictionaries with which small values are compressed. They lie in the shelf: docs/format.md, "Dictionaries".

A dictionary consists of pieces of values. So it is encrypted if values are encrypted, and signed if they are signed.
"""

from __future__ import annotations

from collections.abc import Iterable

from coshelf import records
from coshelf.contract import ABSENT, Batch, Engine
from coshelf.errors import Conflict, UnreadableValue, UntrustedValue
from coshelf.values import settings
from coshelf.values.codec import Layer
from coshelf.values.compression import Compression, Decompressor
from coshelf.values.encryption import Cipher
from coshelf.values.failures import damaged
from coshelf.values.headers import BYTES
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickles import Pickles
from coshelf.values.rows import SETTINGS_ROW

__all__ = ["Dictionaries", "reader", "row_key"]

_PREFIX = b"\x01dictionary"


def row_key(dictionary: int) -> bytes:
    """The key of the row that holds a dictionary."""
    return _PREFIX + dictionary.to_bytes(4, "big")


class Dictionaries:
    """Reads and writes the dictionaries of a shelf.

    Args:
        engine: of the shelf.
        pickles: of its codec.
        layers: of its codec. All except compression are applied to the dictionaries, too.
    """

    def __init__(self, engine: Engine, pickles: Pickles, layers: Iterable[Layer] = ()) -> None:
        self._engine = engine
        secret = [layer for layer in layers if layer.kind != records.COMPRESSION]
        self._codec = LayeredCodec(pickles, secret, BYTES)

    def current(self) -> int:
        """The id of the dictionary to use now, 0 for none."""
        found = settings.remembered(self._engine)
        if found is None or not found.dictionary:
            return 0
        try:
            self.lookup(found.dictionary, False)
        except UntrustedValue:
            return 0  # a program without the secret made it, and a signed value must not depend on it
        return found.dictionary

    def lookup(self, dictionary: int, encrypted: bool) -> bytes:
        """A dictionary.

        Raises :class:`UnreadableValue` if it does not exist. Raises :class:`UntrustedValue` if it must be encrypted and
        is not: a program that can change a dictionary can change the values that are compressed with it.
        """
        key, name = row_key(dictionary), f"dictionary {dictionary:08x}"
        entry = self._engine.get(key)
        if entry is None:
            raise UnreadableValue(f"{name}, with which values are compressed, is not in {self._engine.where}")
        if not records.is_intact(key, entry.record):
            raise damaged(name, entry.record)
        found = records.read_headers(entry.record) if entry.record[0] == records.HEADERED else None
        if encrypted and (found is None or records.ENCRYPTION not in found[0]):
            raise UntrustedValue(f"{name} of {self._engine.where} is not encrypted, and what it compresses is")
        return self._codec.opened(name, key, entry.record)[1]

    def store(self, dictionary: int, data: bytes) -> None:
        """Put a dictionary into the shelf, for all values that are written from now on. Older ones stay."""
        engine, key = self._engine, row_key(dictionary)
        body = self._codec.dump(f"dictionary {dictionary:08x}", key, data)
        cipher = self._codec.layer(Cipher)
        while True:
            row, found = settings.look(engine)
            now = (found or settings.Settings()).with_dictionary(dictionary)
            if cipher is not None:
                settings.refuse_changed(found or settings.Settings(), cipher.seal, engine.where)
                now = now.sealed(cipher.seal)
            try:
                engine.commit(
                    Batch(puts={key: body, SETTINGS_ROW: now.body()}, checks={SETTINGS_ROW: row, key: ABSENT})
                )
            except Conflict as conflict:
                if key in conflict.keys:
                    raise
            else:
                return

    def renew(self, names: tuple[int, ...]) -> None:
        """Encrypt and sign dictionaries with the current secrets, so that old secrets are not needed any more.

        A dictionary that none of the given secrets can read stays unchanged.
        """
        layers = self._codec.layers
        for dictionary in names:
            key, name = row_key(dictionary), f"dictionary {dictionary:08x}"
            entry = self._engine.get(key)
            found = None if entry is None else records.read_headers(entry.record)
            if entry is None or found is None or all(layer.is_current(found[0]) for layer in layers):
                continue
            try:
                body = self._codec.dump(name, key, self._codec.opened(name, key, entry.record)[1])
                self._engine.commit(Batch(puts={key: body}, checks={key: entry.version}))
            except (UnreadableValue, UntrustedValue, Conflict):
                continue  # a read that needs it says which secret is missing; Conflict: another process was first


def reader(engine: Engine, pickles: Pickles) -> LayeredCodec:
    """A codec that reads the values of a shelf with any settings, except values that need a secret."""
    compression = Compression(Decompressor(Dictionaries(engine, pickles).lookup))
    return LayeredCodec(pickles, [compression], large=LargeBuffers(engine.blobs))
