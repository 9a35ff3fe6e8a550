"""A disk that is full: StorageFull, everything committed before is there, and it goes on when space returns."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "scripts" / "full_disk"


_COMMITS = SCRIPTS / "commits.py"


def test_commits_on_a_full_disk_lose_nothing(mounted: Any, python: Any) -> None:
    python(_COMMITS, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_SPACE_RETURNS = SCRIPTS / "space_returns.py"


@pytest.mark.parametrize("way", ["open", "closed"])
@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_what_was_committed_on_a_full_disk_is_flushed_when_space_returns(
    durability: str, way: str, mounted: Any, python: Any
) -> None:
    python(_SPACE_RETURNS, mounted("-t", "tmpfs", "-o", "size=3m", "none"), durability, way)


_CREATE = SCRIPTS / "creates.py"


def test_making_a_shelf_on_a_full_disk_leaves_nothing_half_made(mounted: Any, python: Any) -> None:
    python(_CREATE, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_NOTHING_LEFT = SCRIPTS / "nothing_left.py"


def test_shelf_for_which_there_is_no_room_leaves_no_file(mounted: Any, python: Any) -> None:
    python(_NOTHING_LEFT, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_OPEN = SCRIPTS / "opens.py"


@pytest.mark.parametrize("flag", ["r", "w"])
def test_opening_on_a_full_disk_works_or_says_so(flag: str, mounted: Any, python: Any) -> None:
    """The sidecars need room, too, and a map without pages below it is a crash."""
    python(_OPEN, mounted("-t", "tmpfs", "-o", "size=1m", "none"), flag)


_DELETE = SCRIPTS / "empties.py"


@pytest.mark.parametrize("kind", [("-t", "tmpfs", "-o", "size=7m"), "ext4"])
def test_a_shelf_is_opened_and_emptied_on_a_full_disk(kind: Any, mounted: Any, python: Any, tmp_path: Path) -> None:
    """The reserve at its end has space for the sidecars, and for the pages that the first deletions write."""
    if kind == "ext4":
        image = tmp_path / "image"
        image.write_bytes(bytes(8 << 20))
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("there is no mkfs.ext4")
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(image)], check=True)
        python(_DELETE, mounted("-o", "loop", str(image)))
    else:
        python(_DELETE, mounted(*kind, "none"))


_SMALL = SCRIPTS / "small_shelf.py"


def test_a_small_shelf_has_no_reserve(mounted: Any, python: Any) -> None:
    python(_SMALL, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_MANY_READERS = SCRIPTS / "many_readers.py"


def test_many_readers_on_a_full_disk_do_not_crash(mounted: Any, python: Any) -> None:
    python(_MANY_READERS, mounted("-t", "tmpfs", "-o", "size=1m", "none"))


_LIMITED = SCRIPTS / "limited_file.py"


@pytest.mark.parametrize("has_delta", [True, False])
@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_file_that_may_not_grow_is_as_a_full_disk(
    durability: str, has_delta: bool, tmp_path: Path, python: Any
) -> None:
    """A file of that length has no delta, whose own is larger, unless it was made before."""
    python(_LIMITED, tmp_path / "my.shelf", durability, has_delta)


_MAPPING = SCRIPTS / "mapping.py"


def test_mapping_that_fails_half_way_keeps_the_old_values(tmp_path: Path, python: Any) -> None:
    python(_MAPPING, tmp_path / "my-dbm")
