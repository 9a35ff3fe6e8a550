"""examples/index_stdlib.py, run as its users run it: in processes, on a small library made here and on the real one."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

import coshelf

EXAMPLE = Path(__file__).parents[1] / "examples" / "index_stdlib.py"
LIMIT = 300.0  # seconds; a run that needs them hangs

LIBRARY: dict[str, str | bytes] = {
    "alpha.py": '"""The first."""\nimport json\nimport os.path as paths\n\ndef open():\n    pass\n',
    "beta.py": "class Door:\n    def open(self): ...\n    async def shut(self): ...\nfrom json import loads\n",
    "gamma.py": "def outer():\n    def open():\n        import json.tool\n",
    "empty.py": "",
    "jsonish.py": "import jsonlike\nfrom jsonlike import json\n",
    "latin.py": b"# coding: latin-1\n'''\xe9t\xe9'''\n",
    "windows.py": "if True:\r\n    import os\r\nelse:\r\n    def reopen(): ...\r\n",
    "package/__init__.py": "from . import inner\n",
    "package/inner.py": "from .deep import thing\nfrom ..far import away\n",
    "package/deep/__init__.py": "from ..inner import *\n",
    "broken.py": "def broken(:\n",
    "null.py": "text = '\0'\n",
    "site-packages/foreign.py": "import json\ndef open(): ...\n",
    "__pycache__/cached.py": "import json\n",
    "notes.txt": "import json\n",
}
BROKEN = {"broken.py", "null.py"}
MODULES = {path for path in LIBRARY if path.endswith(".py") and not path.startswith(("site-packages", "__pycache__"))}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with the small library."""
    folder = tmp_path / "library"
    for path, text in LIBRARY.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.fixture
def large_library(tmp_path: Path) -> Path:
    """120 files that take two workers some seconds, so that a run can be interrupted in the middle."""
    folder = tmp_path / "large"
    folder.mkdir()
    text = "".join(f"def function_{number}(a, b):\n    return [a + b * {number}, a - b]\n" for number in range(400))
    for number in range(120):
        (folder / f"module_{number:03}.py").write_text(text)
    return folder


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The path for the index."""
    return tmp_path / "index.shelf"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example, imported as a module, as programs do that read its shelves."""
    monkeypatch.syspath_prepend(EXAMPLE.parent)
    yield importlib.import_module("index_stdlib")
    del sys.modules["index_stdlib"]


def command(shelf: Path, library: Path | None, *arguments: str) -> list[str]:
    where = ["--library", str(library)] if library else []
    return [sys.executable, str(EXAMPLE), "--shelf", str(shelf), *where, *arguments]


def environment() -> dict[str, str]:
    source = str(Path(coshelf.__file__).parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))}


