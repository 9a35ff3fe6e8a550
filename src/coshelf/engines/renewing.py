"""Renews leases while they are in use, in one thread for each handle."""

from __future__ import annotations

from typing import Protocol

from coshelf.engines.periodic import Periodic
from coshelf.errors import CoshelfError

__all__ = ["Renewer"]

_PERIOD = 3.0  # seconds; a third of the lease


class Renewable(Protocol):
    """What others take over if it is not renewed: a claim, or all turns of a process."""

    def renew(self) -> None:
        """Store it again."""
        ...


class Renewer(Periodic):
    """Renews leases once a period. Its thread ends after a period without any.

    Args:
        name: that of the thread, for debugging.
        period: seconds; None: a third of the lease of claims.
    """

    def __init__(self, name: str = "coshelf-claims", period: float | None = None) -> None:
        super().__init__(name, _PERIOD if period is None else period)

    def _begin(self) -> None:
        super()._begin()
        self._claims: dict[int, Renewable] = {}

    def add(self, claim: Renewable) -> None:
        """Renew a claim from now on."""
        self._begin_in_child()  # the parent's thread renews the parent's claims
        self._claims[id(claim)] = claim
        self._run_while_needed()

    def remove(self, claim: Renewable) -> None:
        """Renew it no more."""
        self._claims.pop(id(claim), None)

    def _is_needed(self) -> bool:
        return bool(self._claims)

    def _step(self) -> None:
        for claim in list(self._claims.values()):
            try:
                claim.renew()
            except CoshelfError:
                self.remove(claim)  # others wait for the lease, and then compute
