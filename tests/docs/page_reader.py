"""A reader who does what a page says, from its first block to its last, in an empty folder."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from page_blocks import Block, blocks_of

import forked
from starting import Program
from starting import environment as of_tests

__all__ = ["PageReader", "QuickReader"]

LIMIT = 300.0
"""Seconds after which a command hangs."""
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
COMMAND_LINE = "from coshelf.cli import main; main()"


class PageReader:
    """Saves the files that a page shows, runs its Python, and types its commands into a shell.

    ``programs`` is the directory in which the shell finds ``python``, ``pip`` and ``coshelf``.
    """

    installs = True
    """Whether the reader does what a page says to install."""

    def __init__(self, folder: Path, programs: Path, **environment: str) -> None:
        self._folder = folder
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COSHELF"))}
        self._environment = outside | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
            "PYTHONUNBUFFERED": "1",  # a program that is killed has printed what it has said
            "XDG_STATE_HOME": str(folder.parent / "state"),
            **environment,
        }
        self._background: list[tuple[Block, subprocess.Popen[str], str]] = []
        self._printed = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what a page left running, if it failed."""
        for _, process, _ in self._background:
            process.kill()
            process.communicate()

    def do(self, page: Path) -> None:
        """Do everything on the page. AssertionError says the line of what did not come out as shown."""
        module = ModuleType("page_" + re.sub(r"\W", "_", page.stem))
        sys.modules[module.__name__] = module  # classes of the page are pickled by this name
        try:
            for block in blocks_of(page):
                if not block.note.startswith("not run: "):
                    self._do_block(block, module)
            while self._background:
                block, process, shown = self._background.pop()
                self._compare(block, process, shown, "the command in the background")
        finally:
            del sys.modules[module.__name__]

    def _do_block(self, block: Block, module: ModuleType) -> None:
        if block.note.startswith("in the background") and block.language == "python":
            process = self._start_python(block.text)
            self._background.append((block, process, block.note.partition(": ")[2]))
        elif block.file:
            (self._folder / block.file).write_text(block.text, "utf-8")
        elif block.language == "python" and ">>> " in block.text:
            self._do_examples(block, module)
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile("\n" * block.line + block.text, str(block.page), "exec"), vars(module))
            self._printed = printed.getvalue()
        elif block.language == "text" and self._printed:
            assert block.text == self._printed, f"{block.place}: it printed:\n{self._printed}"
            self._printed = ""
        elif block.language == "console":
            for command, shown in commands_of(block.text):
                self._type(block, command, shown)

    def _do_examples(self, block: Block, module: ModuleType) -> None:
        examples = doctest.DocTestParser().get_doctest(block.text, {}, block.page.name, str(block.page), block.line)
        examples.globs = vars(module)
        told: list[str] = []
        doctest.DocTestRunner(optionflags=FLAGS).run(examples, out=told.append, clear_globs=False)
        assert not told, "".join(told)

    def _type(self, block: Block, command: str, shown: str) -> None:
        if command.startswith("pip install ") and not self.installs:
            return
        process = self._start(command)
        if block.note == "in the background":
            self._background.append((block, process, shown))
            return
        self._compare(block, process, shown, command)

    def _start_python(self, program: str) -> subprocess.Popen[str]:
        return self._start(shlex.join(["python", "-c", program]))

    def _start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _compare(self, block: Block, process: subprocess.Popen[str], shown: str, command: str) -> None:
        try:
            said, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        where = f"{block.place}: {command!r} printed:\n{said}"
        is_as_shown = re.fullmatch(pattern_of(shown), said.rstrip())
        assert is_as_shown or command.startswith("pip install "), where
        may_fail = re.search("error|Error", shown) or (block.note == "in the background" and process.returncode == -9)
        assert process.returncode == 0 or may_fail, f"{where}exit: {process.returncode}"


class QuickReader(PageReader):
    """Uses the environment of the tests, and starts Python and ``coshelf`` without a shell where a line needs none."""

    installs = False

    def __init__(self, folder: Path, **environment: str) -> None:
        super().__init__(folder, Path(sys.executable).parent, PYTHONPATH=of_tests()["PYTHONPATH"], **environment)

    def _start(self, command: str) -> subprocess.Popen[str]:
        words = shlex.split(command)
        program: Program
        if re.search(r"[|&;<>$*~]", command) or words[0] not in {"python", "coshelf"}:
            return super()._start(command)
        if words[0] == "coshelf":
            program, arguments = COMMAND_LINE, words[1:]
        elif words[1] == "-c":
            program, arguments = words[2], words[3:]
        else:
            program, arguments = self._folder / words[1], words[2:]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return forked.start(program, *arguments, environment=self._environment, **streams)


def commands_of(text: str) -> list[tuple[str, str]]:
    """The commands of a block, each with the lines that it prints."""
    before, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not before.strip(), f"no command before {before!r}"
    found = []
    for part in parts:
        command, _, shown = part.partition("\n")
        while command.endswith("\\"):
            more, _, shown = shown.partition("\n")
            command = f"{command}\n{more}"
        found.append((re.sub(r"\s+# .*$", "", command), shown.rstrip()))
    return found


def pattern_of(shown: str) -> re.Pattern[str]:
    """What is shown, where three dots stand for anything."""
    return re.compile(".*".join(map(re.escape, shown.split("..."))), re.DOTALL)
