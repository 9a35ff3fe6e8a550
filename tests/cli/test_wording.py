"""Commands name options; what the library says of its arguments is put into their words."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import coshelf
from coshelf.cli.wording import in_options

SOURCE = Path(coshelf.__file__).parent
ARGUMENTS = re.compile(
    r"\b(allow|codec|compress|durability|encrypt|flag|flush_interval|keyencoding|overwrite|protocol|recode|require|sign|"
    r"timeout|trust|type|writeback)=|flag 'r'|coshelf\.(open|check|salvage)\(|\bbackup\(\)"
)
# What no command can bring about: pickling an open shelf, training, typed values, recoding, train_dictionary().
NOT_FROM_COMMANDS = (
    *(
        "is not pickled",
        "recode=True notes",
        "does not fit type=",
        "type= goes with codec",
        "codec='msgspec', and type=",
    ),
    *("train_dictionary()", "a smaller size=", "compress must be", "in memory that is opened"),
)


def messages(path: Path) -> list[str]:
    """The texts in a module that are no docstrings, with {} for what is filled in."""
    tree = ast.parse(path.read_text())
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    passed |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            found.append("".join(map(str, parts)))
    return [text for text in found if " " in text]


def test_no_message_that_a_command_can_show_names_an_argument_of_python() -> None:
    left = []
    for path in SOURCE.rglob("*.py"):
        if {"cli", "testing", "sqlitedict"} & set(path.relative_to(SOURCE).parts):  # no command opens a SqliteDict
            continue
        for text in messages(path):
            is_reachable = not any(words in text for words in NOT_FROM_COMMANDS)
            if is_reachable and ARGUMENTS.search(in_options(text)):
                left.append((path.name, in_options(text)))
    assert left == []


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("coshelf get a.shelf k", 3, "give --encrypt-with FILE"),
        ("coshelf get a.shelf k --encrypt-with other", 3, "encrypted with the key"),
        ("coshelf set b.shelf k v --encrypt-with secret", 3, "leave --encrypt-with out"),
        ("coshelf get b.shelf k --encrypt-with short", 2, "the secret of --encrypt-with has at least 16 bytes"),
        ("coshelf get c.shelf k", 3, "give --sign-with FILE"),
        ("coshelf backup b.shelf c.shelf", 3, "--overwrite replaces a shelf"),
        ("coshelf edit d.shelf k", 3, "--trust-pickle"),
    ],
)
def test_errors_name_options(line: str, code: int, words: str, sh, tmp_path: Path) -> None:
    for name, secret in (("secret", b"0123456789abcdef"), ("other", b"fedcba9876543210"), ("short", b"short")):
        (tmp_path / name).write_bytes(secret)
    with coshelf.open(tmp_path / "a.shelf", encrypt=b"0123456789abcdef") as shelf:
        shelf["k"] = 1
    with coshelf.open(tmp_path / "b.shelf") as shelf:
        shelf["k"] = 1
    with coshelf.open(tmp_path / "c.shelf", sign=b"0123456789abcdef") as shelf:
        shelf["k"] = 1
    with coshelf.open(tmp_path / "d.shelf") as shelf:
        shelf["k"] = re.compile
    _, said = sh(line, code)
    assert words in said
    assert not ARGUMENTS.search(said)
