"""What importing coshelf costs, and what it gives."""

from __future__ import annotations

import os
import pydoc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from unit_support import SOURCE

import coshelf
from coshelf import transfer


def test_import_is_cheap() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import coshelf"],
        env=os.environ | {"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "coshelf" in imported
    dear = set("asyncio importlib.metadata numpy lmdb ctypes email logging sqlite3 hashlib random".split())
    assert imported & dear == set()
    assert not any(name.startswith("coshelf.engines.lmdb") for name in imported)


def test_opening_memory_does_not_import_lmdb() -> None:
    code = "import coshelf, sys; coshelf.open('memory:')['a'] = 1; assert 'lmdb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": SOURCE}, check=True)


def test_every_error_is_exported() -> None:
    found = [value for value in vars(coshelf.errors).values() if isinstance(value, type)]
    errors = [error for error in found if error.__module__ == "coshelf.errors"]
    assert len(errors) > 25
    for error in errors:
        assert issubclass(error, coshelf.CoshelfError)
        assert getattr(coshelf, error.__name__) is error


def test_help_is_a_page() -> None:
    page = pydoc.plain(pydoc.render_doc(coshelf))
    assert 40 < len(page.splitlines()) < 100
    assert 'coshelf.open("recipes.shelf")' in page


def test_what_help_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (coshelf.__doc__ or "").partition("\n\n")[2].partition("\n\n")[0]
    assert len(lines.splitlines()) > 12
    exec(textwrap.dedent(lines), {"coshelf": coshelf})
    with coshelf.open("recipes.shelf") as shelf:
        assert shelf["hello"] == [15, 16]


def test_looking_at_a_shelf_from_the_shell_does_not_import_the_sources_of_others() -> None:
    code = "import coshelf.cli.get_command, sys; assert 'coshelf.transfer.importing' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": SOURCE}, check=True)


def test_names_of_transfer_are_there_though_imported_late() -> None:
    for name in transfer.__all__:
        assert getattr(transfer, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'import_nothing'"):
        _ = transfer.import_nothing
