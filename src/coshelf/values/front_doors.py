"""The codecs of front doors that do not follow the settings of a shelf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coshelf.contract import Engine, Flag
from coshelf.errors import CodecMismatch
from coshelf.values.blobs import Blobs
from coshelf.values.codec import Codec
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.pickled import PickleCodec
from coshelf.values.pickles import Pickles
from coshelf.values.raw_pickles import RawPickles
from coshelf.values.rows import SETTINGS_ROW
from coshelf.values.unread import UnreadValues

__all__ = ["PICKLES", "RAW_PICKLES", "UNREAD_VALUES", "FrontDoor"]


@dataclass(frozen=True)
class FrontDoor:
    """How the codec of a front door is made, once the engine is open. It is pickled with a shelf.

    Attributes:
        make: makes the codec for the blobs of an engine.
        trusts: whether it trusts every shelf, as the module that it replaces does.
        writes: whether it writes values, as plain pickles.
    """

    make: Callable[[Blobs | None], Codec]
    trusts: bool = False
    writes: bool = True

    def codec(self, engine: Engine, flag: Flag) -> Codec:
        """The codec for an engine. Raises :class:`CodecMismatch` if the settings do not allow plain pickles."""
        if self.writes and flag != "r":
            made = self.make(engine.blobs)
            made.lifetime = _lifetime(engine)
            return made
        return self.make(engine.blobs)

    def refuse_bare_pickles(self, engine: str) -> None:
        """Refuses nothing: a front door asks for nothing that an engine of bare pickles does not have."""


def _lifetime(engine: Engine) -> int | None:
    """The lifetime of entries that the shelf remembers.

    Refuses to write plain pickles into a shelf with other settings, such as encryption.
    """
    if not engine.keeps_settings or engine.get(SETTINGS_ROW) is None:
        return None
    from coshelf.values.settings import remembered

    found = remembered(engine)
    if found is not None and not found.are_default:
        raise CodecMismatch(
            f"{engine.where} has {found}, and this way of opening it writes plain pickles\n"
            "  hint: open it with coshelf.open, or to read alone"
        )
    return (found.lifetime or None) if found is not None else None


def _pickle_codec(blobs: Blobs | None) -> Codec:
    return PickleCodec(Pickles(), LargeBuffers(blobs))


def _unread_values(_: Blobs | None) -> Codec:
    return UnreadValues()


PICKLES = FrontDoor(_pickle_codec, trusts=True)
"""Values are pickled, and any pickle is loaded."""

RAW_PICKLES = FrontDoor(RawPickles)
"""Values are the bytes of pickles, which are not loaded."""

UNREAD_VALUES = FrontDoor(_unread_values, writes=False)
"""Values are neither read nor written."""
