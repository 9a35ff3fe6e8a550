"""The settings: how the values of a shelf are written. Row ``01 "values"``; docs/format.md, "Settings"."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import Any

from coshelf import records
from coshelf.contract import ABSENT, Absent, Batch, Engine, Flag
from coshelf.errors import (
    CodecMismatch,
    Conflict,
    DamagedRecord,
    FormatTooNew,
    InvalidExpiry,
    ReadOnlyShelf,
    Unsupported,
    UntrustedValue,
    WrongKey,
)
from coshelf.keys import FIRST, LAST
from coshelf.system import clock
from coshelf.values import encryption, expiry, secret_keys
from coshelf.values.compression import DEFAULT_LEVEL, Zstd
from coshelf.values.headers import IDS
from coshelf.values.rows import SETTINGS_ROW

__all__ = ["Asked", "Settings", "asked", "look", "refuse_changed", "remembered", "settle"]

_BEGIN = b"\x02\x00"  # a record with no headers
_FORMAT = 1
_TYPED = ("msgspec", "json")
_ID = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller of ``open`` asks for. None: as the shelf has it. ``level``: None for any level.

    ``lifetime``: microseconds; 0 for entries that do not expire.
    """

    codec: str | None = None
    kind: Any = None
    compresses: bool | None = None
    level: int | None = None
    secrets: tuple[bytes, ...] = dataclasses.field(default=(), repr=False)
    recode: bool = False
    lifetime: int | None = None

    def refuse_bare_pickles(self, engine: str) -> None:
        """Raise :class:`Unsupported` if something is asked for that an engine of bare pickles does not have."""
        if self.lifetime:
            raise Unsupported(f"entries of the {engine} engine cannot expire\n  hint: use a file of the lmdb engine")
        if self.codec not in (None, "pickle") or self.kind is not None or self.compresses or self.secrets:
            raise Unsupported(
                "codec=, type=, compress= and encrypt= need an engine with coshelf's record format; the "
                f"{engine} engine holds bare pickles, which other programs read\n  hint: use a file of the lmdb engine"
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """How values are written. If a shelf has no settings, its values are plain pickles.

    Attributes:
        codec: its name.
        level: of Zstandard; 0 for no compression.
        dictionary: the id of the dictionary that compresses, 0 for none.
        dictionaries: the ids of all dictionaries that were ever trained.
        key_id: the id of the secret that encrypts; empty for none.
        check: the bytes by which a wrong secret is recognised.
        shelf_id: the id to which encrypted values are bound.
        lifetime: microseconds after which entries expire that are stored without a time; 0: never.
        seal: of all other attributes, made with the secret that encrypts; empty if there is no secret.
    """

    codec: str = "pickle"
    level: int = 0
    dictionary: int = 0
    dictionaries: tuple[int, ...] = ()
    key_id: bytes = b""
    check: bytes = dataclasses.field(default=b"", repr=False)
    shelf_id: bytes = b""
    lifetime: int = 0
    seal: bytes = dataclasses.field(default=b"", repr=False)

    @property
    def are_default(self) -> bool:
        """Whether values are plain pickles."""
        return self.codec == "pickle" and not self.level and not self.key_id

    @property
    def compression(self) -> str | None:
        """The compression in words; None if there is none."""
        if not self.level:
            return None
        return f"zstd (level {self.level}{f', dictionary {self.dictionary:08x}' if self.dictionary else ''})"

    def with_dictionary(self, dictionary: int) -> Settings:
        """The same settings, with a new dictionary that compresses from now on."""
        return dataclasses.replace(self, dictionary=dictionary, dictionaries=(*self.dictionaries, dictionary))

    def sealed(self, seal: Callable[[bytes], bytes]) -> Settings:
        """The same settings with a seal, which only a program with the secret can make. ``seal``: computes it."""
        return dataclasses.replace(self, seal=seal(self._sealed_part()))

    def are_sealed(self, seal: Callable[[bytes], bytes]) -> bool:
        """Whether a program with the secret has written them."""
        return compare_digest(self.seal, seal(self._sealed_part()))

    def _sealed_part(self) -> bytes:
        return json.dumps(self._told()).encode()

    def body(self) -> bytes:
        """The row, without its trailer."""
        told = self._told()
        if self.seal:
            told["seal"] = self.seal.hex()
        return _BEGIN + json.dumps(told).encode()

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = {"format": _FORMAT, "codec": self.codec}
        if self.level:
            told |= {"compress": "zstd", "level": self.level}
        if self.dictionaries:
            told |= {"dictionary": self.dictionary, "dictionaries": list(self.dictionaries)}
        if self.key_id:
            told |= {"key": self.key_id.hex(), "check": self.check.hex()}
        if self.shelf_id:
            told["id"] = self.shelf_id.hex()
        if self.lifetime:
            told["expire"] = self.lifetime
        return told

    def __str__(self) -> str:
        words = [f"codec {self.codec!r}"]
        words += [f"compression {self.compression}"] if self.level else ["no compression"]
        words += [f"encryption with the key {self.key_id.hex()}"] if self.key_id else ["no encryption"]
        return ", ".join(words)


def asked(
    codec: str | None,
    kind: Any,
    compress: str | Zstd | bool | None,
    secrets: Any,
    *,
    recode: bool,
    expire: float | timedelta | None = None,
) -> Asked:
    """What the options of ``open`` ask for.

    Raises TypeError and ValueError for unusable options, and :class:`~coshelf.errors.MissingExtra`, before anything is
    made.
    """
    from coshelf.system import extras

    if codec is not None and codec != "pickle" and codec not in IDS:
        raise ValueError(f"codec must be one of 'pickle', {', '.join(map(repr, IDS))}, not {codec!r}")
    if kind is not None and codec not in (None, *_TYPED):
        raise ValueError(f"type= goes with codec 'msgspec' or 'json', not with {codec!r}")
    if codec not in (None, "pickle") or kind is not None:
        from coshelf.values.serializers import serializer

        serializer(IDS[codec or "msgspec"], kind)
    level: int | None = None
    if isinstance(compress, Zstd):
        level, compress = compress.level, "zstd"
    elif compress not in (None, False, "zstd"):
        raise ValueError(f"compress must be 'zstd', coshelf.Zstd(...), False or None, not {compress!r}")
    if compress:
        extras.zstd()
    given = secret_keys.usable(secrets, "encrypt=")
    if given:
        extras.cryptography_aead()
    return Asked(codec, kind, None if compress is None else bool(compress), level, given, recode, _lifetime(expire))


def _lifetime(expire: float | timedelta | None) -> int | None:
    """The microseconds of a shelf's ``expire=``; 0 for False."""
    if expire is None or expire is False:
        return None if expire is None else 0
    length = expiry.lifetime(expire)
    if length <= 0:
        raise InvalidExpiry(
            f"the shelf's expire= is {expire!r}, so no entry would be kept\n"
            "  hint: give more than 0 seconds, or False for entries that do not expire"
        )
    expiry.deadline(length, clock.now())
    return length


def look(engine: Engine) -> tuple[int | str | Absent, Settings | None]:
    """The version of the row, and the settings in it."""
    entry = engine.get(SETTINGS_ROW) if engine.keeps_settings else None
    if entry is None:
        return ABSENT, None
    if not records.is_intact(SETTINGS_ROW, entry.record):
        raise DamagedRecord(
            f"the settings of {engine.where}, which say how values are written, are damaged\n"
            "  hint: coshelf.salvage() copies what can be read"
        )
    return entry.version, _parsed(entry.record[len(_BEGIN) : -records.TRAILER], engine.where)


def remembered(engine: Engine) -> Settings | None:
    """The settings of a shelf; None if it has none."""
    return look(engine)[1]


def _parsed(data: bytes, where: str) -> Settings:
    try:
        told = json.loads(data)
        if told["format"] > _FORMAT or told.get("compress", "zstd") != "zstd":
            raise FormatTooNew(f"the values of {where} are written in a way that only a later version knows")
        codec = str(told["codec"])
        if codec != "pickle" and codec not in IDS:
            raise FormatTooNew(
                f"the values of {where} are written by codec {codec!r}, which only a later version knows"
            )
        return Settings(
            codec,
            Zstd(told["level"]).level if "compress" in told else 0,
            int(told.get("dictionary", 0)),
            tuple(int(each) for each in told.get("dictionaries", ())),
            bytes.fromhex(told.get("key", "")),
            bytes.fromhex(told.get("check", "")),
            bytes.fromhex(told.get("id", "")),
            _whole(told.get("expire", 0)),
            bytes.fromhex(told.get("seal", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedRecord(
            f"{where} has no readable settings, which say how its values are written: {error!r}"
        ) from error


def _whole(lifetime: Any) -> int:
    if type(lifetime) is not int or not 0 <= lifetime < 1 << 63:
        raise ValueError(f"a lifetime of {lifetime!r}")
    return lifetime


def settle(engine: Engine, flag: Flag, wanted: Asked) -> Settings:
    """The settings that follow from those of the shelf and from what the caller asks for. New ones are stored.

    Raises :class:`CodecMismatch` and :class:`WrongKey` if the two contradict each other; then nothing has changed.
    """
    if not engine.keeps_settings:
        wanted.refuse_bare_pickles(engine.name)
        return Settings()
    if wanted.recode and flag == "r":
        raise ReadOnlyShelf("recode=True notes in the shelf how values are written, and flag 'r' does not write")
    if wanted.lifetime and not engine.capabilities.expiry:
        raise Unsupported(f"entries of the {engine.name} engine cannot expire ({engine.where})")
    while True:
        version, has = look(engine)
        agreed = _agreed(wanted, has, engine)
        if flag == "r" or agreed == has or (has is None and agreed == Settings()):
            return agreed
        try:
            engine.commit(Batch(puts={SETTINGS_ROW: agreed.body()}, checks={SETTINGS_ROW: version}))
        except Conflict:
            continue  # another process opens it at the same time
        return agreed


def _agreed(wanted: Asked, has: Settings | None, engine: Engine) -> Settings:
    now = has or Settings()
    codec = wanted.codec or (now.codec if wanted.kind is None or now.codec in _TYPED else "msgspec")
    level = now.level
    if wanted.compresses is not None:
        level = (wanted.level or now.level or DEFAULT_LEVEL) if wanted.compresses else 0
    if now.key_id:
        seal = functools.partial(encryption.seal, _right_secret(wanted.secrets, now, engine))
        if wanted.recode and not now.are_sealed(seal):  # a program without the secret wrote them: ignored
            now = dataclasses.replace(now, codec="pickle", level=0, dictionary=0, lifetime=0)
        else:
            refuse_changed(now, seal, engine.where)
    lifetime = now.lifetime if wanted.lifetime is None else wanted.lifetime
    agreed = dataclasses.replace(now, codec=codec, level=level, lifetime=lifetime)
    if wanted.secrets:
        shelf_id = now.shelf_id or engine.store_id or os.urandom(_ID)
        own = wanted.secrets[0]
        agreed = dataclasses.replace(
            agreed,
            key_id=encryption.key_id(own),
            check=encryption.check_value(own, shelf_id),
            shelf_id=shelf_id,
            # A dictionary from before encryption can be read and changed without the secret, so it is not used.
            dictionary=now.dictionary if now.key_id else 0,
        ).sealed(functools.partial(encryption.seal, own))
    same = (agreed.codec, agreed.level, bool(agreed.key_id)) == (now.codec, now.level, bool(now.key_id))
    if not same and not wanted.recode and (has is not None or engine.count(FIRST, LAST)):
        raise CodecMismatch(
            f"{engine.where} has {now}; it was to be opened with {agreed}\n"
            "  hint: leave codec=, type=, compress= and encrypt= out to use what it has, or give recode=True to write "
            "so from now on; older entries stay readable"
        )
    return agreed


def refuse_changed(found: Settings, seal: Callable[[bytes], bytes], where: str) -> None:
    """Raise :class:`UntrustedValue` for settings of an encrypted shelf that a program without the secret has written.

    Such settings could turn on compression, and compressed sizes reveal something of the values.
    """
    if not found.are_sealed(seal):
        raise UntrustedValue(
            f"the settings of {where}, which say how values are written, were changed by something that does not have "
            "the secret of encrypt=\n"
            "  hint: put the shelf back from a backup, or open it once with recode=True, and with the codec= and "
            "compress= that it is to have"
        )


def _right_secret(secrets: tuple[bytes, ...], now: Settings, engine: Engine) -> bytes:
    """The secret that encrypts a shelf, out of those given. Raises :class:`WrongKey` if it is not among them."""
    shelf_id = now.shelf_id or engine.store_id
    for secret in secrets:
        if encryption.key_id(secret) == now.key_id and compare_digest(
            encryption.check_value(secret, shelf_id), now.check
        ):
            return secret
    given = encryption.key_ids(encryption.key_id(secret) for secret in secrets) if secrets else "no key: give encrypt="
    raise WrongKey(f"{engine.where} is encrypted with the key {now.key_id.hex()}, and was to be opened with {given}")
