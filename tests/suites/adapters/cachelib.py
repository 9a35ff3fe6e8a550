"""The tests that cachelib has for all caches, from its source distribution."""

from adapter_suite import Suite

SUITE = Suite(
    "cachelib",
    "cachelib",
    "its `CommonTests`, `HasTests`, `ClearTests`, `SerializerTests` and `DeleteManyWithPrefixTests`",
    unpacked=("tests/",),
    overlay=("tests/*.py",),
    tests=("tests/test_coshelf.py",),
)
