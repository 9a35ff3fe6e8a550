"""Runs tests in a program's environment, with our module or with the original under the name that it imports."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from counting import Counts, counted, failure
from environments import Environment
from sdists import ROOT

__all__ = ["run_tests"]

_SCRIPTS = Path(__file__).resolve().parent / "scripts"
_PATIENCE = 1200  # seconds
_LIKE_ANY_USER = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
"""Runs a program of root for which the permissions of files hold."""


def run_tests(environment: Environment, place: Path, tests: tuple[str, ...], *options: str, original: bool) -> Counts:
    """Run tests of a program, with its environment, in the directory ``place``."""
    program = environment.program
    name = program.replaced
    path = [str(_SCRIPTS), str(place)]
    if not original:
        path = [str(_SCRIPTS / "doors" / name), str(ROOT / "src"), *path]
    with tempfile.TemporaryDirectory(prefix="coshelf-suites-") as home:
        report = Path(home) / "report.xml"
        settings = {
            "HOME": home,
            "TMPDIR": home,
            "PATH": f"{environment.python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONSAFEPATH": "1",  # the working directory must not be found first
            "SUITES_NAME": name,
            "SUITES_EXPECTED": name if original else f"coshelf.{name}",
        }
        command = [
            *(_LIKE_ANY_USER if program.obeys_permissions and os.geteuid() == 0 else ()),
            *(str(environment.python), "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(place)),
            *("--confcutdir", str(place), "-p", "which_module", "-p", "no:cacheprovider"),
            *("--tb", "short", "--junitxml", str(report), *options, *tests),
        ]
        try:
            done = subprocess.run(
                command,
                cwd=place,
                env=os.environ | dict(program.environment) | settings,
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return failure(f"{program.name}: no end within {_PATIENCE} s")
        output = done.stdout + done.stderr
        if not report.exists():
            return failure(f"{program.name}: pytest exits with {done.returncode}", output)
        return counted(report, output)
