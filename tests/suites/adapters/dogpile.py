"""The suites that dogpile.cache ships for backends of others."""

from adapter_suite import Suite

SUITE = Suite(
    "dogpile",
    "dogpile.cache",
    "its `_GenericBackendTestSuite`, `_GenericMutexTestSuite` and `_GenericSerializerTestSuite`",
    overlay=("test_coshelf.py", "pytest.ini"),
    options=("-c", "pytest.ini"),
    tests=("test_coshelf.py",),
)
