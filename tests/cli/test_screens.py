"""What reaches a terminal, and how keys are written and read."""

from __future__ import annotations

import io
import os
import pickle
import pty
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import coshelf
from coshelf import keys
from coshelf.cli import main
from coshelf.cli.key_text import read_key, read_literal, text_of_key
from coshelf.opening import open_with_codec
from coshelf.screen import is_plain, plain
from coshelf.values.front_doors import RAW_PICKLES

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202eabc\u2066\u200b\u00ad\ufe0f\u2028\x7f\r"
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]"
)

elements = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.binary(max_size=8)
    | st.text(max_size=8)
    | st.sampled_from(
        ["None", "True", "1", "1.5", "b'x'", "('a',)", "'q'", ' "', "", " ", "-x", "1e9", "inf", "0x1", "u''"]
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


# --- keys ------------------------------------------------------------------------------------------------------------


@given(elements)
@example("it's")
@example("\\'")
@example("\ud800\udcff")
@example(10**5_000)
@example((float("-inf"), (10**5_000,)))
@example("❤\ufe0f")
def test_key_that_is_shown_is_read_as_the_same_key(key: Any) -> None:
    for text, read in ((text_of_key(key), read_key), (text_of_key(key, literal=True), read_literal)):
        assert is_plain(text) and "\n" not in text
        assert keys.encode(read(text)) == keys.encode(key)
        assert type(read(text)) is str or not isinstance(key, str)


def test_keys_that_look_alike_are_listed_apart_and_each_names_its_entry(sh, tmp_path: Path) -> None:
    alike = [None, "None", 1, "1", ("a", 1), " a "]
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({key: f"value of {key!r}" for key in alike})
    lines = sh("coshelf ls a.shelf")[0].splitlines()
    assert len(set(lines)) == len(alike)
    out, _ = sh('coshelf ls a.shelf | while IFS= read -r key; do coshelf get a.shelf "$key"; echo; done')
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert out.splitlines() == list(shelf.values())
    out, _ = sh("coshelf ls a.shelf | xargs -d '\\n' -I KEY coshelf set a.shelf KEY new")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert len(shelf) == len(alike) and set(shelf.values()) == {"new"}
    sh("coshelf ls a.shelf | xargs -d '\\n' coshelf del a.shelf --yes")
    assert sh("coshelf ls a.shelf")[0] == ""


def test_str_that_is_typed_as_a_literal_is_named_with_str_key(sh, tmp_path: Path) -> None:
    sh("coshelf set a.shelf -s 15 text; coshelf set a.shelf 15 number")
    assert sh("coshelf get a.shelf -s 15")[0] == "text"
    assert sh("coshelf get a.shelf \"'15'\"")[0] == "text"
    assert sh("coshelf get a.shelf 15")[0] == "number"
    assert sh("coshelf ls a.shelf")[0] == "15\n'15'\n"


# --- terminals -------------------------------------------------------------------------------------------------------


class Named:
    """A pickle of a class, of this name."""

    def __init__(self, name: str) -> None:
        text = name.encode()
        self.pickle = b"\x80\x04\x8c\x03mod\x8c" + bytes([len(text)]) + text + b"\x93)R."


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    old = b"cmod\n" + HOSTILE.replace("\r", "").encode() + b"\n."
    identity = b"P" + HOSTILE.replace("\r", "").encode() + b"\n."
    with open_with_codec(tmp_path / "a.shelf", "c", RAW_PICKLES) as shelf:
        shelf[HOSTILE] = pickle.dumps(HOSTILE)
        shelf[HOSTILE + "/x"] = pickle.dumps({HOSTILE: [HOSTILE]})
        shelf["named"] = Named(HOSTILE).pickle
        shelf["global"], shelf["identity"] = old, identity
        shelf["json"] = pickle.dumps({"a": HOSTILE})
        shelf[(HOSTILE, 1)] = pickle.dumps((HOSTILE,))
    (tmp_path / "a.jsonl").write_text('{"key": "%s", "pickle": 1}\n' % ("\\u001b[2J" * 3))
    return "a.shelf"


@pytest.fixture
def on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Runs a command with standard output on a terminal, and gives back what it has written there and elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(line: str) -> str:
        controller, terminal = pty.openpty()
        found: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(controller, found))
        reader.start()
        said = io.StringIO()
        with monkeypatch.context() as patched, open(terminal, "w", encoding="utf-8") as screen:
            patched.setattr(sys, "argv", ["coshelf", *shlex.split(line)])
            patched.setattr(sys, "stdout", screen)
            patched.setattr(sys, "stderr", said)
            with pytest.raises(SystemExit):
                main()
        reader.join()
        os.close(controller)
        return b"".join(found).decode().replace("\r\n", "\n") + said.getvalue()

    return run


