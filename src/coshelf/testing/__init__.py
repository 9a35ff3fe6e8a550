"""The kit that verifies whether an engine keeps the contract. Install the extra ``testing`` for pytest and hypothesis.

:class:`EngineContract` tests the engine itself. :class:`ShelfMachine` compares a shelf on it with a plain dict, and
:class:`DayMachine` does so over a day in which entries expire::

    from coshelf.testing import EngineContract, ShelfMachine

    class TestMyEngine(EngineContract):
        demands = ("atomic=crash", "persistent")

        def open_engine(self, place, options):
            return my_engine.open_engine(f"mine:{place}", options)

    class MyMachine(ShelfMachine):
        def open_shelf(self, flag="c"):
            return coshelf.open("mine:/some/where", flag)

    TestMyShelf = MyMachine.TestCase
"""

from __future__ import annotations

import pytest

# Before the import. Otherwise their assertions would fail without showing the values.
pytest.register_assert_rewrite("coshelf.testing.contract", "coshelf.testing.machine")

from coshelf.testing.day_machine import DayMachine  # noqa: E402
from coshelf.testing.engine_contract import EngineContract  # noqa: E402
from coshelf.testing.shelf_machine import ShelfMachine  # noqa: E402

__all__ = ["DayMachine", "EngineContract", "ShelfMachine"]
