"""Django's own tests of session engines, with ours."""

from adapter_suite import Suite

SUITE = Suite(
    name="django",
    distribution="django",
    label="`SessionTestsMixin`, twice, and `SessionMiddlewareTests`",
    unpacked=(
        "tests/runtests.py",
        "tests/test_sqlite.py",
        "tests/urls.py",
        "tests/templates/",
        "tests/sessions_tests/",
    ),
    overlay=("tests/sessions_tests/*.py",),
    folder="django",
    why="1: it looks for the session in a table of the database",
    command=("tests/runtests.py", "sessions_tests.on_coshelf", "--parallel", "1"),
)
