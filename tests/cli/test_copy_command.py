"""copy: through a real shell."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import coshelf


def test_copies_between_engines_and_back(sh, a_shelf: str, tmp_path: Path) -> None:
    _, said = sh("coshelf copy a.shelf b.shelf")
    assert said == "lmdb to lmdb: 2 copied\n"
    out, said = sh("coshelf copy a.shelf b.shelf --json")
    assert said == "lmdb to lmdb: 0 copied, 2 unchanged\n"
    assert json.loads(out) == {
        "kind": "lmdb to lmdb",
        "done": 0,
        "unchanged": 2,
        "skipped": [],
        "failed": [],
        "verified": 2,
        "settings": [],
        "items": 0,
    }
    with coshelf.open(tmp_path / "b.shelf") as shelf:
        assert dict(shelf) == {"hello": 15, ("t", 1): {"x": None}}
    _, said = sh("coshelf copy a.shelf files:d")
    assert said == "lmdb to files: 2 copied\n"
    _, said = sh("coshelf copy d c.shelf --no-verify")
    assert said == "files to lmdb: 2 copied\n"
    assert sh("coshelf get c.shelf hello")[0] == "15\n"


def test_other_values_stay_unless_asked_for(sh, a_shelf: str) -> None:
    sh("coshelf set b.shelf hello other")
    _, said = sh("coshelf copy a.shelf b.shelf --dry-run", 1)
    expected = "lmdb to lmdb: 1 would be copied, 1 skipped\n  skipped 'hello': the target has another value"
    assert said.startswith(expected)
    sh("coshelf copy a.shelf b.shelf", 1)
    assert sh("coshelf get b.shelf hello")[0] == "other"
    _, said = sh("coshelf copy a.shelf b.shelf --overwrite")
    assert said == "lmdb to lmdb: 1 copied, 1 unchanged\n"
    assert sh("coshelf get b.shelf hello")[0] == "15\n"


def test_exit_codes_and_errors(sh, a_shelf: str, tmp_path: Path) -> None:
    sh("coshelf copy a.shelf", 2)
    _, said = sh("coshelf copy none.shelf b.shelf", 3)
    assert said.startswith("error: ") and not (tmp_path / "b.shelf").exists()
    _, said = sh("coshelf copy a.shelf a.shelf", 2)
    assert "is the source and the target" in said
    _, said = sh("coshelf copy a.shelf nonsense:x", 3)
    assert "no engine is registered" in said


def test_trust_is_not_copied(sh, a_shelf: str, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "a.shelf", tmp_path / "theirs.shelf")
    sh("coshelf copy theirs.shelf new.shelf")
    assert not json.loads(sh("coshelf info new.shelf --json")[0])["trusted"]
    sh("coshelf set mine.shelf k v")
    sh("coshelf trust mine.shelf")
    _, said = sh("coshelf copy theirs.shelf mine.shelf", 3)
    assert "is trusted, and the source is not" in said and "--trust" in said
    sh("coshelf copy theirs.shelf mine.shelf --trust")


def test_copy_killed_in_the_middle_goes_on_when_it_is_run_again(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update((number, "x" * 500) for number in range(30_000))
    command = [sys.executable, "-m", "coshelf", "copy", "a.shelf", "b.shelf"]
    for least in (500, 3_000):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 300
        while time.monotonic() < end and process.poll() is None:
            if (tmp_path / "b.shelf").exists():
                with coshelf.open(tmp_path / "b.shelf", "r") as shelf:
                    if len(shelf) > least:
                        break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with coshelf.open(tmp_path / "b.shelf", "r") as shelf:
            assert least < len(shelf) <= 30_000
    report = json.loads(sh("coshelf copy a.shelf b.shelf --json")[0])
    assert report["unchanged"] > 3_000
    assert report["done"] + report["unchanged"] == report["verified"] == 30_000
