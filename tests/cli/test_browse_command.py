"""``coshelf browse`` serves until Ctrl-C, what it can of any shelf."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.cli.commands import coshelf as group
from starting import environment


@contextmanager
def browsing(*arguments: str, cwd: Path, code: int = 0) -> Iterator[str]:
    """The start address of a process that serves a shelf. Ctrl-C ends it at the end of the block."""
    command = [sys.executable, "-m", "coshelf", "browse", *arguments]
    variables = environment() | {"XDG_STATE_HOME": str(cwd / "state")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=cwd, env=variables, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in said) == (code, False), said


def visit(start: str) -> str:
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(CookieJar()), urllib.request.ProxyHandler({})
    )
    with opener.open(start, timeout=60) as answer:
        return answer.read().decode()


def test_address_is_printed_and_ctrl_c_ends_it(tmp_path: Path, a_shelf: str) -> None:
    with browsing(a_shelf, "--no-open", cwd=tmp_path) as start:
        assert start.startswith("http://127.0.0.1:")
        assert "hello" in visit(start)
        with pytest.raises(urllib.error.HTTPError):
            visit(start.partition("?")[0])


def test_browser_that_does_not_return_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, a_shelf: str) -> None:
    is_served, is_over = threading.Event(), threading.Event()
    visits = []

    def in_the_terminal(address: str) -> None:
        visits.append((address, is_served.wait(60)))
        is_over.set()

    def run(*_, opening, **__) -> None:
        opening("the address")
        is_served.set()

    monkeypatch.setattr("coshelf.viewer.web.server.run", run)
    monkeypatch.setattr("webbrowser.open", in_the_terminal)
    monkeypatch.setattr("coshelf.cli.browse_command.is_terminal", lambda: True)
    group.main(["browse", str(tmp_path / a_shelf)], standalone_mode=False)
    assert is_over.wait(60)
    assert visits == [("the address", True)]
    group.main(["browse", str(tmp_path / a_shelf), "--no-open"], standalone_mode=False)
    assert len(visits) == 1


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Any], str | None]]:
    """The keys of the shelves that are served, and what each page says of them. Nothing is served."""
    found = []

    def run(shelf, host, port, *, write, started, opening, rescued) -> None:
        found.append((list(shelf), rescued))

    monkeypatch.setattr("coshelf.viewer.web.server.run", run)
    return found


def test_damaged_file_is_shown_as_far_as_it_can_be_read(tmp_path: Path, shown) -> None:
    path = str(tmp_path / "a.shelf")
    with coshelf.open(path) as shelf:
        shelf.update({f"k{number:04}": "x" * 500 for number in range(2_000)})
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(bytes(range(256)) * 16)
    group.main(["browse", path], standalone_mode=False)
    ((keys, rescued),) = shown
    assert 1_000 < len(keys) < 2_000
    assert f"a copy of the {len(keys):,} entries that can be read" in (rescued or "")
    with pytest.raises(coshelf.DamagedShelf):
        group.main(["browse", path, "--write"], standalone_mode=False)


def test_damage_of_another_engine_is_told_and_not_that_a_file_does_not_exist(tmp_path: Path, shown) -> None:
    path = tmp_path / "a.db"
    coshelf.open(f"sqlite:{path}").close()
    path.write_bytes(path.read_bytes().replace(b"tableshelfshelf", b"tablesh\x1blfshelf"))
    with pytest.raises(coshelf.DamagedShelf, match=r"a\.db is damaged"):
        group.main(["browse", f"sqlite:{path}"], standalone_mode=False)
    assert shown == []


def test_encrypted_shelf_shows_keys_without_its_secret(tmp_path: Path, shown) -> None:
    path = str(tmp_path / "a.shelf")
    with coshelf.open(path, encrypt=b"0123456789abcdef") as shelf:
        shelf["name"] = "the value"
    group.main(["browse", path], standalone_mode=False)
    assert shown == [(["name"], None)]
    with pytest.raises(coshelf.WrongKey):
        group.main(["browse", path, "--write"], standalone_mode=False)


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("coshelf browse nothing.shelf", 3, "nothing.shelf"),
        ("coshelf browse a.shelf --port 70000", 2, "0<=x<=65535"),
        ("echo text > b.txt; coshelf browse b.txt", 3, "not a shelf"),
        ("coshelf browse nowhere:a", 3, "nowhere"),
    ],
)
def test_what_cannot_be_shown_is_an_error(sh, a_shelf: str, line: str, code: int, words: str) -> None:
    out, said = sh(line, code)
    assert out == ""
    assert words in said
