"""The examples in each command's help run as they stand, in one directory, and do what they say."""

from __future__ import annotations

import re
import shlex
import threading
from pathlib import Path

import click
import pytest

import coshelf
from coshelf.cli.commands import NAMES
from coshelf.cli.commands import coshelf as group
from coshelf.cli.examples import BEGINNING
from coshelf.sqlitedict import SqliteDict


def examples_of(name: str) -> list[str]:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.epilog is not None
    title, *lines = command.epilog.lstrip("\b\n").splitlines()
    assert title == "Examples:"
    return [line.strip() for line in lines]


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    """A directory with what the examples name."""
    with coshelf.open(tmp_path / "recipes.shelf") as shelf:
        shelf.update({"hello": 15, "soups/leek": {"minutes": 40}, "photo": b"\xff\xd8", "drafts/a": 1})
        shelf.queue("jobs").put("clean")
    with coshelf.open(tmp_path / "damaged.shelf") as shelf:
        shelf["hello"] = 15
    with SqliteDict(str(tmp_path / "old.db")) as old:
        old["soups/old"] = [1]
    (tmp_path / "more.jsonl").write_text('{"key":"soups/new","value":1}\n')
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("browse", "watch")])
def test_the_examples_of_every_command_run(sh, kitchen: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(kitchen)
    monkeypatch.setenv("XDG_STATE_HOME", str(kitchen / "state"))
    monkeypatch.setenv("EDITOR", "sh -c 'echo 16 > \"$1\"' --")
    lines = examples_of(name)
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"coshelf {name} ")
        if re.search("[<>|]", line):  # for a shell
            sh(line)
        else:
            group.main(shlex.split(line)[1:], standalone_mode=False)


def test_the_examples_of_watch_run_until_something_changes(kitchen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kitchen)
    lines = examples_of("watch")
    assert len(lines) == 2
    end = threading.Event()

    def change() -> None:
        with coshelf.open(kitchen / "recipes.shelf") as shelf:
            while not end.wait(0.05):
                shelf.incr("soups/kale")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for line in lines:
            count = [] if "--count" in line else ["--count", "1"]
            group.main([*shlex.split(line)[1:], *count], standalone_mode=False)
    finally:
        end.set()
        thread.join()


def test_the_examples_of_browse_run_until_ctrl_c(kitchen: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.chdir(kitchen)
    lines = examples_of("browse")
    assert len(lines) == 2
    server = "coshelf.viewer.web.server.run"
    for line in lines:

        def run(shelf, host, port, *, write, started, opening, rescued, line=line) -> None:
            assert (shelf["hello"], write, rescued) == (15, "--write" in line, None)
            started("http://127.0.0.1/")
            raise KeyboardInterrupt

        monkeypatch.setattr(server, run)
        group.main(shlex.split(line)[1:], standalone_mode=False)
    assert capfd.readouterr().out == "http://127.0.0.1/\n" * 2


def test_every_command_shows_its_examples_last(sh) -> None:
    out, _ = sh("coshelf get --help")
    assert out.endswith("\n".join(["", "  Examples:", *(f"    {line}" for line in examples_of("get"))]) + "\n")


def test_without_arguments_the_commands_to_begin_with_are_shown(sh) -> None:
    out, said = sh("coshelf", 2)
    assert out == ""
    assert said == BEGINNING
    lines = [re.split(r"\s{3,}", line.strip())[0] for line in said.splitlines() if line.startswith("  coshelf ")]
    assert len(lines) == 5
    for line in lines:
        assert line in {example for name in NAMES for example in examples_of(name)}
    assert max(map(len, said.splitlines())) <= 100
