"""The acceptance tests of aiocache, from its source distribution, with our cache in its fixtures."""

from adapter_suite import Suite

SUITE = Suite(
    "aiocache",
    "aiocache",
    "its acceptance tests, with our cache as `cache` and as `memory_cache`",
    unpacked=("tests/",),
    overlay=("tests/acceptance/conftest.py",),
    tests=("tests/acceptance",),
    options=("-o", "asyncio_mode=auto", "-m", "not redis and not memcached"),
    deselected=(
        "tests/acceptance/test_serializers.py::TestNullSerializer",
        "tests/acceptance/test_plugins.py::TestHitMissRatioPlugin",
        "tests/acceptance/test_base.py::TestMemoryCache::test_accept_explicit_args",
        "tests/acceptance/test_factory.py",
    ),
    why="29 are for Redis and Memcached; the others look inside `SimpleMemoryCache`, or make one, or demand the very "
    "object that was stored",
)
