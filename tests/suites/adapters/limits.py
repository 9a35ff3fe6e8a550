"""The suite of limits: storages and strategies, sync and async, on lmdb and SQLite."""

from adapter_suite import Suite

SUITE = Suite(
    name="limits",
    distribution="limits",
    label="its tests of storages, strategies and concurrency, on lmdb and SQLite",
    unpacked=("tests/",),
    overlay=("pytest.ini", "pytest_lazy_fixtures.py", "tests/conftest.py"),
    options=("-c", "pytest.ini"),
    tests=(
        "tests/test_storage.py",
        "tests/test_strategy.py",
        "tests/aio/test_storage.py",
        "tests/aio/test_strategy.py",
        "tests/integration/test_concurrency.py",
    ),
)
