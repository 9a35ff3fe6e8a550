"""A short run of zarr's state machines. The whole run is in tests/suites/adapters/zarr_machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from zarr.testing.stateful import ZarrHierarchyStateMachine, ZarrStoreStateMachine

from coshelf.contrib.zarr import CoshelfStore

SHORT = settings(max_examples=3, stateful_step_count=12, suppress_health_check=list(HealthCheck))


# Types and names that the machines draw are not in the specification of the format, and zarr warns of them.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("machine", [ZarrStoreStateMachine, ZarrHierarchyStateMachine])
def test_a_store_does_what_its_model_does(machine: type, tmp_path: Path) -> None:
    with CoshelfStore(tmp_path / "a.shelf") as store:
        run_state_machine_as_test(lambda: machine(store), settings=SHORT)
