"""Runs the tests of each adapter in a process of its own, three at once, and prints what failed and what was skipped.

Frameworks take seconds to import. Each process of pytest-xdist imports all that the test modules import, so these tests
take a third of the time apart. ``python tests/adapters.py [NAME ...]``: those of these adapters only.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "contrib"
SOURCE = ROOT / "src" / "coshelf" / "contrib"
AT_ONCE = 3
_EDGES = "tests/contrib/test_time_edges.py::test_times_mean_what_the_framework_says"


def names() -> list[str]:
    """The adapters with tests of their own, those with the most tests first."""
    folders = {folder.name.removeprefix("for_"): folder for folder in TESTS.glob("for_*")}
    size = {name: sum(path.stat().st_size for path in folder.rglob("*.py")) for name, folder in folders.items()}
    return sorted(folders, key=lambda name: -size[name])


def tests_of(name: str) -> Iterator[str]:
    """What pytest is given for an adapter: its tests, the examples in its modules, its rows of times."""
    yield str(TESTS / f"for_{name}")
    for module in (SOURCE / f"{name}.py", SOURCE / name):
        if module.exists():
            yield str(module)
    if (TESTS / "edges" / f"{name}.py").exists():
        yield f"{_EDGES}[{name}]"


def run(name: str, tests: list[str]) -> bool:
    """Run tests and print what there is to say. Return whether they passed, some perhaps by a second run."""
    command = [sys.executable, "tests/second_run.py", "-q", "-m", "not long", *tests]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = done.stdout.splitlines() or [f"pytest exits with {done.returncode}"]
    if done.returncode or any(line.startswith("FAILED") for line in lines):
        shown = lines
    else:
        shown = [line for line in lines if line.startswith("SKIPPED")] + lines[-1:]
    print("\n".join(f"{name}: {line}" for line in shown), flush=True)
    return done.returncode == 0


def main() -> int:
    asked = sys.argv[1:]
    unknown = set(asked) - set(names())
    if unknown:
        sys.exit(f"no adapter {', '.join(sorted(unknown))}; there are {', '.join(sorted(names()))}")
    work = {name: list(tests_of(name)) for name in asked or names()}
    if not asked:
        own = set(names())
        work["what they share"] = [str(path) for path in sorted(SOURCE.glob("*.py")) if path.stem not in own]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        passed = dict(zip(work, pool.map(run, work, work.values()), strict=True))
    failed = [name for name, well in passed.items() if not well]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