def run(shelf: Path, library: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(shelf, library, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def ask(shelf: Path, library: Path | None, *arguments: str) -> list[str]:
    """The lines of an answer, after a run that must succeed."""
    done = run(shelf, library, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def counts(stderr: str) -> tuple[int, int, int]:
    """How many files were parsed anew, were unchanged and were gone."""
    found = re.search(r"^(\d+) parsed anew, (\d+) unchanged, (\d+) gone", stderr, re.MULTILINE)
    assert found, stderr
    return int(found[1]), int(found[2]), int(found[3])


class Run:
    """A run in its own process group, stopped in the middle: entered when a tenth of the work is stored."""

    def __init__(self, shelf: Path, library: Path) -> None:
        # A test run in the background ignores Ctrl-C, and so would its children.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            command(shelf, library, "--workers", "2", "--largest", "1000"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        signal.signal(signal.SIGINT, handler)
        self.watchdog = threading.Timer(LIMIT, self.stop)
        self.stderr = ""

    def __enter__(self) -> Self:
        self.watchdog.start()
        assert self.process.stderr
        self.stderr = self.process.stderr.readline()
        assert self.stderr.startswith("parsed "), self.stderr + self.process.stderr.read()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.watchdog.cancel()
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, stdout and stderr once parent and workers have all ended: each of them holds the pipes open."""
        stdout, stderr = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, stdout, self.stderr + stderr


def owners(shelf: Path) -> set[int]:
    """The processes that work on files now, according to the shelf."""
    with coshelf.open(shelf, "r") as opened:
        return {owner for owner in opened.sub("queue").values() if owner is not None}


# --- answers ---------------------------------------------------------------------------------------------------------


def test_imports_names_all_modules_that_import_it_and_no_others(shelf: Path, library: Path) -> None:
    assert ask(shelf, library, "--imports", "json") == ["alpha.py:2: alpha", "beta.py:4: beta", "gamma.py:3: gamma"]
    assert ask(shelf, library, "--imports", "json.tool") == ["gamma.py:3: gamma"]
    assert ask(shelf, library, "--imports", "os") == ["alpha.py:3: alpha", "windows.py:2: windows"]


def test_relative_imports_are_found_by_the_full_name(shelf: Path, library: Path) -> None:
    assert ask(shelf, library, "--imports", "package.inner") == [
        "package/__init__.py:1: package",
        "package/deep/__init__.py:1: package.deep",
    ]
    assert ask(shelf, library, "--imports", "package.deep.thing") == ["package/inner.py:1: package.inner"]
    assert ask(shelf, library, "--imports", "far") == ["package/inner.py:2: package.inner"]


def test_function_finds_functions_methods_and_nested_functions(shelf: Path, library: Path) -> None:
    assert ask(shelf, library, "--function", "open") == [
        "alpha.py:5: alpha.open",
        "beta.py:2: beta.Door.open",
        "gamma.py:2: gamma.outer.open",
    ]
    assert ask(shelf, library, "--function", "Door.shut") == ["beta.py:3: beta.Door.shut"]


def test_largest_orders_by_lines(shelf: Path, library: Path) -> None:
    assert [line.split() for line in ask(shelf, library, "--largest", "3")] == [
        ["6", "alpha.py"],
        ["4", "beta.py"],
        ["4", "windows.py"],
    ]


def test_summary_counts_everything_and_says_what_does_not_parse(shelf: Path, library: Path) -> None:
    lines = [line.strip() for line in ask(shelf, library)]
    total = sum(len((library / path).read_bytes().splitlines()) for path in MODULES)
    assert lines[:5] == [
        f"{len(MODULES)} modules",
        f"{total} lines",
        "6 functions and methods",
        "1 classes",
        "2 files that do not parse",
    ]
    assert lines[5].startswith("broken.py: SyntaxError: invalid syntax")
    assert lines[6].startswith("null.py: ")
    assert lines.count("alpha.py:2: alpha") == lines.count("alpha.py:5: alpha.open") == 1


def test_modules_can_be_read_by_whoever_imports_the_example(shelf: Path, library: Path, example: Any) -> None:
    ask(shelf, library)
    with coshelf.open(shelf, "r") as opened:
        modules = dict(opened.sub("modules").items())
        assert not opened.sub("queue")
    assert modules.keys() == MODULES
    assert all(type(module) is example.Module for module in modules.values())
    assert {path for path, module in modules.items() if module.error} == BROKEN
    assert modules["alpha.py"].docstring == "The first."
    assert modules["latin.py"].docstring == "été"
    assert modules["beta.py"].classes == [example.Name("Door", 1)]
    status = (library / "alpha.py").stat()
    assert modules["alpha.py"].stamp == (status.st_mtime_ns, status.st_size)


PACKAGES = ("asyncio", "collections", "email", "http", "importlib", "json", "logging")


@pytest.fixture(params=["a part", pytest.param("all of it", marks=pytest.mark.long)])
def real_library(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The standard library: as it is, or some packages and a third of the modules."""
    whole = Path(sysconfig.get_path("stdlib"))
    if request.param == "all of it":
        return whole
    part = tmp_path / "part"
    for package in PACKAGES:
        shutil.copytree(whole / package, part / package)
    for module in sorted(whole.glob("*.py"))[::3]:
        shutil.copy(module, part)
    return part


@pytest.mark.timeout(600)
def test_real_library_is_indexed_right(shelf: Path, real_library: Path) -> None:
    root = real_library
    paths = [path for path in root.rglob("*.py") if not {"site-packages", "dist-packages"} & set(path.parts)]
    sources = {
        path.relative_to(root).as_posix(): path.read_bytes() for path in paths if "__pycache__" not in path.parts
    }

    summary = ask(shelf, root)
    assert summary[0].split() == [f"{len(sources):,}", "modules"]
    assert summary[1].split() == [f"{sum(len(source.splitlines()) for source in sources.values()):,}", "lines"]

    imports, functions = set(), set()
    for path, source in sources.items():
        if re.search(rb"import.*\bjson\b|\bjson\b.*import|def\s+open\b", source) or path.startswith("json/"):
            for node in ast.walk(ast.parse(source)):
                match node:
                    case ast.Import(names=names) if any(f"{name.name}.".startswith("json.") for name in names):
                        imports.add(path)
                    case ast.ImportFrom(module=str(module), level=0) if f"{module}.".startswith("json."):
                        imports.add(path)
                    case ast.ImportFrom(level=1) if re.fullmatch(r"json/[^/]*", path):
                        imports.add(path)
                    case ast.FunctionDef(name="open") | ast.AsyncFunctionDef(name="open"):
                        functions.add(f"{path}:{node.lineno}")

    assert len(imports) > 3
    assert len(functions) > 2
    assert {line.partition(":")[0] for line in ask(shelf, root, "--imports", "json")} == imports
    found = ask(shelf, root, "--function", "open")
    assert {line.rpartition(": ")[0] for line in found} == functions
    assert len(found) == len(functions)
    longest = max(sources.items(), key=lambda item: len(item[1].splitlines()))
    assert ask(shelf, root, "--largest", "1")[0].split() == [f"{len(longest[1].splitlines()):,}", longest[0]]


# --- the second run --------------------------------------------------------------------------------------------------


def test_second_run_parses_nothing(shelf: Path, library: Path) -> None:
    assert counts(run(shelf, library).stderr) == (len(MODULES), 0, 0)
    assert counts(run(shelf, library).stderr) == (0, len(MODULES), 0)


def test_changed_file_is_the_only_one_parsed_again(shelf: Path, library: Path) -> None:
    ask(shelf, library)
    (library / "beta.py").write_text("def open_again(): ...\n")
    again = run(shelf, library, "--function", "open_again")
    assert counts(again.stderr) == (1, len(MODULES) - 1, 0)
    assert again.stdout == "beta.py:1: beta.open_again\n"
    assert ask(shelf, library, "--imports", "json") == ["alpha.py:2: alpha", "gamma.py:3: gamma"]


def test_file_that_only_got_a_new_time_is_parsed_again(shelf: Path, library: Path) -> None:
    ask(shelf, library)
    os.utime(library / "alpha.py", ns=(1, 1))
    assert counts(run(shelf, library).stderr) == (1, len(MODULES) - 1, 0)


def test_new_file_is_added_and_deleted_file_disappears(shelf: Path, library: Path) -> None:
    ask(shelf, library)
    (library / "alpha.py").unlink()
    (library / "package" / "new.py").write_text("import json\n")
    again = run(shelf, library, "--imports", "json")
    assert counts(again.stderr) == (1, len(MODULES) - 1, 1)
    assert again.stdout.splitlines() == ["beta.py:4: beta", "gamma.py:3: gamma", "package/new.py:1: package.new"]


# --- wrong input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["--imports", "--function"])
def test_nothing_found_is_a_message_and_exit_1(shelf: Path, library: Path, question: str) -> None:
    done = run(shelf, library, question, "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"^error: .*'nowhere'$", done.stderr, re.MULTILINE)


def test_something_else_at_the_shelf_is_exit_3_and_stays_as_it_is(shelf: Path, library: Path) -> None:
    shelf.write_text("minutes of the meeting\n" * 1000)
    done = run(shelf, library)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: ")
    assert str(shelf) in done.stderr
    assert "Traceback" not in done.stderr
    assert shelf.read_text() == "minutes of the meeting\n" * 1000


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--largest", "-1"], ["--imports", "a", "--function", "b"]])
def test_wrong_usage_is_exit_2(shelf: Path, library: Path, arguments: list[str]) -> None:
    assert run(shelf, library, *arguments).returncode == 2
    assert run(shelf, library / "alpha.py").returncode == 2
    assert not shelf.exists()


def test_reader_that_has_left_is_no_error(shelf: Path, library: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command(shelf, library),
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 0
    assert counts(done.stderr) == (len(MODULES), 0, 0)
    assert "Error" not in done.stderr


# --- interrupted -----------------------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_is_stored_and_the_next_run_does_the_rest(shelf: Path, large_library: Path) -> None:
    with Run(shelf, large_library) as running:
        os.killpg(running.process.pid, signal.SIGINT)  # a terminal's Ctrl-C goes to workers, too
        code, stdout, stderr = running.finish()
    assert (code, stdout) == (130, "")
    assert stderr.splitlines()[-1].startswith("interrupted: ")
    assert "Traceback" not in stderr

    again = run(shelf, large_library, "--largest", "1000")
    parsed, unchanged, _ = counts(again.stderr)
    assert parsed > 0
    assert unchanged > 0
    assert parsed + unchanged == len(again.stdout.splitlines()) == 120


def test_killed_worker_is_replaced_and_nothing_is_missing(shelf: Path, large_library: Path) -> None:
    with Run(shelf, large_library) as running:
        victim = min(owners(shelf))
        os.kill(victim, signal.SIGKILL)
        code, stdout, stderr = running.finish()
    assert code == 0, stderr
    assert re.search(rf"^worker {victim} was ended by SIGKILL; ", stderr, re.MULTILINE)
    assert len(stdout.splitlines()) == 120


def test_workers_killed_again_and_again_end_the_run_with_exit_1(shelf: Path, large_library: Path) -> None:
    killed: set[int] = set()
    with Run(shelf, large_library) as running:
        while running.process.poll() is None:
            for victim in owners(shelf) - killed:
                killed.add(victim)
                os.kill(victim, signal.SIGKILL)
        code, stdout, stderr = running.finish()
    assert (code, stdout) == (1, "")
    assert len(killed) == 4  # two workers and their two replacements
    assert re.search(r"^error: \d+ files could not be parsed yet; run again to continue$", stderr, re.MULTILINE)
    assert len(ask(shelf, large_library, "--largest", "1000")) == 120


def test_killed_parent_leaves_a_shelf_that_the_next_run_completes(shelf: Path, large_library: Path) -> None:
    with Run(shelf, large_library) as running:
        os.killpg(running.process.pid, signal.SIGKILL)
        running.finish()
    again = run(shelf, large_library, "--largest", "1000")
    parsed, unchanged, _ = counts(again.stderr)
    assert unchanged > 0
    assert parsed + unchanged == len(again.stdout.splitlines()) == 120


# --- the screen ------------------------------------------------------------------------------------------------------


def test_progress_is_plain_lines_on_stderr_when_piped(shelf: Path, library: Path) -> None:
    done = run(shelf, library, "--largest", "1")
    assert done.stderr.splitlines()[-2] == f"parsed {len(MODULES)} of {len(MODULES)}"
    assert done.stdout == "      6  alpha.py\n"


@pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="rich draws the bar")
def test_progress_is_a_bar_on_a_terminal(shelf: Path, library: Path) -> None:
    screen, terminal = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=lambda: shown.extend(iter_terminal(screen)))
    reader.start()
    done = subprocess.run(
        command(shelf, library, "--largest", "1"),
        env=environment() | {"TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=terminal,
        timeout=LIMIT,
        check=True,
    )
    os.close(terminal)
    reader.join()
    os.close(screen)
    assert done.stdout == b"      6  alpha.py\n"
    assert b"100%" in b"".join(shown)
    assert b"\x1b[" in b"".join(shown)


def iter_terminal(screen: int) -> Iterator[bytes]:
    """What is written to a terminal until no process has it open."""
    while True:
        try:
            piece = os.read(screen, 4096)
        except OSError:  # the end, on Linux
            return
        if not piece:
            return
        yield piece
