"""info, stats, check, backup, compact, salvage, trust: through a real shell."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import coshelf


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(100), "x" * 100) | {"marked": "here I am"})
    path.write_bytes(path.read_bytes().replace(b"here I am", b"here 2 am"))
    return path


def test_info_says_what_it_is_and_whose(sh, a_shelf: str, tmp_path: Path) -> None:
    found = json.loads(sh("coshelf info a.shelf --json")[0])
    assert (found["engine"], found["entries"], found["mode"]) == ("lmdb", 2, "-rw-------")
    assert found["capabilities"]["atomic"] == "crash"
    assert found["file_size"] == (tmp_path / "a.shelf").stat().st_size
    out, _ = sh("cp a.shelf copy.shelf; coshelf info copy.shelf")
    assert "no: " in next(line for line in out.splitlines() if line.startswith("trusted"))
    out, _ = sh("coshelf trust copy.shelf 2> said; coshelf info copy.shelf")
    assert "trusted         yes" in out
    sh("coshelf info none.shelf", 3)


def test_stats_sum_by_prefix(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({"users/ann": "x" * 1000, "users/bob/1": 1, "n": 3})
    found = json.loads(sh("coshelf stats a.shelf --json")[0])
    assert {prefix: entries for prefix, (entries, _) in found["prefixes"].items()} == {"": 1, "users/": 2}
    assert found["largest"][0][0] == "'users/ann'"
    found = json.loads(sh("coshelf stats a.shelf --json --prefix-depth 2 --largest 1")[0])
    assert "users/bob/" in found["prefixes"] and len(found["largest"]) == 1
    assert json.loads(sh("coshelf stats a.shelf --json --cheap")[0])["bytes"] is None
    out, _ = sh("coshelf stats a.shelf")
    assert "entries         3" in out and "users/" in out


def test_check_says_what_is_damaged_and_salvage_saves_the_rest(sh, damaged: Path, tmp_path: Path) -> None:
    out, said = sh("coshelf check a.shelf", 1)
    assert "key 'marked': its " in out and "looks like str: 'here 2 am'" in out
    assert said.startswith("a.shelf: ") and "100 entries" in said and "coshelf salvage a.shelf NEW" in said
    report = json.loads(sh("coshelf check a.shelf --json", 1)[0])
    assert not report["ok"] and report["entries"] == 100
    _, said = sh("coshelf backup a.shelf b.shelf", 3)
    assert "is damaged, so no copy was made" in said
    assert not (tmp_path / "b.shelf").exists()
    out, said = sh("coshelf salvage a.shelf saved.shelf", 1)
    assert "key 'marked': its record is damaged" in out
    assert said == "saved.shelf: 100 entries taken, 1 lost\n"
    assert sh("coshelf check saved.shelf") == ("", sh("coshelf check saved.shelf")[1])
    assert json.loads(sh("coshelf salvage a.shelf again.shelf --json", 1)[0])["lost"] == 1
    sh("coshelf salvage a.shelf saved.shelf", 3)
    sh("coshelf check none.shelf", 3)


def test_check_of_a_shelf_that_others_write(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update(dict.fromkeys(range(1000), "x"))
        assert sh("coshelf check a.shelf")[1].startswith("a.shelf: no damage; 1,000 entries")
        shelf["more"] = 1
        assert sh("coshelf check a.shelf")[1].startswith("a.shelf: no damage; 1,001 entries")


def test_backup_and_restoring_it(sh, a_shelf: str, tmp_path: Path) -> None:
    out, said = sh("coshelf backup a.shelf b.shelf --json")
    assert json.loads(out) == {"target": "b.shelf", "entries": 2}
    assert said == "b.shelf: 2 entries\n"
    sh("coshelf backup a.shelf b.shelf", 3)
    sh("coshelf set a.shelf hello changed; coshelf backup b.shelf a.shelf --overwrite")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert shelf["hello"] == 15
    assert json.loads(sh("coshelf info a.shelf --json")[0])["trusted"]


def test_backup_killed_in_the_middle_leaves_the_old_one(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update((number, "x" * 2_000) for number in range(50_000))
    sh("coshelf set b.shelf old one")
    before = (tmp_path / "b.shelf").read_bytes()
    for delay in (0.2, 0.3, 0.4):
        command = [sys.executable, "-m", "coshelf", "backup", "a.shelf", "b.shelf", "--overwrite"]
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        whole = (tmp_path / "b.shelf").read_bytes()
        assert whole == before or coshelf.check(tmp_path / "b.shelf").entries == 50_000
    sh("coshelf backup a.shelf b.shelf --overwrite")
    assert coshelf.check(tmp_path / "b.shelf").entries == 50_000
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["a.shelf", "b.shelf"]


def test_compact_gives_room_back_or_says_who_is_in_the_way(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update(dict.fromkeys(range(5_000), "x" * 100))
        shelf.clear()
    found = json.loads(sh("coshelf compact a.shelf --json")[0])
    assert found["after"] < found["before"] / 10
    assert found["after"] == (tmp_path / "a.shelf").stat().st_size
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["a"] = 1
        _, said = sh("coshelf compact a.shelf", 3)
        assert "it is open in pid" in said and "backup" in said
    sh("mkdir d; coshelf set d k v; coshelf compact d", 3)
