"""Keeps objects of a source that is not trusted out of a trusted shelf. Plain data may come in."""

from __future__ import annotations

from collections.abc import Iterable

from coshelf.contract import Engine, Markable, distrust
from coshelf.errors import ShelfPermissionError
from coshelf.keys import FIRST, LAST
from coshelf.trust.gate import Gate

__all__ = ["Admission"]


class Admission:
    """What an import may store in its target without making values of others run code.

    Args:
        target: the shelf that gets the entries.
        source: the path of the source, for messages.
        trusted: whether the source is trusted.
    """

    def __init__(self, target: Engine, source: str, *, trusted: bool) -> None:
        self._target = target
        self._source = source
        self._admits_all = trusted or distrust(target) is not None
        self._was_empty = target.count(FIRST, LAST) == 0
        self._gate = Gate(())

    def admit(self, pickles: Iterable[bytes]) -> None:
        """Look at pickles that are to be stored. With the first that is not plain data, a new target loses its trust.

        Raises :class:`ShelfPermissionError` if a trusted target had entries before. No code of a pickle is run.
        """
        if self._admits_all or all(map(self._is_plain, pickles)):
            return
        if self._was_empty and isinstance(self._target, Markable):
            self._target.revoke()
        if distrust(self._target) is None:
            raise ShelfPermissionError(
                f"{self._target.where} is trusted, and has values in {self._source} that are more than plain data: "
                "they could run code when they are read\n"
                "  hint: import into a new shelf, or say that you trust the source (--trust, trust=True)"
            )
        self._admits_all = True

    def _is_plain(self, payload: bytes) -> bool:
        try:
            self._gate.loads(payload)
        except Exception:  # also of a broken pickle: it may run code before the place where it is broken
            return False
        return True
