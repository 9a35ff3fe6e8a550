"""zict's checks of mappings, with a mapping in a shelf."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="zict",
    distribution="zict",
    label="its checks of mappings, keys, values and threads (`zict.tests.utils_test`)",
    overlay=("test_checks.py",),
    tests=("test_checks.py",),
    long=False,
)
