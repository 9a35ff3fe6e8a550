"""A shelf that leaves its place: a mount that is read-only, and a colleague who gets a copy and gives it back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.trust.granting import trust_shelf
from starting import as_user

SCRIPTS = Path(__file__).parent / "scripts" / "trust_elsewhere"

SOURCE = str(Path(coshelf.__file__).parents[1])
NOBODY = 65534


class Mine:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mine)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("kind", ["", "files:"])
def test_own_shelf_on_a_mount_that_became_read_only_is_trusted(kind: str, mounted: Callable[..., Path]) -> None:
    place = mounted("-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs")
    with coshelf.open(f"{kind}{place}/a") as shelf:
        shelf.update({"data": 1, "k": Mine()})
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    with coshelf.open(f"{kind}{place}/a", "r") as shelf:
        assert shelf["k"] == Mine()
        assert shelf["data"] == 1
    if not kind:
        assert coshelf.check(f"{place}/a").ok


def test_copy_on_a_mount_that_is_read_only_is_plain_data(mounted: Callable[..., Path], tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a") as shelf:
        shelf.update({"data": 1, "k": Mine()})
    place = mounted("-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs")
    shutil.copy(tmp_path / "a", place)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    with coshelf.open(f"{place}/a", "r") as shelf:
        assert shelf["data"] == 1
        with pytest.raises(coshelf.UntrustedValue):
            shelf["k"]
        assert shelf.preview("k").type.endswith("Mine")
    with coshelf.open(f"{place}/a", "r", trust=True) as shelf:
        assert shelf["k"] == Mine()
    trust_shelf(f"{place}/a")
    with coshelf.open(f"{place}/a", "r") as shelf:
        assert shelf["k"] == Mine()


COLLEAGUE = SCRIPTS / "colleague.py"


def test_copy_to_a_colleague_and_back_is_plain_data_for_both(place: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("another user needs root")
    with coshelf.open(tmp_path / "a") as shelf:
        shelf.update({"data": 1, "k": Mine()})
    theirs = place / "colleague"
    (theirs / "state").mkdir(parents=True)
    shutil.copy(tmp_path / "a", theirs / "a")
    for path in (theirs, theirs / "state", theirs / "a"):
        os.chown(path, NOBODY, NOBODY)
    command = [sys.executable, *as_user(NOBODY, COLLEAGUE), str(theirs / "a")]
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": SOURCE, "XDG_STATE_HOME": str(theirs / "state")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout == "plain data\n", done.stderr
    shutil.copy(theirs / "a", tmp_path / "back")
    with coshelf.open(tmp_path / "back") as shelf:
        assert (shelf["data"], shelf["theirs"]) == (2, {"by": "colleague"})
        with pytest.raises(coshelf.UntrustedValue, match=r"is a copy of .*others may have changed"):
            shelf["k"]
    trust_shelf(str(tmp_path / "back"))
    with coshelf.open(tmp_path / "back") as shelf:
        assert shelf["k"] == Mine()
    with coshelf.open(tmp_path / "a") as shelf:  # the first one is as trusted as ever
        assert shelf["k"] == Mine()
