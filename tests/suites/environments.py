"""An environment for each program, and what is taken from its source distribution."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from roster import Program
from sdists import ROOT, Unavailable, fetch, unpack

__all__ = ["Environment"]

_PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Environment:
    """The environment of a program, in ``.venv-suites/NAME``. It has everything that coshelf needs, but not coshelf."""

    program: Program

    @property
    def place(self) -> Path:
        return ROOT / ".venv-suites" / self.program.name

    @property
    def python(self) -> Path:
        return self.place / "bin" / "python"

    @property
    def source(self) -> Path:
        """The directory of what was unpacked."""
        return self.place / "source"

    def make(self) -> None:
        """Install what the program needs, unless that was done with the same requirements."""
        requirements = self._requirements()
        ready, wanted = self.place / "ready", "\n".join((*requirements, *self.program.unpacked, sys.version))
        if ready.exists() and ready.read_text() == wanted:
            return
        ready.unlink(missing_ok=True)
        shutil.rmtree(self.source, ignore_errors=True)
        self._run(sys.executable, "-m", "venv", str(self.place))
        self._run(str(self.python), *_PIP, "install", "--no-compile", *requirements)
        self.source.mkdir()
        if self.program.unpacked:
            unpack(fetch(self.program.name, self.program.version), self.program.unpacked, self.source)
        ready.write_text(wanted)

    def _requirements(self) -> tuple[str, ...]:
        program = self.program
        ours: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        return (*(program.requirements or (f"{program.name}=={program.version}",)), program.original, *ours, "pytest")

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"{self.program.name}: {' '.join(command[1:6])} …: {done.stderr.strip()[-500:]}")
