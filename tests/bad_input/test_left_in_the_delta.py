"""What was committed and waits in the delta is seen where it cannot be flushed: full disk, read-only mount."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "left_in_the_delta"

_KILLED = SCRIPTS / "killed.py"
EXPECTED = {"old": 1, "changed": 2, "new": [2], "long" * 300: 3}


def look_at(path: Path, elsewhere: Path) -> None:
    """All ways of reading."""
    report = coshelf.check(path)
    assert report.ok, report
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == EXPECTED
        assert len(shelf) == len(EXPECTED)
        assert shelf["new"] == [2]
        assert shelf.get("gone") is None
        assert list(shelf.keys(prefix="new")) == ["new"]
        with shelf.snapshot() as snapshot:
            assert dict(snapshot) == EXPECTED
        assert shelf.check().ok
        shelf.backup(elsewhere / "copy.shelf")
    with coshelf.open(elsewhere / "copy.shelf") as copy:
        assert dict(copy) == EXPECTED


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def test_on_a_read_only_mount(mounted: Any, python: Any, elsewhere: Path) -> None:
    place = mounted("-t", "tmpfs", "none")
    path = place / "my.shelf"
    python(_KILLED, path)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    look_at(path, elsewhere)
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    with coshelf.open(path) as shelf:
        assert dict(shelf) == EXPECTED
    assert os.listdir(place) == ["my.shelf"]


_FULL = SCRIPTS / "fills_the_disk.py"


def test_on_a_full_disk(mounted: Any, python: Any, elsewhere: Path) -> None:
    place = mounted("-t", "tmpfs", "-o", "size=4m", "none")
    path = place / "my.shelf"
    python(_KILLED, path)
    python(_FULL, place / "ballast")
    look_at(path, elsewhere)
    os.unlink(place / "ballast")
    with coshelf.open(path) as shelf:
        assert dict(shelf) == EXPECTED
    assert os.listdir(place) == ["my.shelf"]


def test_closed_shelf_is_read_and_backed_up_on_a_full_disk(mounted: Any, python: Any, elsewhere: Path) -> None:
    place = mounted("-t", "tmpfs", "-o", "size=4m", "none")
    path = place / "my.shelf"
    with coshelf.open(path) as shelf:
        shelf.update(EXPECTED)
    python(_FULL, place / "ballast")
    look_at(path, elsewhere)
    with pytest.raises(coshelf.StorageFull, match="flag 'r'"):
        coshelf.open(path)
    assert sorted(os.listdir(place)) == ["ballast", "my.shelf"]


def test_who_flushes_it_meanwhile_is_followed(mounted: Any, python: Any) -> None:
    """A reader that began without locks sees what others commit later, and not the old rows over it."""
    place = mounted("-t", "tmpfs", "-o", "size=4m", "none")
    path = place / "my.shelf"
    python(_KILLED, path)
    python(_FULL, place / "ballast")
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == EXPECTED
        os.unlink(place / "ballast")
        python('import coshelf, sys\nwith coshelf.open(sys.argv[1]) as shelf: shelf["new"] = 5; del shelf["old"]', path)
        assert dict(shelf) == {"changed": 2, "new": 5, "long" * 300: 3}


_DELETES = SCRIPTS / "deletes.py"


def test_where_nothing_more_can_be_stored_entries_can_be_deleted(mounted: Any, python: Any) -> None:
    place = mounted("-t", "tmpfs", "-o", "size=4m", "none")
    python(_DELETES, place / "my.shelf", place / "ballast")
