"""An interrupt may end the making of a place at any step. What exists of it then is collected in silence."""

from __future__ import annotations

import gc

import pytest

from coshelf.engines.leases.places import LeasedPlace
from coshelf.engines.turn_table.python_lines import PythonPlace


@pytest.mark.parametrize("kind", [PythonPlace, LeasedPlace])
def test_a_place_that_was_not_made_to_the_end_is_collected(kind: type[object], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    place = kind.__new__(kind)
    del place
    gc.collect()
    assert told == []
