"""set --expire, ls -l and expire: through a real shell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import coshelf


def test_entries_are_stored_with_a_time_and_listed_with_what_is_left(sh, tmp_path: Path) -> None:
    sh("coshelf set a.shelf k v --expire 2h; coshelf set a.shelf l v; coshelf set a.shelf m v --new --expire 7d")
    listed = sh("coshelf ls -l a.shelf")[0].splitlines()
    assert [re.sub(r"^.*expires in", "", line) for line in listed[::2]] in (
        [" 2h00m)", " 7d00h)"],
        [" 1h59m)", " 6d23h)"],
        [" 1h59m)", " 7d00h)"],
    )
    told = [json.loads(line) for line in sh("coshelf ls --json a.shelf")[0].splitlines()]
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert [line.get("expires") for line in told] == [shelf.expires(key) for key in "klm"]


def test_expired_entries_are_gone_and_can_be_removed(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", 1, expire=1e-6)
        shelf["b"] = 2
    sh("coshelf get a.shelf a", 1)
    assert sh("coshelf ls a.shelf")[0] == "b\n"
    found = json.loads(sh("coshelf expire a.shelf --json")[0])
    assert found["removed"] in (0, 1)  # the last flush may have removed it
    out, said = sh("coshelf expire a.shelf")
    assert (out, "0 expired entries removed" in said) == ("", True)


def test_edited_entry_keeps_its_time(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", "text", expire=3600)
        time = shelf.expires("a")
    sh("EDITOR='sed -i s/text/new/' coshelf edit a.shelf a")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert (shelf["a"], shelf.expires("a")) == ("new", time)


@pytest.mark.parametrize("duration", ["soon", "", "1y", "nan", "--", "1e9"])
def test_what_is_no_duration_is_wrong_usage(duration: str, sh, tmp_path: Path) -> None:
    _, said = sh(f"coshelf set a.shelf k v --expire '{duration}'", 2)
    assert "duration such as 90, 15m, 1.5h or 7d" in said
    assert not (tmp_path / "a.shelf").exists()


def test_engine_without_times_says_so_in_the_words_of_the_command_line(sh) -> None:
    _, said = sh("mkdir d; coshelf set d k v --expire 60", 3)
    assert "cannot expire" in said
    assert "require=" not in said
