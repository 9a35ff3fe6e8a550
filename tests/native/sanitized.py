"""Run tests over a build with sanitizers: ``python tests/native/sanitized.py address|thread [options of pytest]``.

``address`` has AddressSanitizer and UndefinedBehaviorSanitizer, ``thread`` has ThreadSanitizer. The build lies in a
temporary directory, beside a copy of the library. The interpreter is the usual one. The sanitizer's library is loaded
before it, and sees its calls of malloc, memcpy, mmap and the like, but not the accesses of its own code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["FLAGS", "build", "environment", "runtime"]

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "thread": ["-fsanitize=thread", "-Wno-tsan"],  # it does not know fences
}
_LIBRARIES = {"address": "libasan.so", "thread": "libtsan.so"}
OPTIONS = {
    # CPython leaves memory behind at its end; test_hostile_use.py counts what the module leaves.
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    # No race is suppressed: the interpreter's lock is made of mutexes, which are seen. A forked child has its parent's
    # threads in the list of those that were never joined.
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=66:die_after_fork=0:report_thread_leaks=0",
    "PYTHONMALLOC": "malloc",
}

TIMEOUT = 900  # seconds for one test: what has sanitizers is some ten times as slow
PROGRAMS_OF_THEIR_OWN = [
    f"tests/native/test_{name}.py" for name in ("sanitized", "log_sanitized", "log_steps", "call_steps")
]
"""Tests that build programs, for which the sanitizer's library must not be loaded."""


def build(kind: str, directory: Path, sources: Sequence[Path] = ()) -> Path:
    """Build the module with sanitizers, with a copy of the library around it; the directory to import it from.

    Other ``sources`` are built in its place.
    """
    package = directory / "coshelf"
    shutil.copytree(ROOT / "src" / "coshelf", package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    target = package / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    sources = sources or sorted((ROOT / "native").glob("*.c"))
    include = ["-isystem", sysconfig.get_path("include"), f"-I{ROOT / 'native'}"]
    general = ["-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-fPIC", "-shared", "-pthread"]
    subprocess.run(["gcc", *general, *FLAGS[kind], *include, *map(str, sources), "-o", str(target)], check=True)
    return directory


def runtime(kind: str) -> str:
    """The path of the sanitizer's library."""
    asked = subprocess.run(
        ["gcc", f"-print-file-name={_LIBRARIES[kind]}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return str(Path(asked).resolve())


def environment(kind: str, directory: Path) -> dict[str, str]:
    """The environment in which Python uses that build."""
    return {**os.environ, **OPTIONS, "LD_PRELOAD": runtime(kind), "PYTHONPATH": str(directory)}


def main() -> int:
    kind, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        used = environment(kind, build(kind, Path(directory)))
        options = options or ["-m", "not long", *(f"--ignore={path}" for path in PROGRAMS_OF_THEIR_OWN), "tests/native"]
        # Without worker processes and plugins, so that a report of the sanitizer is seen where it comes from.
        general = ["-q", "-x", "-p", "no:cacheprovider", f"--timeout={TIMEOUT}"]
        command = [sys.executable, "-m", "pytest", *general, *options]
        return subprocess.run(command, cwd=ROOT, env=used, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
