"""zarr's state machines, with a store in a shelf."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="zarr",
    distribution="zarr",
    label="its state machines of stores and of hierarchies (`zarr.testing.stateful`)",
    overlay=("test_machines.py",),
    tests=("test_machines.py",),
)
