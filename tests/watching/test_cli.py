"""``coshelf watch``, from a shell."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf

Watching = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=["lmdb", "sqlite", "files"])
def url(request: pytest.FixtureRequest, path: str) -> str:
    return path if request.param == "lmdb" else f"{request.param}:{path}"


@pytest.fixture
def watching() -> Iterator[Watching]:
    """Starts ``coshelf watch``, and returns when it watches."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "coshelf", "watch", *arguments]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(program)
        assert program.stderr is not None
        said = program.stderr.readline()
        assert said.startswith("watching "), said + program.stderr.read()
        return program

    yield start
    for program in started:
        if program.poll() is None:
            program.kill()
        program.communicate()


def lines_of(program: subprocess.Popen[str], count: int) -> list[str]:
    assert program.stdout is not None
    return [program.stdout.readline().rstrip("\n") for _ in range(count)]


class Mine:
    """No plain data."""


def test_each_change_is_a_line_at_once(url: str, watching: Watching) -> None:
    with coshelf.open(url) as shelf:
        program = watching(url)
        shelf["jobs/1"] = {"a": [1, 2]}
        assert lines_of(program, 1) == ["set      jobs/1  {'a': [1, 2]}"]
        shelf["jobs", 2] = Mine()
        (line,) = lines_of(program, 1)
        assert line.startswith("set      ('jobs', 2)  ")
        assert "Mine" in line
        del shelf["jobs/1"]
        assert lines_of(program, 1) == ["deleted  jobs/1"]


def test_json_lines_say_where_to_go_on(path: str, watching: Watching) -> None:
    url = f"sqlite:{path}"
    with coshelf.open(url) as shelf:
        program = watching(url, "jobs/*", "--json")
        shelf.update({"jobs/1": 1, "jobs/2": "two", "other": 3})
        found = [json.loads(line) for line in lines_of(program, 2)]
        assert [(line["key"], line["kind"], line["type"], line["text"]) for line in found] == [
            ("jobs/1", "set", "int", "1"),
            ("jobs/2", "set", "str", "'two'"),
        ]
        program.kill()
        shelf["jobs/1"] = 5
        for line, expected in ((found[0], ["jobs/2", "jobs/1"]), (found[1], ["jobs/1"])):
            again = watching(url, "jobs/*", "--json", "--since", str(line["version"]), "-n", str(len(expected)))
            assert [json.loads(line)["key"] for line in lines_of(again, len(expected))] == expected
            assert again.wait(60) == 0


def test_gap_is_a_line(path: str, watching: Watching) -> None:
    with coshelf.open(f"sqlite:{path}") as shelf:
        shelf["b"] = 1
        before = str(shelf.record("b").version)  # unlike that of the shelf, it has nothing kept
        shelf["a"] = 1
        program = watching(f"sqlite:{path}", "--since", before, "--count", "1")
        assert lines_of(program, 1) == ["gap"]
        program = watching(f"sqlite:{path}", "--since", before, "--json", "--count", "1")
        assert json.loads(lines_of(program, 1)[0]) == {"kind": "gap", "version": shelf.version}


def test_count_and_timeout_end_it(url: str, watching: Watching) -> None:
    with coshelf.open(url) as shelf:
        program = watching(url, "-n", "2", "--prefix", "a", "--literal")
        shelf["a"] = 1
        shelf["b"] = 2
        shelf["ab"] = 3
        assert program.wait(60) == 0
        assert program.communicate()[0] == "set      'a'  1\nset      'ab'  3\n"
        assert watching(url, "--timeout", "0").wait(60) == 0
        assert watching(url, "--timeout", "0.01s", "--count", "1").wait(60) == 1


def test_latest_prints_what_waits_once(path: str, watching: Watching) -> None:
    url = f"sqlite:{path}"
    with coshelf.open(url) as shelf, shelf.watch() as watch:
        begin = str(watch.version)
        for number in range(5):
            shelf["a"] = number
        program = watching(url, "--latest", "--since", begin, "--timeout", "0")
        assert program.communicate()[0] == "set      a  4\n"


def test_ctrl_c_ends_it_cleanly(url: str, watching: Watching) -> None:
    coshelf.open(url).close()
    program = watching(url)
    program.send_signal(signal.SIGINT)
    out, said = program.communicate(timeout=60)
    assert (program.returncode, out, said) == (0, "", "")


def test_end_of_the_reader_ends_it_while_nothing_changes(url: str, watching: Watching) -> None:
    coshelf.open(url).close()
    program = watching(url)
    assert program.stdout is not None
    program.stdout.close()
    program.stdout = None  # communicate() in the fixture would read it
    assert program.wait(60) == 3
    assert program.stderr is not None
    assert program.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{url}", "--since", "nonsense"], 2, "no position"),
        (["{url}", "--since", "999999"], 2, "no position"),
        (["{url}", "--count", "0"], 2, "--count"),
        (["{url}", "--timeout", "soon"], 2, "not a duration"),
        (["{url}-missing"], 3, "no shelf exists"),
    ],
)
def test_what_cannot_be_is_said(path: str, arguments: list[str], code: int, said: str) -> None:
    url = f"sqlite:{path}"
    coshelf.open(url).close()
    words = [each.format(url=url) for each in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "coshelf", "watch", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_shelf_of_another_user_is_watched_without_unpickling(path: str, watching: Watching, tmp_path: Path) -> None:
    mark: Any = tmp_path / "ran"
    with coshelf.open(f"sqlite:{path}") as shelf:
        program = watching(f"sqlite:{path}", "-n", "1")
        shelf["evil"] = _Runs(str(mark))
        assert program.wait(60) == 0
    assert not mark.exists()


class _Runs:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)
