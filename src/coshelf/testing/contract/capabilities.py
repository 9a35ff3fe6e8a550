"""Capabilities: what an engine says about itself."""

from __future__ import annotations

import pytest

from coshelf.contract import Engine
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.entries import A
from coshelf.testing.contract.requirements import grants

__all__ = ["CapabilityTests"]


class CapabilityTests(EngineTests):
    def test_demanded_capabilities_are_granted(self, engine: Engine) -> None:
        assert [demand for demand in self.demands if not grants(engine.capabilities, demand)] == []

    def test_engine_has_a_name_and_a_place(self, engine: Engine) -> None:
        assert engine.name
        assert engine.where

    def test_what_is_not_granted_is_refused(self, engine: Engine) -> None:
        if engine.capabilities.snapshots is None:
            with pytest.raises(NotImplementedError):
                engine.snapshot()
        if engine.capabilities.exclusive is None:
            with pytest.raises(NotImplementedError), engine.exclusive():
                pass
        if engine.capabilities.watch is None:
            with pytest.raises(NotImplementedError):
                engine.doorbell(A)
        if engine.capabilities.turns is None:
            with pytest.raises(NotImplementedError):
                engine.turns()
