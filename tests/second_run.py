"""Runs pytest, and runs tests that failed a second time, each by itself. ``python tests/second_run.py ARGUMENT ...``

Thousands of tests have processes, servers and deadlines, on machines that may be busy with something else. CPython's
own tests are run in this way, too. It hides nothing: the first failure is printed whole, and a test that failed once is
named at the end. Where more than a few tests fail, nothing is run again. `make test-long` gives no test a second run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FEW = 3
"""How many tests may fail before a second run is no use: then something is wrong that is not the machine."""
_TESTS_FAILED = 1  # pytest's exit code


def run(python: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run pytest. Return the exit code, and what a second run has found out: nothing, or lines to print."""
    with tempfile.TemporaryDirectory() as cache:
        command = [python, "-m", "pytest", "-o", f"cache_dir={cache}"]
        code = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, check=False).returncode
        failed = failed_tests(Path(cache)) if code == _TESTS_FAILED else []
    if not failed or len(failed) > FEW or not all("::" in test for test in failed):
        return code, ""
    again = [test for test in failed if _fails_alone(python, test, environment)]
    once = [f"FAILED ONCE, AND PASSED BY ITSELF: {test}" for test in failed if test not in again]
    twice = [f"FAILED TWICE: {test}" for test in again]
    return _TESTS_FAILED if again else 0, "\n".join([*once, *twice])


def failed_tests(cache: Path) -> list[str]:
    """The tests that failed, as pytest's cache names them. A file that cannot be imported is there without a test."""
    found = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(found.read_text())) if found.exists() else []


def _fails_alone(python: str, test: str, environment: Mapping[str, str] | None) -> bool:
    print(f"A second run: {test}", flush=True)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", test]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0


def main() -> int:
    code, found = run(sys.executable, sys.argv[1:], os.environ)
    if found:
        print(found)
    return code


if __name__ == "__main__":
    sys.exit(main())
