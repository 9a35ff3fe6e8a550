"""The proof of concept of CVE-2025-69872 on every engine: another user puts a pickle where the values lie.

The other user is real, so most of it needs root. The victim opens the shelf as always, without an option.
"""

from __future__ import annotations

import dbm.dumb
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import records
from coshelf.errors import CoshelfError, ShelfPermissionError, UntrustedValue
from coshelf.keys import encode
from starting import as_user

SCRIPTS = Path(__file__).parent / "scripts" / "planted_pickles"

SOURCE = str(Path(coshelf.__file__).parents[1])
OTHER = 65534

VICTIM = SCRIPTS / "victim_of_pickles.py"

REPLACE = SCRIPTS / "replaces_a_value.py"


SHELF_OF_THE_OTHER = SCRIPTS / "shelf_of_the_other.py"


def as_other(program: Path, *arguments: object) -> str:
    """Run a program as the other user."""
    command = [sys.executable, *as_user(OTHER, program), *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": SOURCE}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody can enter and write, as they were made for what many share."""
    if os.geteuid() != 0:
        pytest.skip("another user needs root")
    with tempfile.TemporaryDirectory(prefix="coshelf-shared-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COSHELF_SECRET_FILE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def alarm(place: Path) -> Iterator[Path]:
    """What appears when a trap is unpickled."""
    yield place / "sprung"
    assert not (place / "sprung").exists()


def opened_as_always(target: str) -> list[Any]:
    """What the victim gets of each key; errors of our tree are fine, and nothing else is."""
    found: list[Any] = []
    try:
        with coshelf.open(target) as shelf:
            for key in [*shelf, "session"]:
                try:
                    found.append(shelf[key])
                except (CoshelfError, KeyError) as error:
                    found.append(type(error))
    except CoshelfError as error:
        found.append(type(error))
    return found


def message_of(target: object) -> str:
    """What the victim is told at opening."""
    with pytest.raises(CoshelfError) as caught:
        coshelf.open(target)  # type: ignore[call-overload]
    return str(caught.value)


def trap_for(alarm: Path) -> bytes:
    return b"\x80\x04cos\nmkdir\n" + pickle.dumps(str(alarm), 4)[2:-1] + b"\x85R."


def test_trap_is_one(tmp_path: Path) -> None:
    pickle.loads(trap_for(tmp_path / "sprung"))
    assert (tmp_path / "sprung").exists()


def test_shelf_put_in_the_place_of_the_victims(place: Path, alarm: Path) -> None:
    with coshelf.open(place / "a.shelf") as shelf:
        shelf["session"] = {"user": 1}
    as_other(SHELF_OF_THE_OTHER, place, trap_for(alarm).hex(), "rename")
    assert opened_as_always(str(place / "a.shelf")) == [UntrustedValue, UntrustedValue]


def test_delta_replaced_by_another_user(place: Path, alarm: Path) -> None:
    path = place / "a.shelf"
    assert subprocess.run([sys.executable, VICTIM, path], env=os.environ | {"PYTHONPATH": SOURCE}).returncode == -9
    (place / ".a.shelf.coshelf").chmod(0o777)
    (place / ".a.shelf.coshelf/delta").chmod(0o644)  # so that the other can make one that fits
    as_other(REPLACE, place / ".a.shelf.coshelf/delta", place / "mine", alarm)
    assert opened_as_always(str(path)) == [ShelfPermissionError]
    assert "everybody can write" in message_of(path)


def test_delta_written_over_by_another_user(place: Path, alarm: Path) -> None:
    """The same inode, so that nothing is told by that: whoever can write it is known by its mode alone."""
    path = place / "a.shelf"
    assert subprocess.run([sys.executable, VICTIM, path], env=os.environ | {"PYTHONPATH": SOURCE}).returncode == -9
    (place / ".a.shelf.coshelf").chmod(0o755)
    delta = place / ".a.shelf.coshelf/delta"
    delta.chmod(0o666)
    place.chmod(0o755)
    as_other(REPLACE, delta, delta, alarm)
    before = path.read_bytes()
    assert opened_as_always(str(path)) == [ShelfPermissionError]
    assert f"everybody can write {delta}" in message_of(path)
    assert path.read_bytes() == before
    delta.chmod(0o600)  # the trap lies there now, and is carried into the shelf
    with coshelf.open(path, trust=False) as shelf:
        assert shelf.preview("session").names == ("os.mkdir",)


@pytest.mark.parametrize("sidecar", ["state", "base-lock", "delta", "delta-lock", ""])
def test_sidecars_that_were_there_first(place: Path, alarm: Path, sidecar: str) -> None:
    """In a sticky directory, as /tmp is: the shelf is safe there, and a file beside it can be made by anybody."""
    place.chmod(0o1777)
    path = place / "a.shelf"
    with coshelf.open(path) as shelf:
        shelf["session"] = {"user": 1}
    script = SCRIPTS / "sidecars_first.py"
    as_other(script, place / ".a.shelf.coshelf", sidecar)
    before = picture(place)
    assert opened_as_always(str(path)) == [ShelfPermissionError]
    assert ".a.shelf.coshelf" in message_of(path)
    assert picture(place) == before
    shutil.rmtree(place / ".a.shelf.coshelf")
    assert opened_as_always(str(path)) == [{"user": 1}, {"user": 1}]


@pytest.mark.parametrize("sidecar", ["state", "base-lock", "delta", "delta-lock", ""])
def test_link_in_the_place_of_a_sidecar_harms_no_file_of_the_victims(place: Path, alarm: Path, sidecar: str) -> None:
    path, precious = place / "a.shelf", place / "precious"
    with coshelf.open(path) as shelf:
        shelf["session"] = {"user": 1}
    precious.write_bytes(b"precious" * 10_000)
    precious.chmod(0o600)
    script = SCRIPTS / "links_first.py"
    as_other(script, precious, place / ".a.shelf.coshelf", sidecar)
    assert issubclass(opened_as_always(str(path))[0], CoshelfError)
    assert precious.read_bytes() == b"precious" * 10_000


def picture(directory: Path) -> dict[str, Any]:
    """Everything below a directory but times of access."""
    return {
        str(each): (each.lstat()[:7], each.is_file() and each.read_bytes()) for each in sorted(directory.rglob("*"))
    }


def test_link_to_a_shelf_of_somebody_else(place: Path, alarm: Path) -> None:
    as_other(SHELF_OF_THE_OTHER, place, trap_for(alarm).hex(), "symlink")
    assert opened_as_always(str(place / "a.shelf")) == [UntrustedValue, UntrustedValue]


def test_value_put_into_a_directory_of_the_files_engine(place: Path, alarm: Path) -> None:
    with coshelf.open(f"files:{place}/a") as shelf:
        shelf["session"] = {"user": 1}
        shelf["folder/session"] = {"user": 1}
    (place / "a").chmod(0o777)
    (place / "a/folder").chmod(0o777)
    script = SCRIPTS / "values_of_files.py"
    as_other(script, place / "a", trap_for(alarm).hex())
    assert opened_as_always(f"files:{place}/a") == [UntrustedValue] * 3


def test_value_put_into_a_folder_below_a_private_root(place: Path, alarm: Path) -> None:
    """The root is the victim's alone, and one folder below is not."""
    with coshelf.open(f"files:{place}/a") as shelf:
        shelf["folder/session"] = {"user": 1}
    (place / "a").chmod(0o755)
    (place / "a/folder").chmod(0o777)
    script = SCRIPTS / "value_in_a_folder.py"
    as_other(script, place / "a", trap_for(alarm).hex())
    found = opened_as_always(f"files:{place}/a")
    assert UntrustedValue in found


def test_value_put_into_a_mapping(tmp_path: Path) -> None:
    alarm = tmp_path / "sprung"
    with dbm.dumb.open(str(tmp_path / "db"), "c") as database:
        with coshelf.open(database) as shelf:
            shelf["session"] = {"user": 1}
        body = trap_for(alarm)
        database[encode("session")] = records.seal(body, records.checksum(encode("session"), body), 1)
        with coshelf.open(database) as shelf, pytest.raises(UntrustedValue):
            shelf["session"]
    assert not alarm.exists()


@pytest.mark.parametrize("way", [lambda shelf: shelf["k"], lambda shelf: list(shelf.items()), dict])
def test_no_way_of_reading_runs_what_was_planted(way: Callable[[Any], Any], tmp_path: Path) -> None:
    from coshelf.opening import open_with_codec
    from coshelf.values.front_doors import RAW_PICKLES

    alarm = tmp_path / "sprung"
    with open_with_codec(tmp_path / "a.shelf", "c", RAW_PICKLES) as shelf:
        shelf["k"] = trap_for(alarm)
    (tmp_path / "a.shelf").rename(tmp_path / "moved")
    (tmp_path / "copy.shelf").write_bytes((tmp_path / "moved").read_bytes())
    with coshelf.open(tmp_path / "copy.shelf") as shelf:
        assert "k" in shelf and len(shelf) == 1 and repr(shelf) and shelf._repr_html_()
        with pytest.raises(UntrustedValue):
            way(shelf)
        with shelf.snapshot() as snapshot, pytest.raises(UntrustedValue):
            way(snapshot)
        with pytest.raises(UntrustedValue):
            shelf.modify("k", lambda value: value)
        with pytest.raises(UntrustedValue), shelf.edit("k"):
            pass
        shelf.stats(), shelf.check(), shelf.info(), shelf.preview("k")
        del shelf["k"]
    assert not alarm.exists()
