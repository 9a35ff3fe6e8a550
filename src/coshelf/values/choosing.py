"""Which codec a shelf has. Plain pickles need nothing beside themselves, and that is what most shelves hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coshelf import records
from coshelf.contract import EVERYTHING_GONE, Batch, Engine, Flag
from coshelf.values.pickled import PickleCodec
from coshelf.values.rows import SETTINGS_ROW

if TYPE_CHECKING:
    from coshelf.values.layered import EveryCodec
    from coshelf.values.settings import Asked

__all__ = ["chosen", "start_afresh"]


class _PlainPickles(PickleCodec):
    """Plain pickles; what somebody has written in another way since is read by what is imported then."""

    def __init__(self, engine: Engine, protocol: int, ways_on: str) -> None:
        super().__init__(protocol, ways_on)
        self._engine = engine

    def load_headered(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        if record[1] == records.BLOB:
            return super().load_headered(key, encoded_key, record, copy)
        return self._reader().load_headered(key, encoded_key, record)

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        if record[0] != records.HEADERED or record[1] == records.BLOB:
            return super().opened(key, encoded_key, record)
        return self._reader().opened(key, encoded_key, record)

    def _reader(self) -> EveryCodec:
        from coshelf.values.dictionaries import reader

        codec = reader(self._engine, self.protocol, self._ways_on)
        codec.loads = self.loads
        return codec


def chosen(
    engine: Engine,
    flag: Flag,
    asked: Asked | None,
    protocol: int,
    ways_on: str = "",
    sign: tuple[bytes, ...] = (),
) -> PickleCodec:
    """The codec of a shelf that is being opened, by what it remembers and what its opener asks for.

    Raises :class:`~coshelf.errors.CodecMismatch`, :class:`~coshelf.errors.WrongKey` and
    :class:`~coshelf.errors.MissingExtra`.
    """
    if asked is None and not sign and not (engine.keeps_settings and engine.get(SETTINGS_ROW)):
        return _PlainPickles(engine, protocol, ways_on)
    from coshelf.values.assembling import assembled

    return assembled(engine, flag, asked, protocol, ways_on, sign)


def start_afresh(engine: Engine) -> None:
    """Remove all entries, and what was remembered of how they were written.

    The dictionaries stay: whoever has the shelf open may be writing with one this very moment.
    """
    if engine.keeps_settings:
        engine.commit(Batch(clears=EVERYTHING_GONE.clears, deletes=frozenset((SETTINGS_ROW,))))
    else:
        engine.commit(EVERYTHING_GONE)
