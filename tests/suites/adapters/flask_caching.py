"""The tests of Flask-Caching, from its source distribution, with our cache by its dotted path."""

from adapter_suite import Suite

SUITE = Suite(
    "cachelib",
    "flask-caching",
    "Flask-Caching's own tests of backends, views, memoized functions, templates and signals",
    unpacked=("tests/",),
    overlay=("*.py", "tests/*.py"),
    tests=tuple(
        f"tests/test_{name}.py"
        for name in ("coshelf", "cache", "view", "memoize", "templates", "signals", "subclassing", "hash_method")
    ),
    deselected=(
        "tests/test_cache.py::test_cache_unlink",
        "tests/test_cache.py::test_cache_unlink_if_not",
        "tests/test_cache.py::test_cache_delete_many_ignored",
        "tests/test_hash_method.py::test_file_hash_method_is_independent",
    ),
    why="they set up Flask-Caching's own backends",
)
