"""The codec of a shelf that remembers how its values are written, or whose opener asks for something."""

from __future__ import annotations

from coshelf.contract import Engine, Flag
from coshelf.values import settings
from coshelf.values.compression import Compressor, Decompressor
from coshelf.values.dictionaries import Dictionaries, renew
from coshelf.values.encryption import Cipher
from coshelf.values.headers import IDS
from coshelf.values.layered import EveryCodec, LayeredCodec, Layers

__all__ = ["assembled"]


def assembled(
    engine: Engine, flag: Flag, asked: settings.Asked | None, protocol: int, ways_on: str, sign: tuple[bytes, ...]
) -> EveryCodec:
    """The codec. What the shelf is to remember is noted.

    Raises :class:`~coshelf.errors.CodecMismatch`, :class:`~coshelf.errors.WrongKey` and
    :class:`~coshelf.errors.MissingExtra`.
    """
    asked = asked or settings.Asked()
    found = settings.settle(engine, flag, asked)
    dictionaries = Dictionaries(engine)
    layers = Layers(Decompressor(dictionaries.lookup), IDS.get(found.codec), asked.kind)
    if found.key_id:
        layers.cipher = Cipher(asked.secrets, found.shelf_id)
    if found.level:
        is_secret = layers.cipher is not None
        layers.compressor = Compressor(found.level, dictionaries.current, dictionaries.lookup, encrypted=is_secret)
    codec: EveryCodec
    if sign:
        from coshelf.values.signatures import SignedPickles

        codec = SignedPickles(protocol, sign, engine.store_id, layers)
    elif layers.are_none:
        codec = EveryCodec(protocol, layers, ways_on)
    else:
        codec = LayeredCodec(protocol, layers, ways_on)
    dictionaries.codec = codec
    if isinstance(codec, LayeredCodec) and found.dictionaries and flag != "r":
        renew(engine, codec, found.dictionaries)
    return codec
