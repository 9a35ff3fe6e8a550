"""One call of a memoized function: as steps, which are the same for functions and for coroutines."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from coshelf.memo.claims import Claim, Patience
from coshelf.memo.results import MISSING, Results
from coshelf.memo.waiting import Wait, Waiting, holding

__all__ = ["COMPUTE", "Call"]


class _Compute:
    pass


COMPUTE: Final = _Compute()
"""A step: the caller computes the result and sets :attr:`Call.result`."""

Step = Wait | _Compute


class Call:
    """One call, with its key.

    Attributes:
        key: the key of the result.
        result: what the call returns.
        was_kept: whether the result was kept already.
    """

    def __init__(self, results: Results, key: Any, when: Callable[[Any], object] | None) -> None:
        self._results = results
        self.key = key
        self._when = when
        self.result: Any = MISSING
        self.was_kept = False

    def steps(self) -> Generator[Step, None, None]:
        """What the caller has to do, in turn. If it fails or is cancelled, it closes the iterator."""
        if self._is_kept():
            return
        if self._results.is_joined():  # others cannot see what the transaction writes, and must not be waited for
            yield COMPUTE
            self._keep()
            return
        claim = yield from self._claimed()
        if claim is None:
            if not self.was_kept:
                yield COMPUTE
                self._keep()
            return
        try:
            # The result may have been stored between the look and the claim.
            if not self._is_kept():
                with holding(claim):
                    yield COMPUTE
                self._keep(claim)
        finally:
            claim.claims.drop(claim)

    def _claimed(self) -> Generator[Step, None, Claim | None]:
        """Wait for the claim, or for the result. Returns None if there is a result, or if the call must not wait."""
        claims = self._results.claims()
        row, patience = claims.row(self._results.encoded(self.key)), Patience()
        claim = claims.take(row, patience)
        if claim is not None:
            return claim
        with Waiting(claims, row) as waiting:
            while True:
                sequence = waiting.sequence()
                claim = claims.take(row, patience)
                if claim is not None or self._is_kept():
                    return claim
                wait = waiting.step(sequence)
                if wait is None:
                    return None
                yield wait

    def _is_kept(self) -> bool:
        self.result = self._results.read(self.key)
        self.was_kept = self.result is not MISSING
        return self.was_kept

    def finish(self, result: Any) -> None:
        """Keep a result that was computed apart from the steps."""
        self.result = result
        self._keep()

    def _keep(self, claim: Claim | None = None) -> None:
        if self._when is None or self._when(self.result):
            self._results.keep(self.key, self.result, claim)
