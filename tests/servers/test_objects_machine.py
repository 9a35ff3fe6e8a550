"""A shelf on an object store against a dict."""

from __future__ import annotations

from typing import Any, ClassVar

import objects
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import coshelf
from coshelf.contract import Flag
from coshelf.testing import ShelfMachine


class _ObjectsMachine(ShelfMachine):
    longest_key = 560
    server: ClassVar[objects.Server]
    deletes_conditionally: ClassVar[bool] = True

    def __init__(self) -> None:
        self.url = self.server.url()
        super().__init__()

    def moving_clock(self) -> objects.MovedClock:
        return objects.MovedClock()

    def open_shelf(self, flag: Flag = "c") -> coshelf.Shelf[Any, Any]:
        shelf = coshelf.open(self.url, flag)
        engine: Any = shelf._handle.engine
        engine._deletes_conditionally = engine._deletes_conditionally and self.deletes_conditionally
        return shelf


def run(server: objects.Server, examples: int, steps: int, *, deletes_conditionally: bool = True) -> None:
    attributes = {"server": server, "deletes_conditionally": deletes_conditionally}
    bounded = settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(type("ObjectsMachine", (_ObjectsMachine,), attributes), settings=bounded)


def test_shelf_on_moto_is_as_a_dict(moto: objects.Server) -> None:
    run(moto, examples=2, steps=10)


@pytest.mark.parametrize("deletes_conditionally", [True, False])
def test_shelf_on_seaweedfs_is_as_a_dict(weed: objects.Weed, deletes_conditionally: bool) -> None:
    run(weed, examples=3, steps=16, deletes_conditionally=deletes_conditionally)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("deletes_conditionally", [True, False])
def test_shelf_on_seaweedfs_is_as_a_dict_for_long(weed: objects.Weed, deletes_conditionally: bool) -> None:
    run(weed, examples=40, steps=40, deletes_conditionally=deletes_conditionally)
