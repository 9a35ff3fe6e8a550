"""A mark of zarr's tests, which zarr's plugin would register."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: zarr's tests for the memory of a graphics card")