def _read_all(controller: int, found: list[bytes]) -> None:
    while True:
        try:
            data = os.read(controller, 65_536)
        except OSError:  # of a terminal that nobody writes to any more
            return
        if not data:
            return
        found.append(data)


def test_no_command_writes_a_control_character_of_a_key_or_value_to_a_terminal(
    hostile: str, tmp_path: Path, on_a_terminal: Callable[[str], str]
) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        names = [shlex.quote(text_of_key(key)) for key in shelf]
    lines = ["ls a.shelf", "ls -l a.shelf", "ls --json a.shelf", "stats a.shelf", "check a.shelf", "info a.shelf"]
    for name in names:
        lines += [f"get a.shelf {name}", f"get a.shelf {name} --preview"]
    for name in ("named", "json", names[0]):
        lines += [f"get a.shelf {name} {option}" for option in ("--opcodes", "--pickle", "--json")]
    lines += [f"set a.shelf {names[-1]} x --new", f"del a.shelf --dry-run {' '.join(names)} {names[0]}x"]
    lines += ["import a.jsonl b.shelf", "export a.shelf -", "copy a.shelf c.shelf", f"get a.shelf -s {names[0]}"]
    lines += [f"get 'no\x1b[2Jne' {names[0]}", f"edit a.shelf {names[0]}"]
    lines += ["salvage a.shelf d.shelf", "get a.shelf global --trust-pickle", "get a.shelf -k '\x1b[2J'"]
    for line in lines:
        said = on_a_terminal(line)
        assert CONTROLS.findall(said) == [], line
        assert "Traceback" not in said, line


def test_what_goes_to_a_pipe_stays_exact(hostile: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coshelf", "get", "a.shelf", text_of_key(HOSTILE)], cwd=tmp_path, capture_output=True
    )
    assert done.stdout == HOSTILE.encode()


def test_errors_and_notebooks_of_the_library_have_no_control_characters(hostile: str, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", trust=False) as shelf:
        for key in ("named", "global", "identity", HOSTILE + "?"):
            with pytest.raises((coshelf.UntrustedValue, coshelf.UnreadableValue, KeyError)) as caught:
                shelf[key]
            if not isinstance(caught.value, KeyError):  # which shows its key as Python does
                assert not CONTROLS.search(str(caught.value)) and not CONTROLS.search(repr(caught.value))
        for key in shelf:
            preview = shelf.preview(key)
            assert not any(CONTROLS.search(text) for text in (preview.type, preview.text, *preview.names))
        assert not CONTROLS.search(shelf._repr_html_())
    with coshelf.open(tmp_path / "a.shelf", trust=True) as shelf, pytest.raises(coshelf.UnreadableValue) as unreadable:
        shelf["global"]
    assert not CONTROLS.search(str(unreadable.value))


@given(st.text())
def test_plain_text_stays_and_other_is_escaped_without_a_trace(text: str) -> None:
    shown = plain(text)
    assert not CONTROLS.search(shown) and plain(shown) == shown
    if text.isascii() and text.isprintable():
        assert shown == text
