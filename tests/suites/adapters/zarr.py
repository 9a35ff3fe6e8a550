"""zarr's own tests of stores, with a store in a shelf."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="zarr",
    distribution="zarr",
    label="its `StoreTests`",
    overlay=("conftest.py", "test_store_tests.py"),
    tests=("test_store_tests.py",),
    options=("-o", "asyncio_mode=auto"),
    long=False,
)
