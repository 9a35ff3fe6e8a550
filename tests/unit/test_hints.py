"""Hints say what is so, and what works where the shelf lies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from unit_support import SOURCE

import coshelf
from coshelf.cli.wording import in_options
from coshelf.engines import _BUILT_IN
from coshelf.engines.redis.address import parse
from coshelf.trust.granting import trust_shelf
from starting import Program, words_of

SCRIPTS = Path(__file__).parent / "scripts" / "hints"


class Mine:
    """More than plain data."""


def run(program: Program, place: Path, *arguments: str, code_expected: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *words_of(program), *arguments],
        cwd=place,
        env=os.environ | {"PYTHONPATH": SOURCE} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code_expected, done.stderr
    return done.stdout + done.stderr


# --- classes of scripts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 5])
def test_class_of_a_script_is_said_to_be_one_and_the_way_on_works(protocol: int, tmp_path: Path) -> None:
    run(SCRIPTS / "stores_its_own_class.py", tmp_path, str(protocol))
    with coshelf.open(tmp_path / "a.shelf", trust=True) as shelf, pytest.raises(coshelf.UnreadableValue) as caught:
        shelf["k"]
    said = str(caught.value)
    assert "defined in a script or notebook" in said and "renamed or removed" not in said
    (tmp_path / "users.py").write_text("class User:\n    name = 'ann'\n")
    (advice,) = [line.partition(": ")[2] for line in said.splitlines() if "to read what is stored" in line]
    assert advice == "import __main__, MODULE; __main__.User = MODULE.User"
    read = f"""
        {advice.replace("MODULE", "users")}
        import coshelf
        with coshelf.open("a.shelf", trust=True) as shelf:
            user = shelf["k"]
            print(user.name)
    """
    assert run(textwrap.dedent(read), tmp_path, PYTHONPATH=f"{SOURCE}{os.pathsep}{tmp_path}") == "ann\n"


def test_class_that_is_gone_is_still_said_to_be_gone(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text("class User: pass\n")
    with_users = {"PYTHONPATH": f"{SOURCE}{os.pathsep}{tmp_path}"}
    run("import coshelf, users\nwith coshelf.open('a.shelf') as s: s['k'] = users.User()", tmp_path, **with_users)
    with coshelf.open(tmp_path / "a.shelf", trust=True) as shelf, pytest.raises(coshelf.UnreadableValue) as caught:
        shelf["k"]
    assert "renamed or removed" in str(caught.value)


# --- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["", "sqlite:"])
def test_copy_is_said_to_be_a_copy_and_can_be_trusted_as_told(scheme: str, tmp_path: Path) -> None:
    with coshelf.open(f"{scheme}{tmp_path}/a.shelf") as shelf:
        shelf["k"] = Mine()
    shutil.copy(tmp_path / "a.shelf", tmp_path / "b.shelf")
    copy = f"{scheme}{tmp_path}/b.shelf"
    with coshelf.open(copy) as shelf, pytest.raises(coshelf.UntrustedValue) as caught:
        shelf["k"]
    assert f"{tmp_path}/b.shelf is a copy of {tmp_path}/a.shelf" in str(caught.value)
    assert f"python -m coshelf trust {copy}\n" in str(caught.value)
    trust_shelf(copy)
    with coshelf.open(copy) as shelf:
        assert isinstance(shelf["k"], Mine)


def test_copy_whose_original_is_gone_is_not_said_to_be_a_strangers(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["k"] = Mine()
    shutil.copy(tmp_path / "a.shelf", tmp_path / "b.shelf")
    (tmp_path / "a.shelf").unlink()
    with coshelf.open(tmp_path / "b.shelf") as shelf, pytest.raises(coshelf.UntrustedValue, match="or was copied"):
        shelf["k"]


@pytest.mark.parametrize("what", ["trust=False", "others can write it", "no place for the mark"])
def test_only_what_works_is_offered(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["k"] = Mine()
    shutil.copy(tmp_path / "a.shelf", tmp_path / "b.shelf")
    if what == "others can write it":
        (tmp_path / "b.shelf").chmod(0o666)
    if what == "no place for the mark":
        monkeypatch.setattr("coshelf.trust.marks._state_directories", list)
    trust = False if what == "trust=False" else None
    flag = "r" if what == "no place for the mark" else "c"  # opening it to write is a warning then
    with (
        coshelf.open(tmp_path / "b.shelf", flag, trust=trust) as shelf,
        pytest.raises(coshelf.UntrustedValue) as caught,
    ):
        shelf["k"]
    assert "coshelf trust" not in str(caught.value)
    assert "open it with trust=True" in str(caught.value)
    assert "trust=" not in in_options(str(caught.value))


# --- names of places -------------------------------------------------------------------------------------------------


def test_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    for target in (
        "~/a.shelf",
        Path("~/b.shelf"),
        "lmdb:~/c.shelf",
        "sqlite:~/d.db",
        "files:~/e",
        "~/f/",
        b"~/g.shelf",
    ):
        with coshelf.open(target) as shelf:
            shelf["k"] = 1
    assert {path.name for path in tmp_path.iterdir()} >= {"a.shelf", "b.shelf", "c.shelf", "d.db", "e", "f", "g.shelf"}
    assert coshelf.check("~/a.shelf").ok
    with coshelf.open("~/a.shelf") as shelf:
        assert shelf.backup("~/h.shelf") == 1
    assert coshelf.transfer.import_entries("~/a.shelf", "~/i.shelf").done == 1
    assert coshelf.transfer.export_entries("~/a.shelf", "~/j.jsonl").done == 1
    assert (tmp_path / "i.shelf").exists() and (tmp_path / "j.jsonl").exists()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    coshelf.open("./~/a.shelf").close()
    assert (tmp_path / "~/a.shelf").exists()


@pytest.mark.parametrize("end", ["://host/0/name", "s://host/0", "+cluster://host/name", "s+sentinel://host/service"])
def test_valkey_is_redis(end: str) -> None:
    ours, theirs = parse(f"valkey{end}"), parse(f"redis{end.replace('s', 's', 1)}")
    assert (ours.kind, ours.hosts, ours.name, ours.settings) == (
        theirs.kind,
        theirs.hosts,
        theirs.name,
        theirs.settings,
    )
    assert ours.where.startswith("valkey")
    assert f"valkey{end}".partition(":")[0] in _BUILT_IN


def test_modules_are_there_after_the_import() -> None:
    assert run(SCRIPTS / "modules_after_the_import.py", Path("/")) == "module 'coshelf' has no attribute 'nothing'\n"


def test_lmdb_that_cannot_be_imported_is_told_and_sqlite_works(tmp_path: Path) -> None:
    # As in a subinterpreter, where lmdb refuses to be loaded.
    (tmp_path / "lmdb.py").write_text(
        "raise ImportError('module lmdb.cpython does not support loading in subinterpreters')\n"
    )
    said = run(SCRIPTS / "without_lmdb.py", tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{SOURCE}")
    assert said.startswith("the lmdb engine cannot be used in a subinterpreter")
    assert "sqlite:PATH" in said and said.endswith("\n1\n")
