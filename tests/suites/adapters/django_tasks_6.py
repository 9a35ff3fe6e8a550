"""Django's own tests of backends of Tasks, with ours."""

from adapter_suite import Suite

SUITE = Suite(
    name="django",
    distribution="django",
    label="its tests of Tasks and of its two backends, on Python 3.12",
    unpacked=("tests/runtests.py", "tests/test_sqlite.py", "tests/urls.py", "tests/templates/", "tests/tasks/"),
    overlay=("tests/tasks/*.py",),
    folder="django",
    python="3.12",
    why="5: two change an object of `DummyBackend`, three demand no results and no `run_after`",
    command=("tests/runtests.py", "tasks.on_coshelf", "--parallel", "1"),
)
