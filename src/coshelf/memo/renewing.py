"""Renews claims while their functions compute, in one thread for each handle."""

from __future__ import annotations

import os
from typing import Protocol

from coshelf.errors import CoshelfError
from coshelf.system.cooperation import ServiceThread, Wakeup

__all__ = ["Renewer"]

_PERIOD = 3.0  # seconds; a third of the lease


class Renewable(Protocol):
    """A claim."""

    def renew(self) -> None:
        """Store it again."""
        ...


class Renewer:
    """A thread that renews claims once a period. It ends after a period without claims."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._claims: dict[int, Renewable] = {}
        self._threads: list[ServiceThread] = []

    def add(self, claim: Renewable) -> None:
        """Renew a claim from now on."""
        if self._pid != os.getpid():
            self._begin()  # the parent's thread renews the parent's claims
        self._claims[id(claim)] = claim
        if not self._threads:
            self._start()

    def remove(self, claim: Renewable) -> None:
        """Renew it no more."""
        self._claims.pop(id(claim), None)

    def _start(self) -> None:
        thread = ServiceThread("coshelf-claims", self._run)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:  # at the interpreter's end: other processes wait for the lease, and then compute
            self._threads.remove(thread)

    def _run(self) -> None:
        asleep = Wakeup()
        while True:
            asleep.wait(_PERIOD)
            if not self._claims:
                self._threads.clear()
                if not self._claims:  # none was added before the line above
                    return
                self._start()
                return
            for claim in list(self._claims.values()):
                try:
                    claim.renew()
                except CoshelfError:
                    self.remove(claim)  # others wait for the lease, and then compute
