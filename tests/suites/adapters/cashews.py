"""The tests of cashews that use a backend, from its source distribution, with ours as the `cache`."""

from adapter_suite import Suite

_NAMES = (
    "add_prefix backend_commands blooms cache cache_exception callback circuit_breaker disable_control invalidate "
    "iterators_cache lock_decorator middleware rate_limit tags_feature transaction wrapper"
)

SUITE = Suite(
    "cashews",
    "cashews",
    "its tests of commands, decorators, tags, transactions and locks, with our backend as `cache`",
    unpacked=("tests/",),
    overlay=("tests/conftest.py",),
    tests=tuple(f"tests/test_{name}.py" for name in _NAMES.split()),
    options=("-o", "asyncio_mode=auto", "-m", "not redis"),
    deselected=("tests/test_backend_commands.py::test_lru", "tests/test_backend_commands.py::test_lru2"),
    why="one is for Redis, and two look inside the backend for memory",
)
