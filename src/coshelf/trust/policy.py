"""Which values a shelf may load, and how it writes them: by the options of ``open`` and by the owner of the shelf."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from coshelf.contract import Engine, Flag, distrust
from coshelf.errors import Unsupported
from coshelf.values.choosing import chosen
from coshelf.values.codec import Codec
from coshelf.values.pickles import PROTOCOL, Pickles

if TYPE_CHECKING:
    from coshelf.values.settings import Asked

__all__ = ["Policy", "policy"]


@dataclasses.dataclass(frozen=True)
class Policy:
    """How to make the codec once the engine is open. It is pickled with a shelf.

    Attributes:
        protocol: of pickles that are written.
        trust: whether values may be any objects. None: if this user made the shelf, and no other user can write it.
        allow: classes and functions that are loaded beside plain data if the shelf is not trusted.
        sign: secrets; the first signs, and each verifies.
        asked: how values are written. None: as the shelf remembers.
    """

    protocol: int
    trust: bool | None
    allow: tuple[Callable[..., Any], ...]
    sign: tuple[bytes, ...] = dataclasses.field(default=(), repr=False)
    asked: Asked | None = None

    def __reduce__(self) -> Any:
        if self.sign:
            raise TypeError("a shelf with sign= is not pickled: its secret would be in it. Open it where it is used")
        if self.asked is not None and self.asked.secrets:
            raise TypeError("a shelf with encrypt= is not pickled: its secret would be in it. Open it where it is used")
        # These apply to one opening: another process may have recoded the shelf since, or changed its default time.
        asked = None if self.asked is None else dataclasses.replace(self.asked, recode=False, lifetime=None)
        return Policy, (self.protocol, self.trust, self.allow, (), asked)

    @property
    def trusts(self) -> bool:
        """Whether any object is loaded, from any shelf."""
        return self.trust is True

    def refuse_bare_pickles(self, engine: str) -> None:
        """Raise :class:`Unsupported` if something is asked for that an engine of bare pickles does not have."""
        if self.asked is not None:
            self.asked.refuse_bare_pickles(engine)

    def codec(self, engine: Engine, flag: Flag) -> Codec:
        """The codec for an engine. Pickles go through the gate if another user could have written them."""
        if self.sign:
            if not engine.store_id:
                raise Unsupported(f"the {engine.name} engine has no id of its own that a signature could be bound to")
            return chosen(engine, flag, self.asked, self._free, self.sign)
        reason = None if self.trust else distrust(engine) if self.trust is None else "trust=False was given"
        if reason is None:
            guard: Callable[[], None] | None = getattr(engine, "guard", None)  # as in contract.distrust()
            if self.trust is None and guard is not None:
                guard()
            return chosen(engine, flag, self.asked, self._free)
        from coshelf.trust.provenance import can_be_trusted, has_no_place_for_mark, protecting

        if self.trust is None and flag != "r" and has_no_place_for_mark(engine):
            warnings.warn(
                f"{engine.where} cannot be marked as this user's own: there is no directory for the mark, "
                "since this user has no home directory. Values are plain data, and other objects are refused\n"
                "  hint: let COSHELF_SECRET_FILE name a file of 16 or more random bytes, or give trust=True",
                stacklevel=5,
            )
        hint = "if you trust its writers, open it with"
        command = f"{protecting()}, and run: python -m coshelf trust {engine.where}"
        if self.trust is None and can_be_trusted(engine):
            command = f"if you trust its writers: python -m coshelf trust {engine.where}"
            hint = f"{command}\n  or open it with"
        ways_on = f"; {reason}\n  hint: {hint} trust=True, or with allow=[...] for the classes that you expect"
        from coshelf.trust.gate import Gate

        gated = Pickles(self.protocol, Gate(self.allow).loads, ways_on=ways_on, refuses_objects=self.trust is None)
        gated.ways_on_by_command = f"; {reason}\n  hint: {command}"
        return chosen(engine, flag, self.asked, gated)

    @property
    def _free(self) -> Pickles:
        """Pickles that are loaded without the gate."""
        return Pickles(self.protocol)


def policy(
    protocol: int | None,
    trust: bool | None,
    allow: Iterable[Callable[..., Any]],
    sign: bytes | Iterable[bytes],
    asked: Asked | None = None,
) -> Policy:
    """The policy for the options of ``open``. Raises TypeError and ValueError before anything is made."""
    if trust not in (None, True, False):
        raise TypeError(f"trust must be True, False or None, not {trust!r}")
    if isinstance(allow, (str, type)):
        raise TypeError(f"allow takes a list of classes and functions, not {allow!r} alone")
    classes = tuple(allow)
    if classes:
        from coshelf.trust.gate import Gate

        Gate(classes)
    keys: tuple[bytes, ...] = ()
    if sign:
        from coshelf.values.secret_keys import usable

        keys = usable(sign, "sign=")
    return Policy(Pickles(PROTOCOL if protocol is None else protocol).protocol, trust, classes, keys, asked)
