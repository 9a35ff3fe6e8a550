"""The suite of requests-cache: the tests that all its backends inherit, against httpbin on the loopback address."""

from adapter_suite import Suite

SUITE = Suite(
    name="requests_cache",
    distribution="requests-cache",
    label="its `BaseStorageTest` and `BaseCacheTest`, on lmdb and SQLite",
    unpacked=("tests/",),
    overlay=("tests/integration/test_coshelf.py",),
    tests=("tests/integration/test_coshelf.py",),
    environment=(("USE_PYTEST_HTTPBIN", "true"),),
    # httpbin requires an older greenlet on Python 3.11, which it does not need.
    beside=(
        *("httpbin==0.10.4", "pytest-httpbin==2.1.0", "flasgger==0.9.7.1", "brotlicffi==1.2.1.0", "decorator==5.3.1"),
        *("mistune==3.4.0", "six==1.17.0"),
    ),
)
