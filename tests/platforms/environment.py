"""Environments in which the kernel, the C library or Python really refuses something, with all processes begun there.

``bootstrap/lacking/facilities.py`` has a table of facilities, each with what refuses it. ``macos.py``,
``windows.py`` and ``musl.py`` beside it are profiles: all that one platform lacks. A facility is taken away in one
or more of these ways:

- **From Python** (``hiding.py``): modules are not found, and modules of coshelf get a view of ``os`` and others
  without some names. ``sitecustomize.py`` does it in each interpreter, since the folder is on PYTHONPATH.
- **By the kernel** (``kernel.py``): a filter for system calls, and an empty ``/proc``. ``launch.py`` begins it.
- **By the C library** (``refuse.c``): a library that is loaded before it.

:func:`pytest_in` runs tests so. The plugin of pytest there (``plugin.py``) first tries all that is to be refused, in
its process and in a child (``probes.py``). If anything succeeds, the run fails. So no run passes because nothing was
taken away. To try something by hand::

    python tests/platforms/environment.py macos -c "import coshelf; print(coshelf.open('sqlite:x'))"
    python tests/platforms/environment.py ofd_locks,futex -m pytest -q tests/processes/test_locks.py
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BOOTSTRAP = HERE / "bootstrap"
if str(BOOTSTRAP) not in sys.path:
    sys.path.append(str(BOOTSTRAP))

from lacking import LACKING, PROC  # noqa: E402
from lacking.counting import NOTES  # noqa: E402
from lacking.launch import PRELOADED  # noqa: E402
from lacking.plugin import OUTCOMES  # noqa: E402
from lacking.tables import lacking  # noqa: E402

__all__ = ["Outcome", "pytest_in", "reason_against", "start"]

REFUSE = "COSHELF_TESTS_REFUSE"
UNDER = "COSHELF_TESTS_UNDER"
_SOME = 6
"""How many refusals are named in a line of text."""
_OPTIONS = (
    *("-q", "--tb=short", "-o", "addopts=", "--import-mode=importlib", "-W", "ignore::pytest.PytestConfigWarning"),
    # Only what the tests need: plugins of others take seconds to import.
    *("-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", "anyio.pytest_plugin", "-p", "lacking.plugin"),
)
_LAUNCH = BOOTSTRAP / "lacking" / "launch.py"


class Outcome(NamedTuple):
    """How tests went in an environment.

    Attributes:
        code: with which pytest ended.
        said: what it printed.
        tests: the outcome of each test by its name.
        refused: what was refused to coshelf, as far as that leaves notes.
    """

    code: int
    said: str
    tests: Mapping[str, str]
    refused: frozenset[str]

    def names(self, outcome: str) -> list[str]:
        """The tests with this outcome."""
        return [name for name, found in self.tests.items() if found == outcome]

    def __str__(self) -> str:
        counts = ", ".join(
            f"{len(self.names(each))} {each}" for each in ("passed", "failed", "skipped") if self.names(each)
        )
        some = sorted(self.refused)[:_SOME]
        more = f" and {len(self.refused) - _SOME} more" if len(self.refused) > _SOME else ""
        return f"{counts or 'nothing ran'}; refused: {', '.join(some) or 'what leaves no note'}{more}"


def reason_against(names: str) -> str | None:
    """Why this environment cannot be made here; None if it can."""
    wanted = lacking(names)
    if wanted.library and shutil.which("gcc") is None:
        return "there is no gcc, which builds refuse.c"
    if wanted.without_proc and not _can_mount():
        return "only root can make a mount namespace"
    if sys.platform != "linux":
        return "only Linux has what takes facilities away"
    return None


@functools.cache
def _can_mount() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as kept:
        attempt = "import sys; from lacking.kernel import empty_proc; empty_proc(sys.argv[1])"
        command = [sys.executable, "-c", attempt, kept]
        environment = {**os.environ, "PYTHONPATH": str(BOOTSTRAP)}
        return subprocess.run(command, env=environment, capture_output=True).returncode == 0


@functools.cache
def refusing_library() -> str:
    """Build ``refuse.c``, once in each test process."""
    directory = tempfile.mkdtemp(prefix="coshelf-refuse-")
    built = os.path.join(directory, "refuse.so")
    command = [
        "gcc",
        "-O1",
        "-shared",
        "-fPIC",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        built,
        str(HERE / "refuse.c"),
        "-ldl",
    ]
    subprocess.run(command, check=True, timeout=120)
    return built


def start(names: str, place: Path, *arguments: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Prepare an environment in a directory. Return the command that runs Python with these arguments there."""
    wanted = lacking(names)
    variables = {LACKING: names, NOTES: str(place / "refused"), UNDER: str(place / "files")}
    for directory in ("files", "proc"):
        (place / directory).mkdir(exist_ok=True)
    variables["TMPDIR"] = str(place / "files")
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(BOOTSTRAP), environment.get("PYTHONPATH", "")]))
    if wanted.home:
        variables[wanted.home] = str(place / "files")
    if wanted.without_proc:
        variables[PROC] = str(place / "proc")
    if wanted.library:
        variables |= {REFUSE: ",".join(wanted.library), PRELOADED: refusing_library()}
    set_variables = [f"{name}={value}" for name, value in variables.items()]
    return ["env", *set_variables, sys.executable, str(_LAUNCH), sys.executable, *arguments]


def pytest_in(names: str, place: Path, arguments: Sequence[str], timeout: float) -> Outcome:
    """Run tests where these facilities or profiles are lacking."""
    results = place / "outcomes.json"
    command = start(names, place, "-m", "pytest", *_OPTIONS, *arguments)
    command[1:1] = [f"{OUTCOMES}={results}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"]
    try:
        run = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        code, said = run.returncode, run.stdout
    except subprocess.TimeoutExpired as late:
        code, said = -1, f"ended after {timeout:g} s:\n{(late.stdout or b'').decode('utf-8', 'replace')}"
    notes = place / "refused"
    return Outcome(
        code,
        said,
        json.loads(results.read_text("utf-8")) if results.exists() else {},
        frozenset(notes.read_text("utf-8").splitlines()) if notes.exists() else frozenset(),
    )


def main() -> int:
    names, *arguments = sys.argv[1:]
    against = reason_against(names)
    if against:
        print(f"cannot be made here: {against}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        code = subprocess.run(start(names, Path(place), *arguments)).returncode
        notes = Path(place) / "refused"
        if notes.exists():
            print("refused:", ", ".join(sorted(set(notes.read_text("utf-8").splitlines()))), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
