"""Which shelves load any object, and which plain data alone: docs/trust.md."""

from __future__ import annotations

import datetime as dt
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.errors import ShelfPermissionError, UntrustedValue
from coshelf.trust.granting import revoke, trust_shelf
from starting import as_user

SCRIPTS = Path(__file__).parent / "scripts" / "trust_levels"

SOURCE = str(Path(coshelf.__file__).parents[1])


class Mine:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mine)

    __hash__ = None  # type: ignore[assignment]


class Trap:
    def __init__(self, alarm: Path) -> None:
        self.alarm = str(alarm)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.alarm,)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("COSHELF_SECRET_FILE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def alarm(tmp_path: Path) -> Path:
    """What appears when a trap is unpickled."""
    return tmp_path / "unpickled"


@pytest.fixture(params=["{}/a.shelf", "files:{}/a"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "place").mkdir()
    return request.param.format(tmp_path / "place")


def path_of(target: str) -> Path:
    return Path(target.removeprefix("files:"))


def copy(target: str) -> str:
    """A copy of a closed shelf, on which no mark can be."""
    path = path_of(target)
    other = path.with_name(f"copy-{path.name}")
    (shutil.copytree if path.is_dir() else shutil.copy)(path, other)
    return target.replace(str(path), str(other))


def test_own_shelf_loads_any_object(target: str) -> None:
    for _ in range(2):
        with coshelf.open(target) as shelf:
            shelf["mine"] = Mine()
            assert shelf["mine"] == Mine()
            assert dict(shelf) == {"mine": Mine()}


def test_copy_loads_plain_data_and_runs_nothing(target: str, alarm: Path) -> None:
    with coshelf.open(target) as shelf:
        shelf.update({"data": [1, {"x": None}], "trap": Trap(alarm)})
    with coshelf.open(copy(target)) as shelf:
        assert shelf["data"] == [1, {"x": None}]
        assert "trap" in shelf
        assert list(shelf) == ["data", "trap"]
        reads: list[Callable[[], object]] = [
            *(lambda: shelf["trap"], lambda: shelf.get("trap"), lambda: dict(shelf), lambda: shelf.pop("trap")),
            *(lambda: shelf.get_many(["trap"]), lambda: list(shelf.values()), lambda: shelf.wait("trap")),
            *(lambda: shelf.modify("trap", print), lambda: shelf.setdefault("trap", 1), shelf.popitem),
            *(lambda: shelf.replace("trap", 1, 2), shelf.copy, lambda: shelf == {"trap": 1}),
        ]
        for read in reads:
            with pytest.raises(
                UntrustedValue, match=r"(?s)posix\.mkdir.*(was not made by this user|is a copy of).*coshelf trust"
            ):
                read()
        repr(shelf)
        with pytest.raises(coshelf.UnwritableValue, match=r"would not be read again.*Mine"):
            shelf["mine"] = Mine()
        with pytest.raises(coshelf.UnwritableValue, match="would not be read again"):
            shelf.update(first=1, second=Mine())
        assert "first" not in shelf
        assert "mine" not in shelf
        shelf["also data"] = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        del shelf["trap"]
    assert not alarm.exists()


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_storing_is_free_for_a_program_that_asks_for_plain_data(target: str, protocol: int) -> None:
    coshelf.open(target).close()
    other = copy(target)
    with coshelf.open(other, protocol=protocol) as shelf:
        with pytest.raises(coshelf.UnwritableValue, match="would not be read again"):
            shelf["mine"] = Mine()
        shelf["text"] = "a \x93 that names nothing"
    with coshelf.open(other, trust=False, protocol=protocol) as shelf:
        shelf["mine"] = Mine()
    with coshelf.open(other, trust=True) as shelf:
        assert shelf["mine"] == Mine()
    with coshelf.open(other, allow=[Mine], protocol=protocol) as shelf:
        shelf["another"] = Mine()
        assert shelf["another"] == Mine()


def test_error_names_key_class_and_the_ways_on(target: str) -> None:
    with coshelf.open(target) as shelf:
        shelf["k"] = Mine()
    other = copy(target)
    with coshelf.open(other) as shelf, pytest.raises(UntrustedValue) as caught:
        shelf["k"]
    assert caught.value.key == "k"
    assert caught.value.name.endswith("test_trust_levels.Mine")
    for word in ("'k'", "Mine", f"python -m coshelf trust {path_of(other)}", "trust=True", "allow=["):
        assert word in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_trust_and_allow_say_otherwise(target: str) -> None:
    with coshelf.open(target) as shelf:
        shelf["k"] = Mine()
    other = copy(target)
    with coshelf.open(other, trust=True) as shelf:
        assert shelf["k"] == Mine()
    with coshelf.open(other, allow=[Mine]) as shelf:
        assert shelf["k"] == Mine()
    with coshelf.open(target, trust=False) as shelf, pytest.raises(UntrustedValue, match="trust=False was given"):
        shelf["k"]


@pytest.mark.parametrize("wrong", [{"trust": "yes"}, {"trust": 5}, {"allow": ["Mine"]}, {"allow": 5}])
def test_wrong_arguments_are_refused_before_anything_is_made(target: str, wrong: Any) -> None:
    with pytest.raises(TypeError):
        coshelf.open(target, **wrong)
    assert not path_of(target).exists()


def test_command_trusts_a_copy_until_it_is_revoked(target: str) -> None:
    with coshelf.open(target) as shelf:
        shelf["k"] = Mine()
    other = copy(target)
    blocked = "import sys; sys.modules['click'] = None; sys.argv[0] = 'coshelf'; from coshelf.cli import main; main()"
    command = [sys.executable, "-c", blocked, "trust", str(path_of(other))]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": SOURCE}, check=True)
    with coshelf.open(other) as shelf:
        assert shelf["k"] == Mine()
    assert revoke(str(path_of(other)))
    assert not revoke(str(path_of(other)))
    with coshelf.open(other) as shelf, pytest.raises(UntrustedValue):
        shelf["k"]


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o660])
def test_what_others_can_write_is_not_trusted(target: str, mode: int) -> None:
    with coshelf.open(target) as shelf:
        shelf["k"] = Mine()
    path = path_of(target)
    path.chmod(mode | 0o111 if path.is_dir() else mode)
    os.chown(path, -1, foreign_group())
    with coshelf.open(target) as shelf, pytest.raises(UntrustedValue, match="can write"):
        shelf["k"]
    with pytest.raises(ShelfPermissionError, match="can write"):
        trust_shelf(str(path))
    path.chmod(0o700 if path.is_dir() else 0o600)
    with coshelf.open(target) as shelf:
        assert shelf["k"] == Mine()


