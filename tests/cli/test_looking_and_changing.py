"""ls, get, set, del, edit: through a real shell."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf

TRAP = b"\x80\x04cos\nsystem\n\x8c\x0ctouch sprung\x85R."


def stored(tmp_path: Path, key: Any, name: str = "a.shelf") -> Any:
    with coshelf.open(tmp_path / name, "r") as shelf:
        return shelf[key]


# --- get and set -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\0\xff\r\n" * 1000, "é\n".encode(), b"no line end", bytes(range(256))])
def test_pipes_keep_every_byte(sh, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "in").write_bytes(data)
    sh("coshelf set --bytes a.shelf k < in; coshelf get a.shelf k > out; cmp in out")
    assert stored(tmp_path, "k") == data
    if data.isascii() or data.startswith("é".encode()):
        sh("coshelf set a.shelf t - < in; coshelf get a.shelf t | cmp - in")
        assert stored(tmp_path, "t") == data.decode()


def test_text_that_is_not_utf8_is_refused_and_nothing_is_stored(sh, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"ab\xff")
    _, said = sh("coshelf set a.shelf k < in", 2)
    assert "not UTF-8 (invalid start byte at byte 2): give --bytes" in said
    assert not (tmp_path / "a.shelf").exists()


@pytest.mark.parametrize(
    ("arguments", "value", "written"),
    [
        ("v", "v", "v"),
        ("--json '{\"a\": [1, 2.5, null]}'", {"a": [1, 2.5, None]}, '{"a": [1, 2.5, null]}\n'),
        ("--literal '{(1, 2), None}'", {(1, 2), None}, None),
        ("--literal '(1, 2)'", (1, 2), "(1, 2)\n"),
        ("--bytes ab", b"ab", "ab"),
        ("-- -1", "-1", "-1"),
        ("--json -- -1", -1, "-1\n"),
    ],
)
def test_values_are_what_they_are_said_to_be(sh, tmp_path: Path, arguments: str, value: Any, written: str) -> None:
    sh(f"coshelf set a.shelf k {arguments}")
    assert stored(tmp_path, "k") == value and type(stored(tmp_path, "k")) is type(value)
    if written is not None:
        assert sh("coshelf get a.shelf k")[0] == written


@pytest.mark.parametrize("arguments", ["--json '{'", "--literal 'print(1)'", "--literal '['", "--pickle nonsense"])
def test_what_is_no_such_value_is_refused(sh, tmp_path: Path, arguments: str) -> None:
    sh("coshelf set a.shelf k before")
    sh(f"coshelf set a.shelf k {arguments}", 2)
    assert stored(tmp_path, "k") == "before"


@pytest.mark.parametrize(("typed", "key"), [("15", 15), ("('t', 1)", ("t", 1)), ("b'x'", b"x"), ("None", None)])
def test_keys_of_all_types_are_named_as_literals(sh, tmp_path: Path, typed: str, key: Any) -> None:
    sh(f"coshelf set a.shelf -k {shlex.quote(typed)} v")
    assert stored(tmp_path, key) == "v"
    assert sh(f"coshelf get a.shelf -k {shlex.quote(typed)}")[0] == "v"
    assert sh("coshelf ls a.shelf")[0] == f"{typed}\n"
    assert sh(f"coshelf get a.shelf {shlex.quote(typed)}")[0] == "v"
    sh(f"coshelf get a.shelf -s {shlex.quote(typed)}", 1)
    sh(f"coshelf del a.shelf -k {shlex.quote(typed)}")
    assert sh("coshelf ls a.shelf")[0] == ""


def test_key_that_is_none_is_wrong_usage(sh, a_shelf: str) -> None:
    _, said = sh("coshelf get a.shelf -k 'no literal'", 2)
    assert "is not a Python literal" in said
    sh("coshelf get a.shelf -k '{}'", 3)


def test_absent_keys_are_exit_code_1(sh, a_shelf: str) -> None:
    for options in ("", "--preview", "--opcodes", "--pickle"):
        out, said = sh(f"coshelf get a.shelf none {options}", 1)
        assert (out, said) == ("", "'none' is not in a.shelf\n")
    _, said = sh("coshelf get none.shelf k", 3)
    assert said.startswith("error: ")


def test_new_does_not_replace(sh, tmp_path: Path) -> None:
    sh("coshelf set --new a.shelf k 1")
    _, said = sh("coshelf set --new a.shelf k 2", 1)
    assert said == "'k' is in a.shelf already\n"
    assert stored(tmp_path, "k") == "1"


def test_nothing_is_unpickled_merely_to_look(sh, tmp_path: Path) -> None:
    (tmp_path / "trap").write_bytes(TRAP)
    sh("coshelf set --pickle a.shelf k < trap")
    sh("coshelf get a.shelf k --pickle | cmp - trap")
    looks = ["get a.shelf k", "get a.shelf k --preview", "get a.shelf k --opcodes", "get a.shelf k --preview --json"]
    looks += ["ls -l a.shelf", "ls --json a.shelf", "info a.shelf", "stats a.shelf", "check a.shelf"]
    looks += [
        "backup a.shelf b.shelf",
        "compact a.shelf",
        "export a.shelf -",
        "import a.shelf c.shelf",
        "del a.shelf k",
    ]
    for look in looks:
        out, said = sh(f"coshelf {look}; true")
        if "get" in look or "ls" in look:
            assert "system" in out + said, look
    assert not (tmp_path / "sprung").exists()
    _, said = sh("coshelf get b.shelf k", 3)
    assert said.startswith("error: the value for key 'k' is not plain data, but os.system('touch sprung')\n")
    assert "--trust-pickle unpickles it" in said
    sh("coshelf get b.shelf k --trust-pickle")
    assert (tmp_path / "sprung").exists()


def test_preview_and_opcodes_tell_what_is_there(sh, a_shelf: str) -> None:
    out, _ = sh("coshelf get a.shelf -k \"('t', 1)\" --preview")
    assert out == "type       dict\ntext       {'x': None}\nsize       20\nstored as  pickle 5\n"
    out, _ = sh("coshelf get a.shelf hello --opcodes")
    assert out == "       0: PROTO 5\n       2: BININT1 15\n       4: STOP\n"
    assert json.loads(sh("coshelf get a.shelf hello --preview --json")[0])["type"] == "int"


def test_json_has_key_and_value_and_says_what_it_cannot_hold(sh, a_shelf: str) -> None:
    assert sh("coshelf get a.shelf hello --json")[0] == '{"key": "hello", "value": 15}\n'
    sh("coshelf set a.shelf k --literal '(1,)'")
    _, said = sh("coshelf get a.shelf k --json", 2)
    assert "tuple cannot be written as JSON exactly" in said
    sh("coshelf get a.shelf k --json --opcodes", 2)


def test_signed_values_need_their_secret(sh, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"0123456789abcdef")
    (tmp_path / "other").write_bytes(b"fedcba9876543210")
    sh("coshelf set a.shelf k v --sign-with secret")
    assert sh("coshelf get a.shelf k --sign-with secret")[0] == "v"
    assert "signed" in sh("coshelf get a.shelf k", 3)[1]
    assert "another key" in sh("coshelf get a.shelf k --sign-with other", 3)[1]
    assert "signed" in sh("coshelf get a.shelf k --preview")[0]
    sh("coshelf get a.shelf k --sign-with none", 2)


def test_terminal_gets_a_line_end_and_no_binary(sh, tmp_path: Path) -> None:
    if not shutil.which("script"):
        pytest.skip("needs script (bsdutils) for a terminal")
    sh("coshelf set a.shelf t text; coshelf set a.shelf b --literal \"b'\\x1b[2J'\"")
    assert sh("script -qec 'coshelf get a.shelf t' /dev/null")[0] == "text\n"
    assert sh("script -qec 'coshelf get a.shelf b' /dev/null")[0] == "b'\\x1b[2J'\n"


# --- ls --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update(dict.fromkeys(["a", "soups/leek", "soups/hot/miso", 5, "line\nend", "", b"x"], 0))


def test_keys_are_listed_in_order_and_can_be_typed(sh, folders: None) -> None:
    out, _ = sh("coshelf ls a.shelf")
    assert out.splitlines() == ["5", "''", "a", "'line\\nend'", "soups/hot/miso", "soups/leek", "b'x'"]
    out, _ = sh("coshelf ls --literal a.shelf")
    assert [eval(line) for line in out.splitlines()] == [5, "", "a", "line\nend", "soups/hot/miso", "soups/leek", b"x"]
    assert sh("coshelf ls a.shelf 'soups/*'")[0] == "soups/leek\n"
    assert sh("coshelf ls a.shelf --prefix soups/ -r")[0] == "soups/leek\nsoups/hot/miso\n"
    assert sh("coshelf ls a.shelf -n 1")[0] == "5\n"
    assert sh("coshelf ls a.shelf -n 0")[0] == ""


def test_long_lists_tell_size_type_and_beginning(sh, a_shelf: str) -> None:
    out, _ = sh("coshelf ls -l a.shelf")
    assert [line.split() for line in out.splitlines()] == [
        ["5", "int", "hello", "15"],
        ["20", "dict", "('t',", "1)", "{'x':", "None}"],
    ]
    lines = [json.loads(line) for line in sh("coshelf ls --json a.shelf")[0].splitlines()]
    assert [line["key"] for line in lines] == ["hello", ["t", 1]]
    assert lines[0]["stored_as"] == "pickle 5"


def test_list_that_nobody_reads_to_its_end_is_no_traceback(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update((f"key{number}", 0) for number in range(50_000))
    assert sh("coshelf ls a.shelf | head -n 1")[0] == "key0\n"


# --- del -------------------------------------------------------------------------------------------------------------


def test_deleting_names_what_was_not_there(sh, folders: None, tmp_path: Path) -> None:
    out, said = sh("coshelf del --dry-run a.shelf a none", 1)
    assert (out, said) == ("a\n", "'none' is not in a.shelf\n1 would be deleted\n")
    assert stored(tmp_path, "a") == 0
    _, said = sh("coshelf del a.shelf a none", 1)
    assert said == "'none' is not in a.shelf\n1 deleted\n"
    assert sh("coshelf del a.shelf --prefix soups/")[1] == "2 deleted\n"
    assert sh("coshelf ls a.shelf")[0].splitlines() == ["5", "''", "'line\\nend'", "b'x'"]
    sh("coshelf del a.shelf", 2)
    sh("coshelf del a.shelf x --prefix y", 2)
    sh("coshelf del none.shelf x", 3)
    assert not (tmp_path / "none.shelf").exists()


def test_deleting_asks_on_a_terminal(sh, folders: None, tmp_path: Path) -> None:
    if not shutil.which("script"):
        pytest.skip("needs script (bsdutils) for a terminal")
    out, _ = sh("echo n | script -qec 'coshelf del a.shelf --prefix soups/' /dev/null", 1)
    assert "Delete 2 entries from a.shelf? [y/N]" in out
    assert stored(tmp_path, "soups/leek") == 0
    sh("echo y | script -qec 'coshelf del a.shelf --prefix soups/' /dev/null")
    with pytest.raises(KeyError):
        stored(tmp_path, "soups/leek")
    sh("script -qec 'coshelf del a.shelf --yes a' /dev/null < /dev/null")


# --- edit ------------------------------------------------------------------------------------------------------------


def test_values_are_edited_in_a_form_that_fits_them(sh, tmp_path: Path) -> None:
    values = {"text": "old\n", "json": {"word": "old"}, "literal": ("old", {1})}
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update(values)
    for key in values:
        _, said = sh(f"EDITOR='sed -i s/old/new/' coshelf edit a.shelf {key}")
        assert said == "stored\n"
    assert [stored(tmp_path, key) for key in values] == ["new\n", {"word": "new"}, ("new", {1})]
    assert sh("EDITOR=true coshelf edit a.shelf json")[1] == "unchanged\n"
    sh("EDITOR=true coshelf edit a.shelf none", 1)
    sh("VISUAL='sed -i $a\\made' EDITOR=false coshelf edit a.shelf none --create; coshelf get a.shelf none", 0)


def kept_in(said: str) -> Path:
    """The file that a command says it has left."""
    (line,) = [line for line in said.splitlines() if "as plain text, what you wrote is in " in line]
    return Path(line.rpartition(" is in ")[2])


def test_what_is_no_value_any_more_is_kept_for_its_writer(sh, a_shelf: str, tmp_path: Path) -> None:
    _, said = sh("EDITOR='sed -i s/15/nonsense/' coshelf edit a.shelf hello < /dev/null", 2)
    kept = kept_in(said)
    assert kept.read_text() == "nonsense\n"
    shutil.rmtree(kept.parent)
    assert stored(tmp_path, "hello") == 15
    _, said = sh("EDITOR=false coshelf edit a.shelf hello", 2)
    assert "nothing was stored" in said and "what you wrote" not in said  # for nothing was written
    _, said = sh("EDITOR=no-such-editor coshelf edit a.shelf hello", 3)
    assert "no-such-editor" in said


def test_what_somebody_else_changed_meanwhile_stays(sh, a_shelf: str, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\ncoshelf set a.shelf hello theirs\necho 16 > "$1"\n')
    editor.chmod(0o755)
    _, said = sh("EDITOR=./editor coshelf edit a.shelf hello", 1)
    assert said.startswith("another process has changed 'hello' in a.shelf meanwhile; its value stays\n")
    kept = kept_in(said)
    assert kept.read_text() == "16\n"
    shutil.rmtree(kept.parent)
    assert stored(tmp_path, "hello") == "theirs"


def test_what_is_not_plain_data_is_not_edited(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["k"] = bytearray(b"x")
        shelf["o"] = pytest.approx(1)
    sh("EDITOR=true coshelf edit a.shelf k", 2)
    assert "not plain data" in sh("EDITOR=true coshelf edit a.shelf o", 3)[1]


# --- all -------------------------------------------------------------------------------------------------------------


def test_directories_and_urls_are_shelves_too(sh, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    sh("coshelf set d k v; coshelf set files:e k v; coshelf set lmdb:f.shelf k v")
    for name in ("d", "files:e", "e", "f.shelf"):
        assert sh(f"coshelf get {name} k")[0] == "v"
        assert sh(f"coshelf ls {name}")[0] == "k\n"
        sh(f"coshelf info {name}; coshelf stats {name}; coshelf check {name}")
    assert pickle.loads((tmp_path / "d/k").read_bytes()) == "v"
    assert sh("coshelf get oracle:x k", 3)[1].startswith("error: ")


def test_many_shells_write_one_shelf(sh, tmp_path: Path) -> None:
    sh("for n in 1 2 3 4 5 6 7 8; do coshelf set a.shelf key$n $n & done; wait")
    assert sh("coshelf ls a.shelf | wc -l")[0].strip() == "8"


def test_locked_shelf_is_told_with_its_holder(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, shelf.transaction():
        _, said = sh("coshelf set a.shelf k v --timeout 0.1", 3)
    assert "shelf is locked" in said
    assert f"pid {os.getpid()}" in said


@pytest.mark.parametrize("typed", ["", "get", "get a.shelf h", "get -k a.shelf ", "set a"])
def test_completion_offers_commands_keys_and_files(sh, a_shelf: str, typed: str) -> None:
    words = f"coshelf {typed}"
    count = len(words.split()) - (not words.endswith(" ") and bool(typed))
    line = f"COMP_WORDS={shlex.quote(words)} COMP_CWORD={count} _COSHELF_COMPLETE=bash_complete coshelf"
    offered = sh(line)[0].split()
    expected = {"": "plain,salvage", "get": "plain,get", "get a.shelf h": "plain,hello", "set a": "file,a"}
    assert expected.get(typed, "plain,hello") in offered


def test_completion_of_a_broken_shelf_offers_nothing_and_says_nothing(sh, tmp_path: Path) -> None:
    (tmp_path / "a.shelf").write_bytes(b"nonsense" * 1000)
    line = "COMP_WORDS='coshelf get a.shelf h' COMP_CWORD=3 _COSHELF_COMPLETE=bash_complete coshelf"
    assert sh(line) == ("\n", "")


def test_commands_start_without_what_they_do_not_need() -> None:
    names = ("numpy", "rich", "asyncio", "importlib.metadata")
    script = f"import coshelf.cli.ls_command, sys; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
