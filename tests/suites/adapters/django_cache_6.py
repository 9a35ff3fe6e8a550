"""Django's own tests of cache backends, with ours."""

from adapter_suite import Suite

SUITE = Suite(
    name="django",
    distribution="django",
    label="`BaseCacheTests`, on Python 3.12",
    unpacked=("tests/runtests.py", "tests/test_sqlite.py", "tests/urls.py", "tests/templates/", "tests/cache/"),
    overlay=("tests/cache/*.py",),
    folder="django",
    python="3.12",
    command=("tests/runtests.py", "cache.on_coshelf", "--parallel", "1"),
)
