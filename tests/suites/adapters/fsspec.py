"""fsspec's abstract suites, with a file system in a shelf."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="fsspec",
    distribution="fsspec",
    label="its abstract suites of copy, get, put, open and pipe (`fsspec.tests.abstract`)",
    overlay=("test_abstract_suites.py",),
    tests=("test_abstract_suites.py",),
    long=False,
)
