"""Makes the codec of a shelf that has settings for its values, or whose opener gave options for them."""

from __future__ import annotations

from coshelf.contract import Engine, Flag
from coshelf.values import settings
from coshelf.values.codec import Codec, Layer
from coshelf.values.compression import Compression, Compressor, Decompressor
from coshelf.values.dictionaries import Dictionaries
from coshelf.values.encryption import Cipher
from coshelf.values.headers import IDS
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles
from coshelf.values.signatures import Signature

__all__ = ["assembled"]


def assembled(
    engine: Engine, flag: Flag, asked: settings.Asked | None, pickles: Pickles, sign: tuple[bytes, ...]
) -> Codec:
    """The codec. New settings are stored in the shelf.

    Raises :class:`~coshelf.errors.CodecMismatch`, :class:`~coshelf.errors.WrongKey` and
    :class:`~coshelf.errors.MissingExtra`.
    """
    asked = asked or settings.Asked()
    found = settings.settle(engine, flag, asked)
    layers: list[Layer] = []
    if found.key_id:
        layers.append(Cipher(asked.secrets, found.shelf_id))
    if sign:
        layers.append(Signature(sign, engine.store_id))
    dictionaries = Dictionaries(engine, pickles, layers)
    compressor = None
    if found.level:
        is_secret = bool(found.key_id)
        compressor = Compressor(found.level, dictionaries.current, dictionaries.lookup, encrypted=is_secret)
    layers.insert(0, Compression(Decompressor(dictionaries.lookup), compressor))
    # A signed shelf has no blobs, because a blob has no signature: all of a signed value is in its record.
    large = LargeBuffers(None if sign else engine.blobs)
    codec = LayeredCodec(pickles, layers, IDS.get(found.codec), asked.kind, large)
    codec.lifetime = found.lifetime or None
    if found.are_default and not sign:
        plain = PickleCodec(pickles, large, lambda: codec)
        plain.lifetime = codec.lifetime
        return plain
    if found.dictionaries and flag != "r":
        dictionaries.renew(found.dictionaries)
    return codec
