"""Source distributions: fetched once by pip, kept beside the environments, and unpacked where they are needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["ROOT", "Unavailable", "fetch", "needed", "unpack"]

ROOT = Path(__file__).resolve().parent.parent.parent
_KEPT = ROOT / ".venv-suites" / "sdists"
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
_PATIENCE = 300  # seconds


class Unavailable(Exception):
    """A package index does not give what is needed, or a distribution is not installed."""


def fetch(name: str, version: str) -> Path:
    """The archive of a source distribution. Processes may ask for the same one at once: it appears whole.

    Raises:
        Unavailable: the package index does not give it.
    """
    archive = _KEPT / f"{name}-{version}.tar.gz"
    if archive.exists():
        return archive
    _KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=_KEPT) as place:
        where = ("--no-deps", "--no-binary", name, "--dest", place)
        command = [*_PIP, "download", *where, f"{name}=={version}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{name} {version}: no source distribution within {_PATIENCE} s") from error
        found = list(Path(place).glob("*.tar.gz"))
        if done.returncode or len(found) != 1:
            raise Unavailable(f"{name} {version}: no source distribution: {done.stderr.strip()[-500:]}")
        found[0].rename(archive)
    return archive


@contextlib.contextmanager
def needed() -> Iterator[None]:
    """Skip the test if the body raises :class:`Unavailable`. CI must have all: there the test fails."""
    try:
        yield
    except Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def unpack(archive: Path, names: tuple[str, ...], place: Path) -> None:
    """Unpack files, and directories with a slash at their end, without the archive's first directory.

    Raises:
        ValueError: the archive has nothing of a name.
    """
    found = set()
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            _, _, member.name = member.name.partition("/")
            wanted = [
                name for name in names if member.name == name or (name[-1:] == "/" and member.name.startswith(name))
            ]
            if wanted:
                opened.extract(member, place, filter="data")
                found.update(wanted)
    absent = [name for name in names if name not in found]
    if absent:
        raise ValueError(f"{archive.name} has no {', '.join(absent)}")
