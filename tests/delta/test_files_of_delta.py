"""The delta's files: beside the resolved path, with the shelf's owner and mode, their space taken."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from insides import current_table, environment_of, flush_all
from support import Crew, beside, sidecars

import coshelf
from coshelf.engines.lmdb.delta import files, state
from coshelf.engines.lmdb.files.sidecar_directory import delta_path

ROOT = os.geteuid() == 0


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o666])
def test_they_have_the_mode_of_the_shelf_whatever_the_umask(path: str, mode: int) -> None:
    before = os.umask(0o077)
    try:
        with coshelf.open(path, mode=mode) as shelf:
            shelf["a"] = 1
            assert beside(path) == ["a.shelf", *sidecars(path)]
            for name in beside(path):
                found = os.stat(os.path.join(os.path.dirname(path), name)).st_mode
                assert stat.S_IMODE(found) == mode, name
    finally:
        os.umask(before)


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_opened_by_root_they_belong_to_the_owner_who_can_go_on(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    os.chown(path, 4321, 4322)
    os.chown(os.path.dirname(path), 4321, 4322)
    os.chmod(os.path.dirname(path), 0o755)
    with coshelf.open(path) as shelf:
        shelf["b"] = 1
        for name in beside(path):
            found = os.stat(os.path.join(os.path.dirname(path), name))
            assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4321, 4322, 0o600), name
        assert environment_of(shelf).page.delta.identity().kind == state.PLAIN, (
            "root does not map what another may write"
        )
    assert beside(path) == ["a.shelf"]


@pytest.mark.usefixtures("each_kind")
@pytest.mark.parametrize("mode", [0o600, 0o604, 0o660])
def test_only_a_private_file_is_written_through_its_map(path: str, mode: int) -> None:
    with coshelf.open(path, mode=mode) as shelf:
        shelf["a"] = 1
        mapped = state.LOG if files.native.in_use else state.MAPPED
        assert environment_of(shelf).page.delta.identity().kind == (mapped if mode == 0o600 else state.PLAIN)


def test_another_file_system_than_those_known_is_not_written_through_the_map(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coshelf.engines.lmdb.delta.files.type_of", lambda _: "btrfs")
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        assert environment_of(shelf).page.delta.identity().kind == state.PLAIN


@pytest.mark.usefixtures("tables")
def test_space_of_a_table_is_taken_ahead_of_its_use(path: str) -> None:
    """A page that is written through the map and has none is a SIGBUS on a full disk."""
    with coshelf.open(path, flush_interval=1000) as shelf:
        name = delta_path(path, 0)
        shelf["first"] = 1
        flush_all(shelf)  # so that from here on everything waits
        delta = current_table(shelf)
        for turn in range(60):
            shelf[turn] = b"x" * 60_000
            shelf.update({("more", n): b"y" * 1000 for n in range(50)})
            used = (delta.lmdb.info()["last_pgno"] + 1) * 4096
            allocated = environment_of(shelf).page.delta.allocated
            assert used <= allocated <= os.stat(name).st_blocks * 512
        assert used > 3 << 20


def test_they_lie_beside_what_a_link_leads_to(path: str, tmp_path: Path) -> None:
    link = tmp_path / "link.shelf"
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    link.symlink_to(path)
    with coshelf.open(link) as shelf:
        shelf["b"] = 2
        assert beside(path) == ["a.shelf", *sidecars(path)]
        assert list(tmp_path.iterdir()) == [link]