def foreign_group() -> int:
    """A group that is not this user's alone."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to a group")
    return 12345


def test_file_in_a_directory_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    with coshelf.open(tmp_path / "place/a.shelf") as shelf:
        shelf["k"] = Mine()
    (tmp_path / "place").chmod(0o777)
    with coshelf.open(tmp_path / "place/a.shelf") as shelf, pytest.raises(UntrustedValue, match="everybody can write"):
        shelf["k"]
    (tmp_path / "place").chmod(0o1777)  # as /tmp: others cannot take its place
    with coshelf.open(tmp_path / "place/a.shelf") as shelf:
        assert shelf["k"] == Mine()


def test_sidecar_of_somebody_else_is_noticed_in_a_sticky_directory(tmp_path: Path) -> None:
    foreign_group()
    (tmp_path / "place").mkdir()
    (tmp_path / "place").chmod(0o1777)
    with coshelf.open(tmp_path / "place/a.shelf") as shelf:
        shelf["k"] = Mine()
        os.chown(tmp_path / "place/.a.shelf.coshelf/delta", 65534, 65534)
        with coshelf.open(tmp_path / "place/a.shelf") as other, pytest.raises(UntrustedValue, match="belongs to"):
            other["k"]


def test_private_group_and_umask_of_002_are_no_exposure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import grp
    import pwd

    user = pwd.getpwuid(os.geteuid())
    group = grp.struct_group((user.pw_name, "x", user.pw_gid, []))
    monkeypatch.setattr(grp, "getgrgid", lambda number: group)
    (tmp_path / "place").mkdir()
    (tmp_path / "place").chmod(0o775)
    with coshelf.open(tmp_path / "place/a.shelf", mode=0o664) as shelf:
        shelf["k"] = Mine()
    with coshelf.open(tmp_path / "place/a.shelf") as shelf:
        assert shelf["k"] == Mine()


def test_pickled_shelf_is_trusted_as_it_was(target: str) -> None:
    with coshelf.open(target) as shelf:
        shelf["k"] = Mine()
    other = copy(target)
    for options in ({"trust": True}, {"allow": [Mine]}):
        with coshelf.open(other, **options) as shelf:  # type: ignore[arg-type]
            again = pickle.loads(pickle.dumps(shelf))
            assert again["k"] == Mine()
            again.close()
    with coshelf.open(target) as shelf:
        again = pickle.loads(pickle.dumps(shelf))
        assert again["k"] == Mine()
        again.close()
    with coshelf.open(target, trust=False) as shelf:
        again = pickle.loads(pickle.dumps(shelf))
        with pytest.raises(UntrustedValue):
            again["k"]
        again.close()


def test_mapping_is_plain_data_and_memory_is_not(alarm: Path) -> None:
    mapping: dict[bytes, bytes] = {}
    with coshelf.open(mapping, trust=False) as shelf:
        shelf.update({"trap": Trap(alarm), "data": 1})
    with coshelf.open(mapping) as shelf:
        assert shelf["data"] == 1
        with pytest.raises(UntrustedValue):
            shelf["trap"]
    assert not alarm.exists()
    with coshelf.open("memory:") as shelf:
        shelf["k"] = Mine()
        assert shelf["k"] == Mine()


def test_container_without_a_home_has_a_secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(os.urandom(32))
    monkeypatch.setenv("COSHELF_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("XDG_STATE_HOME", "/nonexistent")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["k"] = Mine()
    shutil.copy(tmp_path / "a.shelf", tmp_path / "volume.shelf")  # another container has another inode for it
    with coshelf.open(tmp_path / "volume.shelf") as shelf:
        assert shelf["k"] == Mine()
    (tmp_path / "secret").write_bytes(os.urandom(32))
    with coshelf.open(tmp_path / "volume.shelf") as shelf, pytest.raises(UntrustedValue):
        shelf["k"]


_AS_ANOTHER = SCRIPTS / "second_user.py"


@pytest.mark.parametrize("kind", ["", "files:"])
def test_second_user_reads_plain_data(kind: str) -> None:
    foreign_group()
    with tempfile.TemporaryDirectory() as place:  # pytest's own nobody else can enter
        Path(place).chmod(0o755)
        with coshelf.open(f"{kind}{place}/a", mode=0o644) as shelf:
            shelf.update({"data": 1, "k": Mine()})
        command = [sys.executable, *as_user(65534, _AS_ANOTHER), f"{kind}{place}/a"]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True)
    assert done.stdout == "plain data\n", done.stderr


_SUDO = SCRIPTS / "sudo.py"


def test_sudo_once_leaves_the_state_of_the_user_alone(tmp_path: Path) -> None:
    foreign_group()
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    environment = {key: value for key, value in os.environ.items() if key != "XDG_STATE_HOME"}
    environment |= {"HOME": str(home), "PYTHONPATH": SOURCE}
    roots = tmp_path / "root"
    roots.mkdir()
    command = [sys.executable, _SUDO, str(tmp_path / "a.shelf"), str(roots)]
    subprocess.run(command, env=environment, check=True)
    assert list(home.iterdir()) == []
    assert (roots / ".local/state/coshelf/secret").exists()


def test_cron_without_xdg_finds_what_was_marked_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["k"] = Mine()
    assert (tmp_path / ".local/state/coshelf/secret").exists()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert shelf["k"] == Mine()


def test_planted_pickle_does_not_run_where_others_can_write(target: str, alarm: Path) -> None:
    """The proof of concept of CVE-2025-69872: a pickle that somebody puts where the values lie."""
    with coshelf.open(target) as shelf:
        shelf["session"] = {"user": 1}
    path = path_of(target)
    path.chmod(0o777 if path.is_dir() else 0o666)
    if path.is_dir():
        (path / "session").write_bytes(pickle.dumps(Trap(alarm)))
    else:
        with coshelf.open(target, trust=False) as shelf:  # whoever can write the file can write a record
            shelf["session"] = Trap(alarm)
    with coshelf.open(target) as shelf, pytest.raises(UntrustedValue):
        shelf["session"]
    assert not alarm.exists()
