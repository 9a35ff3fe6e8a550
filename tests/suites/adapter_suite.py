"""A framework's own test suite with our adapter: what it is, which there are, and a run of it."""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counting import Counts, count_unittest, counted, failure
from sdists import ROOT, Unavailable, fetch, unpack

__all__ = ["ADAPTERS", "Suite", "count_unittest", "run", "suites"]

ADAPTERS = Path(__file__).resolve().parent / "adapters"
_PATIENCE = 1500  # seconds


@dataclass(frozen=True)
class Suite:
    """A framework's own tests, with our adapter. ``tests/suites/adapters/ENTRY.py`` has one by the name ``SUITE``."""

    name: str
    """The page that tells of it: ``docs/integrations/NAME.md``. Several suites may be on one page."""
    distribution: str
    """Its name on PyPI. The version that is installed is the one that is tested."""
    label: str
    """What the page calls the suite, in Markdown: such as ``its `BaseCacheTests` ``."""
    tests: tuple[str, ...] = ()
    """What pytest is given: files, directories, names of tests."""
    unpacked: tuple[str, ...] = ()
    """What is taken from the source distribution: files, and directories with a slash at their end. Empty: nothing,
    because an installed package has the suite, and ``overlay`` imports it."""
    overlay: tuple[str, ...] = ()
    """Files of ours in ``tests/suites/adapters/ENTRY/``, which are copied over what is unpacked: a conftest, a module
    of tests that gives the suite our adapter. A pattern may stand for several (``tests/*.py``)."""
    options: tuple[str, ...] = ()
    """Options of pytest. Its settings file is empty, unless they have ``-c FILE``. Plugins that are off in our tests
    are off, unless they have ``-p NAME``."""
    deselected: tuple[str, ...] = ()
    """Tests that demand what no backend of a third party can have: names as pytest writes them."""
    why: str = ""
    """What they demand. If ``overlay`` leaves tests out instead, how many, and what these demand."""
    command: tuple[str, ...] = ()
    """What Python runs instead of pytest, in the directory of the copy, such as ``("tests/runtests.py", "cache")``."""
    count: Callable[[str], Counts] = count_unittest
    """Reads the numbers from what ``command`` prints."""
    environment: tuple[tuple[str, str], ...] = ()
    """Further environment variables. A value may contain ``{place}``, the directory of the copy."""
    folder: str = ""
    """The directory in ``tests/suites/adapters`` that has the files of ``overlay``. Empty: that of the entry's name."""
    python: str = ""
    """The version of the Python that runs it, such as "3.12", in the environment of tests/other_interpreters.py. Empty:
    this one."""
    beside: tuple[str, ...] = ()
    """Packages with their versions that are installed for this suite alone, in a folder of their own, and without what
    they require: because they do not fit the versions of our environment."""
    long: bool = True
    """False: `make test` runs it, too. It must take less than 5 s."""

    @property
    def version(self) -> str:
        """The version that is installed.

        Raises:
            Unavailable: none is installed.
        """
        try:
            if not self.python:
                return importlib.metadata.version(self.distribution)
            ask = f"from importlib.metadata import version; print(version({self.distribution!r}))"
            return subprocess.check_output([self.interpreter, "-c", ask], text=True).strip()
        except (importlib.metadata.PackageNotFoundError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"{self.distribution} is not installed") from error

    @property
    def interpreter(self) -> str:
        """The interpreter that runs it. Its environment is made if it is missing.

        Raises:
            Unavailable: this machine does not have that Python.
        """
        if not self.python:
            return sys.executable
        others = _module(ROOT / "tests" / "other_interpreters.py")
        found = others.find(self.python)
        if found is None:
            raise Unavailable(f"Python {self.python} is not on this machine")
        kept = ROOT / ".venv-suites"
        kept.mkdir(exist_ok=True)
        with open(kept / f"{self.python}.lock", "a") as lock:  # several tests may want it at once
            fcntl.flock(lock, fcntl.LOCK_EX)
            return str(others.prepare(found, self.python))

    @property
    def folder_beside(self) -> Path | None:
        """The folder of the packages ``beside``, which is made if it is missing.

        Raises:
            Unavailable: the package index does not give them.
        """
        if not self.beside:
            return None
        folder = ROOT / ".venv-suites" / f"beside-{self.name}"
        folder.parent.mkdir(exist_ok=True)
        with open(f"{folder}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ready, wanted = folder / "ready", "\n".join(self.beside)
            if not ready.exists() or ready.read_text() != wanted:
                shutil.rmtree(folder, ignore_errors=True)
                command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
                done = subprocess.run([*command, *self.beside], capture_output=True, text=True, check=False)
                if done.returncode:
                    raise Unavailable(f"{self.name}: {done.stderr.strip()[-500:]}")
                ready.write_text(wanted)
        return folder


def suites() -> dict[str, Suite]:
    """The suites by the names of their entries."""
    return {path.stem: _loaded(path) for path in sorted(ADAPTERS.glob("*.py"))}


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"suites_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _loaded(path: Path) -> Suite:
    found: Suite = _module(path).SUITE
    if found.deselected and not found.why:
        raise ValueError(f"{path}: `why` must say what the tests demand that are left out")
    return found


def run(entry: str, suite: Suite) -> Counts:
    """Run a suite in a temporary copy, in a process of its own.

    Raises:
        Unavailable: the framework is not installed, or its source distribution cannot be had.
    """
    version = suite.version
    with tempfile.TemporaryDirectory(prefix="coshelf-suites-") as copied:
        place, home = Path(copied) / "place", Path(copied) / "home"
        place.mkdir()
        home.mkdir()
        if suite.unpacked:
            unpack(fetch(suite.distribution, version), suite.unpacked, place)
        _lay_over(ADAPTERS / (suite.folder or entry), suite.overlay, place)
        report = Path(copied) / "report.xml"
        command = [suite.interpreter, *(suite.command or _pytest(suite, place, report))]
        try:
            done = subprocess.run(
                command,
                cwd=place,
                env=_environment(suite, place, home),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return failure(f"{entry}: no end within {_PATIENCE} s")
        output = done.stdout + done.stderr
        if not suite.command and not report.exists():
            return failure(f"{entry}: pytest exits with {done.returncode}", output)
        counts = suite.count(output) if suite.command else counted(report, output)
        if done.returncode and not counts.failed:
            return failure(f"{entry}: the run exits with {done.returncode}, though no test failed", output)
        return counts


def _lay_over(source: Path, patterns: tuple[str, ...], place: Path) -> None:
    for pattern in patterns:
        found = [path for path in sorted(source.glob(pattern)) if path.is_file()]
        if not found:
            raise ValueError(f"{source} has no {pattern}")
        for path in found:
            target = place / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _pytest(suite: Suite, place: Path, report: Path) -> list[str]:
    left_out = [option for name in suite.deselected for option in ("--deselect", name)]
    return [
        *("-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(place), "--confcutdir", str(place)),
        *_without_plugins(),
        *("-p", "no:cacheprovider", "--tb", "short", "--junitxml", str(report)),
        *(*suite.options, *left_out, *suite.tests),
    ]


def _without_plugins() -> list[str]:
    """The options by which our own tests go without plugins that frameworks bring."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    return [option for name in settings["addopts"] if name.startswith("no:") for option in ("-p", name)]


def _environment(suite: Suite, place: Path, home: Path) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONWARN"))}
    own = {name: value.format(place=place) for name, value in suite.environment}
    beside = suite.folder_beside
    path = os.pathsep.join((str(ROOT / "src"), str(place), *([str(beside)] if beside else ())))
    return inherited | {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": path} | own
