"""Chooses the codec of a shelf. Most shelves hold plain pickles, so the modules for other codecs load on demand."""

from __future__ import annotations

import functools
from itertools import islice
from typing import TYPE_CHECKING

from coshelf.contract import DEQUES, EVERYTHING_GONE, QUEUES, Batch, Engine, Flag
from coshelf.values.codec import Codec
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.limits import LIMITS_ROW
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles
from coshelf.values.rows import SETTINGS_ROW

if TYPE_CHECKING:
    from coshelf.values.layered import LayeredCodec
    from coshelf.values.settings import Asked

__all__ = ["chosen", "start_afresh"]

_TOGETHER = 500  # rows that one commit removes


def chosen(engine: Engine, flag: Flag, asked: Asked | None, pickles: Pickles, sign: tuple[bytes, ...] = ()) -> Codec:
    """The codec of a shelf that is being opened, by what it remembers and what its opener asks for.

    Raises :class:`~coshelf.errors.CodecMismatch`, :class:`~coshelf.errors.WrongKey` and
    :class:`~coshelf.errors.MissingExtra`.
    """
    if asked is None and not sign and not (engine.keeps_settings and engine.get(SETTINGS_ROW)):
        return PickleCodec(pickles, LargeBuffers(engine.blobs), functools.partial(_reader, engine, pickles))
    from coshelf.values.assembling import assembled

    return assembled(engine, flag, asked, pickles, sign)


def _reader(engine: Engine, pickles: Pickles) -> LayeredCodec:
    """The codec that reads values which another process has written with other settings since."""
    from coshelf.values.dictionaries import reader

    return reader(engine, pickles)


def start_afresh(engine: Engine) -> None:
    """Remove all entries, the items of queues and deques, and the settings of values.

    The dictionaries stay, because another process that has the shelf open may be using one at this moment.
    """
    _empty_queues(engine)
    if engine.keeps_settings:
        clears = (*engine.capabilities.indexes, *EVERYTHING_GONE.clears)
        engine.commit(Batch(clears=clears, deletes=frozenset((SETTINGS_ROW, LIMITS_ROW))))
    else:
        engine.commit(EVERYTHING_GONE)


def _empty_queues(engine: Engine) -> None:
    """Remove all items of queues and deques."""
    together = 1 if engine.capabilities.checks == "entry" else _TOGETHER
    rows = (row for start, stop in (QUEUES, DEQUES) for row, _ in list(engine.scan(start, stop, keys_only=True)))
    while some := frozenset(islice(rows, together)):
        engine.commit(Batch(deletes=some))
