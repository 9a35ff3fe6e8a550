"""Which values a ``SqliteDict`` loads: any object from a file of this user's own, plain data from every other file."""

from __future__ import annotations

import pickle
from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any

from coshelf.dropin.sqlitedict.encoding import PICKLE_PROTOCOL
from coshelf.errors import UntrustedValue
from coshelf.trust.gate import Gate
from coshelf.values.failures import told
from coshelf.values.pickles import Pickles

__all__ = ["GuardedPickles"]


class GuardedPickles:
    """Stands in for ``encode``, ``decode`` and ``decode_key`` where the file may be another user's.

    Args:
        where: the file and table, for messages.
        reason: why the file is not trusted. None: ``trust=False`` was given.
        allow: classes and functions that are loaded beside plain data.
        can_be_marked: whether ``coshelf trust`` would work.
    """

    def __init__(self, where: str, reason: str | None, allow: Iterable[Callable[..., Any]], path: str | None) -> None:
        self._where = where
        hint = f"python -m coshelf trust {path}\n  or open it with " if reason is not None and path else "open it with "
        self._ways_on = (
            f"; {reason or 'trust=False was given'}\n  hint: if you trust its writers: {hint}"
            "trust=True, or with allow=[...] for the classes that you expect"
        )
        self._pickles = Pickles(
            PICKLE_PROTOCOL, Gate(allow).loads, ways_on=self._ways_on, refuses_objects=reason is not None
        )

    def encode(self, value: Any) -> bytes:
        """The pickle of a value. Raises :class:`UnwritableValue` if it would not be loaded again."""
        payload = pickle.dumps(value, protocol=PICKLE_PROTOCOL)
        if self._pickles.refuses_objects:
            self._pickles.refuse_object(self._where, payload)
        return payload

    def decode(self, stored: Any) -> Any:
        """The value of a pickle. Raises :class:`UntrustedValue` if it is not plain data; no code runs."""
        try:
            return self._pickles.unpickle(bytes(stored))
        except UntrustedValue as error:
            raise UntrustedValue(f"{self._where}: {told(error)}{self._ways_on}", error.name) from None

    def decode_key(self, text: str) -> Any:
        """The key of a pickle in base64."""
        return self.decode(b64decode(text.encode("ascii")))
