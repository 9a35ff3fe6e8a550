"""zarr's state machines, with a store in a shelf: random calls, compared with a dict and with zarr's MemoryStore."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from zarr.testing.stateful import ZarrHierarchyStateMachine, ZarrStoreStateMachine

from coshelf.contrib.zarr import CoshelfStore

SIZE = settings(
    max_examples=10,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CoshelfStore]:
    with CoshelfStore(tmp_path / "a.shelf") as store:
        yield store


@pytest.mark.parametrize("machine", [ZarrStoreStateMachine, ZarrHierarchyStateMachine])
def test_a_store_does_what_its_model_does(machine: type, store: CoshelfStore) -> None:
    run_state_machine_as_test(lambda: machine(store), settings=SIZE)
