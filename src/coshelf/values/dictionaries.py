"""The dictionaries that small values are compressed with. They lie in the shelf: docs/format.md, "Dictionaries".

A dictionary consists of pieces of values, so it is encrypted where values are, and signed where they are.
"""

from __future__ import annotations

from typing import Any

from coshelf import records
from coshelf.contract import ABSENT, Batch, Engine
from coshelf.errors import Conflict, UnreadableValue, UntrustedValue
from coshelf.values import settings
from coshelf.values.compression import Decompressor
from coshelf.values.layered import EveryCodec, LayeredCodec, Layers
from coshelf.values.pickled import damaged
from coshelf.values.rows import SETTINGS_ROW

__all__ = ["Dictionaries", "reader", "renew", "row_key", "store"]

_PREFIX = b"\x01dictionary"


def row_key(dictionary: int) -> bytes:
    """Where a dictionary lies."""
    return _PREFIX + dictionary.to_bytes(4, "big")


class Dictionaries:
    """Reads the dictionaries of a shelf, through its own codec."""

    codec: EveryCodec

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def current(self) -> int:
        """The id of the one to use now, 0 for none."""
        found = settings.remembered(self._engine)
        if found is None or not found.dictionary:
            return 0
        try:
            self.lookup(found.dictionary, False)
        except UntrustedValue:
            return 0  # made by somebody without the secret that signs: what is signed must not depend on it
        return found.dictionary

    def lookup(self, dictionary: int, encrypted: bool) -> bytes:
        """A dictionary.

        Raises :class:`UnreadableValue` if it is not there, and :class:`UntrustedValue` if it is not encrypted and must
        be: who can change it decides what values are that are compressed with it.
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
        return self.codec.opened(name, key, entry.record)[1]


def reader(engine: Engine, protocol: int, ways_on: str) -> EveryCodec:
    """What reads the values of a shelf, however they were written, but for those that take a secret."""
    dictionaries = Dictionaries(engine)
    dictionaries.codec = codec = EveryCodec(protocol, Layers(Decompressor(dictionaries.lookup)), ways_on)
    return codec


def store(engine: Engine, codec: LayeredCodec, dictionary: int, data: bytes) -> None:
    """Put a dictionary into the shelf, for all values that are written from now on. Older ones stay."""
    body = codec.dump_bytes(f"dictionary {dictionary:08x}", row_key(dictionary), data)
    while True:
        row, found = settings.look(engine)
        now = (found or settings.Settings()).with_dictionary(dictionary)
        cipher = codec.layers.cipher
        if cipher is not None:
            settings.refuse_changed(found or settings.Settings(), cipher.seal, engine.where)
            now = now.sealed(cipher.seal)
        try:
            engine.commit(
                Batch(
                    puts={row_key(dictionary): body, SETTINGS_ROW: now.body()},
                    checks={SETTINGS_ROW: row, row_key(dictionary): ABSENT},
                )
            )
        except Conflict as conflict:
            if row_key(dictionary) in conflict.keys:
                raise
        else:
            return


def renew(engine: Engine, codec: Any, names: tuple[int, ...]) -> None:
    """Encrypt and sign the dictionaries with today's secrets, so that yesterday's can be thrown away.

    Those that none of the secrets given can read stay as they are.
    """
    for dictionary in names:
        key, name = row_key(dictionary), f"dictionary {dictionary:08x}"
        entry = engine.get(key)
        found = None if entry is None else records.read_headers(entry.record)
        if entry is None or found is None or codec.is_own(found[0]):
            continue
        try:
            body = codec.dump_bytes(name, key, codec.opened(name, key, entry.record)[1])
            engine.commit(Batch(puts={key: body}, checks={key: entry.version}))
        except (UnreadableValue, UntrustedValue, Conflict):
            continue  # what uses it says which secret is missing; with Conflict, somebody else was first
