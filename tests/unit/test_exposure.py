"""Who else can write a shelf, or put something in its place: owners, modes, access control lists, directories above.

The other users are real, so most of it needs root.
"""

from __future__ import annotations

import itertools
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.trust.granting
from coshelf.engines.files import tree
from coshelf.errors import NotAShelf, ShelfPermissionError
from coshelf.trust.exposure import exposure_of
from coshelf.trust.writers import Writers, writers_of
from starting import Program, as_user

SCRIPTS = Path(__file__).parent / "scripts" / "exposure"

SOURCE = str(Path(coshelf.__file__).parents[1])
SECOND, THIRD = 65533, 65532
AFTER_AN_HOUR = 300  # seconds: only what hangs takes as long
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="other users need root")


class Anything:
    """No plain data."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything)

    def __hash__(self) -> int:
        return 0


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can reach, in one as /tmp is."""
    with tempfile.TemporaryDirectory(prefix="coshelf-exposed-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COSHELF_SECRET_FILE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def run(user: int, group: int, program: Program, *arguments: object, groups: tuple[int, ...] = ()) -> str:
    """Run a program as another user."""
    if isinstance(program, str):
        program = "import os, sys, coshelf\n" + textwrap.dedent(program)
    command = [sys.executable, *as_user(user, program, group=group, groups=groups), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": SOURCE, "XDG_STATE_HOME": f"/nonexistent/{user}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=AFTER_AN_HOUR)
    assert done.returncode == 0, done.stderr
    return done.stdout


def acl(*entries: tuple[int, int, int]) -> bytes:
    """As the kernel has it: tag, permissions, user or group."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def letting_write(user: int = 0, group: int = 0) -> bytes:
    """A list that gives one more user or group the right to write."""
    no_one = 0xFFFFFFFF
    named = [(2, 6, user)] if user else [(8, 6, group)]
    inner = sorted([(1, 6, no_one), *named, (4, 4, no_one), (16, 6, no_one), (32, 0, no_one)])
    return acl(*inner)


def set_acl(path: Path, name: str, listed: bytes) -> None:
    try:
        os.setxattr(path, name, listed)
    except OSError as error:
        pytest.skip(f"no access control lists here: {error.strerror}")


TARGETS: dict[str, str] = {"lmdb": "", "sqlite": "sqlite:", "files": "files:"}


def is_trusted(target: str) -> bool:
    with coshelf.open(target) as shelf:
        try:
            return bool(shelf["k"] == Anything())
        except coshelf.UntrustedValue:
            return False


def made(place: Path, engine: str) -> str:
    target = f"{TARGETS[engine]}{place / 'shelf'}"
    with coshelf.open(target) as shelf:
        shelf["k"] = Anything()
    return target


# --- the directories above --------------------------------------------------------------------------------------------


@as_root
@pytest.mark.parametrize("engine", TARGETS)
def test_a_directory_further_up_that_others_can_rename_in_is_noticed(engine: str, place: Path) -> None:
    (place / "outer/middle/inner").mkdir(parents=True)
    target = made(place / "outer/middle/inner", engine)
    assert is_trusted(target)
    for change in (
        lambda: (place / "outer").chmod(0o777),
        lambda: os.chown(place / "outer", SECOND, SECOND),
        lambda: os.chown(place / "outer/middle", SECOND, SECOND),
        lambda: (os.chown(place / "outer", SECOND, SECOND), (place / "outer").chmod(0o1777)),
        lambda: ((place / "outer").chmod(0o1777), os.chown(place / "outer/middle", SECOND, SECOND)),
    ):
        change()
        assert not is_trusted(target)
        for directory in (place / "outer", place / "outer/middle"):
            os.chown(directory, 0, 0)
            directory.chmod(0o755)
        assert is_trusted(target)
    (place / "outer").chmod(0o1777)
    assert is_trusted(target), "in a sticky directory of root's nobody else can exchange what is not theirs"


@as_root
@pytest.mark.parametrize("engine", TARGETS)
def test_directories_exchanged_after_opening_do_not_lend_each_other_trust(engine: str, place: Path) -> None:
    """Trust is that of the file which is open, whatever has its name when trust is decided."""
    for name in ("one", "two"):
        (place / name).mkdir()
    target = made(place / "one", engine)
    other = made(place / "two", engine)
    with coshelf.open(other, trust=True) as opened:
        (place / "two").rename(place / "three")
        (place / "one").rename(place / "two")
        reason = opened._handle.engine.exposure()
        assert reason is not None
        assert "another file" in reason
        (place / "two").rename(place / "one")
        (place / "three").rename(place / "two")
        assert opened._handle.engine.exposure() is None
    assert is_trusted(target)


# --- access control lists and groups ----------------------------------------------------------------------------------


def be_alone_in_the_group(monkeypatch: pytest.MonkeyPatch, number: int, others: list[Any] = []) -> None:  # noqa: B006
    """As where each user has a group of the same name."""
    import grp
    import pwd

    user = pwd.getpwuid(os.geteuid())
    group = grp.struct_group((user.pw_name, "x", number, []))
    ours = pwd.struct_passwd((user.pw_name, "x", user.pw_uid, number, "", "", ""))
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: ours)
    monkeypatch.setattr(pwd, "getpwall", lambda: [ours, *others])


@pytest.mark.parametrize("listed", [letting_write(user=SECOND), letting_write(group=SECOND)], ids=["user", "group"])
@pytest.mark.parametrize("engine", ["lmdb", "sqlite"])
def test_an_access_control_list_that_lets_others_write_is_noticed(
    engine: str, listed: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_alone_in_the_group(monkeypatch, os.getegid())
    target = made(place, engine)
    (place / "shelf").chmod(0o660)
    assert is_trusted(target)
    set_acl(place / "shelf", ACCESS, listed)
    assert not is_trusted(target)
    os.removexattr(place / "shelf", ACCESS)
    (place / "shelf").chmod(0o600)
    assert is_trusted(target)
    set_acl(place, ACCESS, listed)
    assert not is_trusted(target)
    os.removexattr(place, ACCESS)
    set_acl(place, DEFAULT, listed)
    assert not is_trusted(target)


def test_a_right_that_the_mask_takes_back_is_none(place: Path) -> None:
    path = place / "file"
    path.touch(0o600)
    no_one = 0xFFFFFFFF
    set_acl(path, ACCESS, acl((1, 6, no_one), (2, 6, SECOND), (4, 6, no_one), (16, 4, no_one), (32, 0, no_one)))
    assert writers_of(path.stat(), str(path)) == Writers(frozenset({os.getuid()}), frozenset(), False)
    set_acl(path, ACCESS, acl((1, 6, no_one), (2, 6, SECOND), (4, 6, no_one), (16, 6, no_one), (32, 0, no_one)))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        writers = writers_of(path.stat(), descriptor)
    finally:
        os.close(descriptor)
    assert writers == Writers(frozenset({os.getuid(), SECOND}), frozenset({os.getgid()}), False)


def test_a_list_of_nfs_that_names_a_writer_is_noticed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(kind: int, rights: int, name: bytes) -> bytes:
        return struct.pack(">IIII", kind, 0, rights, len(name)) + name + bytes(-len(name) % 4)

    path = place / "file"
    path.touch(0o600)
    own = entry(0, 0x1601FF, b"OWNER@") + entry(0, 0x120089, b"EVERYONE@")
    lists = {b"": own, b"named": own + entry(0, 0x2, b"second@example.org"), b"denied": own + entry(1, 2, b"x@y")}
    for which, expected in ((b"", False), (b"named", True), (b"denied", False)):
        monkeypatch.setattr(
            "coshelf.system.rights.list_attributes._attribute",
            lambda _, name, which=which: struct.pack(">I", 3) + lists[which] if name == "system.nfs4_acl" else None,
        )
        assert (exposure_of(str(path), path.stat()) is not None) == expected


def test_a_group_that_is_the_first_of_another_user_is_not_ones_own(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    target = made(place, "lmdb")
    (place / "shelf").chmod(0o660)
    be_alone_in_the_group(monkeypatch, os.getegid())
    assert is_trusted(target)
    other = pwd.struct_passwd(("other", "x", SECOND, os.getegid(), "", "", ""))
    be_alone_in_the_group(monkeypatch, os.getegid(), [other])
    assert not is_trusted(target)


# --- the mark ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", TARGETS)
def test_a_refused_trust_leaves_no_mark(engine: str, place: Path) -> None:
    target = made(place, engine)
    path = place / "shelf"
    coshelf.trust.granting.revoke(str(path) if engine != "sqlite" else target)
    mode = path.stat().st_mode & 0o777
    path.chmod(mode | 0o022)
    with pytest.raises(ShelfPermissionError, match="cannot be trusted"):
        coshelf.trust.granting.trust_shelf(str(path) if engine != "sqlite" else target)
    path.chmod(mode)
    assert not is_trusted(target)
    coshelf.trust.granting.trust_shelf(str(path) if engine != "sqlite" else target)
    assert is_trusted(target)


# --- what others put beside -------------------------------------------------------------------------------------------

FORGE = SCRIPTS / "forges.py"


@as_root
@pytest.mark.parametrize("flag", ["r", "w", "c"])
@pytest.mark.parametrize("mode", ["600", "644", "666"])
def test_a_delta_that_others_made_is_not_carried_into_the_shelf(mode: str, flag: Any, place: Path) -> None:
    """In a sticky directory, beside a shelf that is readable, so that all it must say to be believed is known."""
    place.chmod(0o1777)
    path = place / "a.shelf"
    with coshelf.open(path, mode=0o644) as shelf:
        shelf["k"] = 1
    run(SECOND, SECOND, FORGE, path, mode)
    before = path.read_bytes()
    with pytest.raises(ShelfPermissionError, match=r"\.a\.shelf\.coshelf"):
        coshelf.open(path, flag)
    assert path.read_bytes() == before
    shutil.rmtree(place / ".a.shelf.coshelf")
    with coshelf.open(path, flag) as shelf:
        assert dict(shelf) == {"k": 1}


@as_root
def test_a_delta_of_those_who_may_write_the_shelf_is_carried_into_it(place: Path) -> None:
    """What is refused above is a delta that would have been believed."""
    place.chmod(0o1777)
    path = place / "a.shelf"
    with coshelf.open(path, mode=0o666) as shelf:
        shelf["k"] = 1
    run(SECOND, SECOND, FORGE, path, "666")
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"k": 1, "planted": None}


KILLED = SCRIPTS / "killed_member.py"


@as_root
def test_members_of_a_group_take_over_what_one_of_them_left(place: Path) -> None:
    """A shelf of mode 0660 in a directory of the group: its members are known to the system here."""
    path, group = place / "a.shelf", _group_with_a_member()
    if group is None:
        pytest.skip("no group of this system has a member that is not root")
    number, member = group
    os.chown(place, 0, number)
    place.chmod(0o2770)
    with coshelf.open(path, mode=0o660) as shelf:
        shelf["k"] = 1
    os.chown(path, 0, number)
    for user, groups in ((member, (number,)), (THIRD, ())):
        if user == THIRD:
            place.chmod(0o2777)
        with pytest.raises(AssertionError):
            run(user, user, KILLED, path, groups=groups)
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"k": 1, "left by": member}


def _group_with_a_member() -> tuple[int, int] | None:
    import grp
    import pwd

    for account in pwd.getpwall():
        if account.pw_uid and account.pw_gid and grp.getgrgid(account.pw_gid):
            return account.pw_gid, account.pw_uid
    return None


PLANT_A_JOURNAL = SCRIPTS / "plants_a_journal.py"


@as_root
@pytest.mark.parametrize("flag", ["r", "w", "c"])
@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_what_others_put_beside_a_database_is_not_played_back(suffix: str, flag: Any, place: Path) -> None:
    place.chmod(0o1777)
    path = place / "a.db"
    with coshelf.open(f"sqlite:{path}", mode=0o644) as shelf:
        shelf["k"] = 1
    if suffix == "-shm":
        run(SECOND, SECOND, "open(sys.argv[1], 'wb').write(bytes(32768))", f"{path}{suffix}")
    else:
        run(SECOND, SECOND, PLANT_A_JOURNAL, path, suffix, "666")
    before = path.read_bytes()
    with pytest.raises(ShelfPermissionError, match=suffix):
        coshelf.open(f"sqlite:{path}", flag)
    assert path.read_bytes() == before
    Path(f"{path}{suffix}").unlink()
    with coshelf.open(f"sqlite:{path}", flag) as shelf:
        assert dict(shelf) == {"k": 1}


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_a_file_of_the_users_beside_a_database_is_not_written_over(suffix: str, place: Path) -> None:
    path = place / "bot"
    coshelf.open(f"sqlite:{path}").close()
    (place / f"bot{suffix}").write_text("notes that are longer than a head is")
    with pytest.raises(NotAShelf, match=suffix):
        coshelf.open(f"sqlite:{path}")
    assert (place / f"bot{suffix}").read_text() == "notes that are longer than a head is"


def test_a_lock_file_of_the_users_is_left_alone(place: Path) -> None:
    (place / "bot-lock").write_text("notes")
    with coshelf.open(f"sqlite:{place / 'bot'}") as shelf:
        shelf["k"] = 1
    assert (place / "bot-lock").read_text() == "notes"


# --- pipes, devices, sockets, directories, links ----------------------------------------------------------------------

KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "directory": lambda path: path.mkdir(),
    "dangling link": lambda path: path.symlink_to("nowhere/at/all"),
    "link to a pipe": lambda path: (os.mkfifo(path.parent / "pipe"), path.symlink_to(path.parent / "pipe")),
}
PLACES = [
    *(("lmdb", f".shelf.coshelf/{name}") for name in ("state", "base-lock", "delta", "delta-lock")),
    ("lmdb", ".shelf.coshelf"),
    *(("sqlite", name) for name in ("shelf-wal", "shelf-shm", "shelf-journal", ".shelf.coshelf-lock")),
    ("lmdb", "shelf"),
    ("sqlite", "shelf"),
]
OPEN_IT = SCRIPTS / "opens_it.py"


@pytest.mark.parametrize(("engine", "name"), PLACES)
def test_nothing_but_a_file_in_the_place_of_a_file_keeps_anybody_waiting(
    engine: str, name: str, tmp_path: Path
) -> None:
    """One process opens a shelf for each kind and flag: to start a process takes longer than all of these."""
    opened: list[str] = []
    planted: list[tuple[str, Path]] = []
    for number, (kind, flag) in enumerate(itertools.product(KINDS, "rc")):
        if name == "shelf" and kind == "dangling link" and flag == "c":
            continue  # it is one to a shelf that is to be made
        place = tmp_path / str(number)
        place.mkdir()
        target = f"{TARGETS[engine]}{place / 'shelf'}"
        with coshelf.open(target) as shelf:
            shelf["k"] = 1
        path = place / name
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            path.unlink()
        KINDS[kind](path)
        opened += [target, flag]
        planted.append((kind, path))
    command = [sys.executable, OPEN_IT, *opened]
    environment = os.environ | {"PYTHONPATH": SOURCE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=AFTER_AN_HOUR)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind, path in planted:
        assert os.path.lexists(path) or "link" in kind or name == ".shelf.coshelf"  # an empty one is taken


@pytest.mark.parametrize("given", [True, False], ids=["given", "own"])
def test_a_pipe_in_the_place_of_a_secret_keeps_nobody_waiting(
    given: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = made(place, "lmdb")
    if given:
        os.mkfifo(place / "secret")
        monkeypatch.setenv("COSHELF_SECRET_FILE", str(place / "secret"))
        with pytest.raises(ValueError, match="cannot be read"):
            coshelf.open(place / "new.shelf")
    else:
        secret = Path(os.environ["XDG_STATE_HOME"], "coshelf", "secret")
        secret.unlink()
        os.mkfifo(secret)
    assert not is_trusted(target)


@as_root
def test_file_is_judged_by_its_own_list_and_not_by_that_of_what_took_its_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = made(place, "files")
    (place / "shelf").chmod(0o755)
    file = place / "shelf" / "k"
    content = file.read_bytes()
    set_acl(file, ACCESS, letting_write(user=SECOND))
    real = tree._content

    def exchanged_after_reading(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        (place / "harmless").write_bytes(content)
        (place / "harmless").replace(file)
        return data

    with coshelf.open(target) as shelf:
        monkeypatch.setattr(tree, "_content", exchanged_after_reading)
        with pytest.raises(coshelf.UntrustedValue, match="can write"):
            shelf["k"]
        monkeypatch.undo()
        assert shelf["k"] == Anything()
