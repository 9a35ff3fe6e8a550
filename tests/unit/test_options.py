"""The options of opening are the same wherever they are written."""

from __future__ import annotations

import inspect

import coshelf.aio
from coshelf import opening


def test_type_checkers_know_every_option_of_open() -> None:
    options = [p.name for p in inspect.signature(coshelf.open).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert sorted(options) == sorted({*opening.Options.__annotations__, "type"})


def test_opening_for_tasks_has_the_same_options() -> None:
    assert inspect.signature(coshelf.aio.open).parameters.keys() == inspect.signature(coshelf.open).parameters.keys()
