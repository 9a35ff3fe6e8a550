"""set --tag, ls --tag, del --tag, and the tags of other commands: through a real shell."""

from __future__ import annotations

import json
from pathlib import Path

import coshelf


def test_entries_are_stored_listed_and_deleted_by_tag(sh, tmp_path: Path) -> None:
    sh("coshelf set a.shelf k v --tag x --tag y; coshelf set a.shelf l v --new --tag x; coshelf set a.shelf m v")
    sh("coshelf set a.shelf n/1 v --tag x --expire 2h")
    assert sh("coshelf ls a.shelf --tag x")[0] == "k\nl\nn/1\n"
    assert sh("coshelf ls a.shelf --tag x -r")[0] == "n/1\nl\nk\n"
    assert sh("coshelf ls a.shelf '*' --tag x -n 1")[0] == "k\n"
    assert sh("coshelf ls a.shelf --prefix n/ --tag x")[0] == "n/1\n"
    assert sh("coshelf ls a.shelf --tag none")[0] == ""
    lines = sh("coshelf ls -l a.shelf")[0].splitlines()
    assert [line.rpartition("  ")[2] for line in lines] == ["[x, y]", "[x]", "'v'", "[x]"]
    told = [json.loads(line) for line in sh("coshelf ls --json --tag x a.shelf")[0].splitlines()]
    assert [(line["key"], line["tags"], "expires" in line) for line in told] == [
        ("k", ["x", "y"], False),
        ("l", ["x"], False),
        ("n/1", ["x"], True),
    ]
    out, said = sh("coshelf del a.shelf --tag x --dry-run")
    assert (out, "3 would be deleted" in said) == ("k\nl\nn/1\n", True)
    assert "3 deleted" in sh("coshelf del a.shelf --tag x -y")[1]
    assert sh("coshelf ls a.shelf")[0] == "m\n"
    assert "0 deleted" in sh("coshelf del a.shelf --tag x -y")[1]


def test_wrong_uses_say_what_is_wrong(sh, tmp_path: Path) -> None:
    sh("coshelf set a.shelf k v")
    assert "name keys, or give --prefix or --tag" in sh("coshelf del a.shelf k --tag x", 2)[1]
    assert "name keys, or give --prefix or --tag" in sh("coshelf del a.shelf --prefix k --tag x", 2)[1]
    assert "1 to 255 bytes" in sh("coshelf set a.shelf k w --tag ''", 3)[1]
    _, said = sh("mkdir d; coshelf set d k v --tag x", 3)
    assert ("cannot have tags" in said, "require=" in said) == (True, False)


def test_edited_entry_keeps_its_tags(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", "text", tags=("x",))
    sh("EDITOR='sed -i s/text/new/' coshelf edit a.shelf a")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert (shelf["a"], list(shelf.tagged("x"))) == ("new", ["a"])


def test_tag_cannot_write_control_characters_to_the_terminal(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", "text", tags=("\x1b[31m\n",))
    assert "\x1b" not in sh("coshelf ls -l a.shelf")[0]


def test_export_and_import_keep_tags(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.set("a", "text", tags=("x",))
    sh("coshelf export a.shelf a.jsonl; coshelf import a.jsonl b.shelf; coshelf import a.jsonl c.shelf --drop-tags")
    assert sh("coshelf ls b.shelf --tag x")[0] == "a\n"
    assert sh("coshelf ls c.shelf --tag x")[0] == ""
