"""Builds of the module with sanitizers run its tests without a report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sanitized

from coshelf import native

pytestmark = pytest.mark.timeout(600)  # building takes long on a busy machine

HERE = Path(__file__).parent
_HOSTILE, _BESIDE = "tests/native/test_hostile_use.py", "tests/native/test_beside.py"


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    """Without gcc the tests are skipped; where .ci/run runs, it has installed gcc."""
    if shutil.which("gcc") is None and not os.environ.get("CI"):
        pytest.skip("gcc is not on this machine")
    if native.reason == "COSHELF_NATIVE is 0":
        pytest.skip("the module in C is not to be used")


def run(kind: str, *options: str) -> None:
    program = [sys.executable, str(HERE / "sanitized.py"), kind, *options]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert " passed" in ran.stdout


def test_hostile_use_is_clean_of_bad_addresses_and_undefined_behaviour() -> None:
    run("address", _HOSTILE)


@pytest.mark.long  # with its build it is the slowest test of all; test_log_sanitized.py has threads beside a log
def test_threads_and_forks_are_clean_of_data_races() -> None:
    run("thread", _BESIDE, "-k", "threads or forks")


@pytest.mark.parametrize("kind", ["address", "thread"])
def test_sanitizer_reports_what_is_wrong(kind: str, tmp_path: Path) -> None:
    wrong = {
        "address": "char *p = PyMem_RawMalloc(8); PyMem_RawFree(p); p[0] = 1;",
        "thread": "pthread_t t; pthread_create(&t, NULL, add, NULL); add(NULL); pthread_join(t, NULL);",
    }[kind]
    source = tmp_path / "wrong.c"
    source.write_text(
        "#include <Python.h>\n#include <pthread.h>\nstatic int number;\n"
        "void *add(void *nothing) { for (int i = 0; i < 100000; i++) number++; return nothing; }\n"
        f'PyMODINIT_FUNC PyInit__native(void) {{ {wrong} return PyModule_New("wrong"); }}\n'
    )
    directory = sanitized.build(kind, tmp_path, [source])
    used = sanitized.environment(kind, directory)
    ran = subprocess.run(
        [sys.executable, "-c", "from coshelf import _native"], env=used, capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0
    assert "Sanitizer: " in ran.stderr


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["address", "thread"])
def test_all_tests_of_the_module_are_clean(kind: str) -> None:
    run(kind)
