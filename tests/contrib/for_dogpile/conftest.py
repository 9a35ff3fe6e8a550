"""The marker of dogpile.cache for its own long tests, which are long here, too. Fixtures for tests with processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dogpile.cache import CacheRegion, make_region, register_backend
from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]

register_backend("coshelf", "coshelf.contrib.dogpile", "CoshelfBackend")


@pytest.fixture
def region_of(path: str) -> Iterator[Callable[..., CacheRegion]]:
    """Configures a region with a target and further arguments. It is closed at the end."""
    regions = []

    def configure(target: Any, region: CacheRegion | None = None, **arguments: Any) -> CacheRegion:
        region = (region or make_region()).configure("coshelf", arguments={"target": target, **arguments})
        regions.append(region)
        return region

    yield configure
    for region in regions:
        region.actual_backend.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "time_intensive: takes long; a marker of dogpile.cache")


@pytest.hookimpl(tryfirst=True)  # before ``-m`` selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for test in items:
        if test.get_closest_marker("time_intensive"):
            test.add_marker(pytest.mark.long)
