"""Renews claims while their functions compute, in one thread for each handle."""

from __future__ import annotations

import os
import weakref
from functools import partial
from typing import Protocol

from coshelf.errors import CoshelfError
from coshelf.system.cooperation import ServiceThread, Wakeup

__all__ = ["Renewer"]

_PERIOD = 3.0  # seconds; a third of the lease
_PATIENCE = 1.0  # seconds that a fork waits for the end of the thread


class Renewable(Protocol):
    """A claim."""

    def renew(self) -> None:
        """Store it again."""
        ...


class Renewer:
    """A thread that renews claims once a period. It ends after a period without claims, and during forks."""

    def __init__(self) -> None:
        self._begin()
        self._is_guarded = False

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._claims: dict[int, Renewable] = {}
        self._threads: list[tuple[ServiceThread, Wakeup]] = []
        self._is_paused = False

    def add(self, claim: Renewable) -> None:
        """Renew a claim from now on."""
        if self._pid != os.getpid():
            self._begin()  # the parent's thread renews the parent's claims
        self._claims[id(claim)] = claim
        if not self._is_guarded:
            self._is_guarded = True
            _guard_at_fork(weakref.ref(self))
        self._start()

    def remove(self, claim: Renewable) -> None:
        """Renew it no more."""
        self._claims.pop(id(claim), None)

    def pause(self) -> None:
        """Before a fork: end the thread."""
        self._is_paused = True
        threads, self._threads = self._threads, []
        for thread, wakeup in threads:
            wakeup.ring()
            thread.join(_PATIENCE)

    def resume(self) -> None:
        """After a fork, in the parent: start the thread again if it is needed."""
        self._is_paused = False
        if self._claims:
            self._start()

    def _start(self) -> None:
        if self._threads or self._is_paused:
            return
        wakeup = Wakeup()
        thread = ServiceThread("coshelf-claims", partial(self._run, wakeup))
        self._threads.append((thread, wakeup))
        try:
            thread.start()
        except RuntimeError:  # at the interpreter's end: other processes wait for the lease, and then compute
            self._threads.remove((thread, wakeup))

    def _run(self, wakeup: Wakeup) -> None:
        while not wakeup.wait(_PERIOD):
            if not self._claims:
                self._threads.clear()
                if self._claims:  # one was added before the line above
                    self._start()
                return
            for claim in list(self._claims.values()):
                try:
                    claim.renew()
                except CoshelfError:
                    self.remove(claim)  # others wait for the lease, and then compute


def _guard_at_fork(reference: weakref.ref[Renewer]) -> None:
    """Have no thread at a fork: from Python 3.12 on, that is a warning."""

    def before() -> None:
        renewer = reference()
        if renewer is not None:
            renewer.pause()

    def after() -> None:
        renewer = reference()
        if renewer is not None:
            renewer.resume()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=after)
