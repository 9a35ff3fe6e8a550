"""Four processes index Python's standard library into one shelf, and the shelf answers questions about it.

    python index_stdlib.py [--imports MODULE | --function NAME | --largest N]

The shelf holds an object for each file under ``modules/``, and what is still to be parsed under ``queue/``. Workers
take files from there and the parent watches it shrink. The next run parses only what has changed since.
"""

from __future__ import annotations

import argparse
import ast
import os
import signal
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import coshelf

# Each commit is durable and costs a trip to the disk, so a worker stores and takes this many files in one.
BATCH = 8


@dataclass
class Name:
    """A function, method, class or import: its dotted name and its line."""

    name: str
    line: int


@dataclass
class Module:
    """What the index knows of one file; ``error`` says why it is little, if the file does not parse."""

    path: str
    stamp: tuple[int, int] = (0, 0)
    lines: int = 0
    docstring: str | None = None
    functions: list[Name] = field(default_factory=list)
    classes: list[Name] = field(default_factory=list)
    imports: list[Name] = field(default_factory=list)
    error: str | None = None

    @property
    def name(self) -> str:
        """The name to import the module by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def find_files(library: Path) -> dict[str, tuple[int, int]]:
    """All Python files of the library, with their last change in nanoseconds and their size in bytes."""
    found: dict[str, tuple[int, int]] = {}
    for folder, subfolders, names in os.walk(library):
        subfolders[:] = set(subfolders) - {"__pycache__", "dist-packages", "site-packages"}
        paths = [Path(folder, name) for name in names if name.endswith(".py")]
        found |= {path.relative_to(library).as_posix(): stamp(path) for path in paths if path.is_file()}
    return found


def stamp(path: Path) -> tuple[int, int]:
    """Tell one version of a file from the next."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def parse(library: Path, path: str) -> Module:
    """Read and parse one file of the library."""
    module = Module(path)
    try:
        before = stamp(library / path)  # before reading: what is written to meanwhile is parsed again by the next run
        source = (library / path).read_bytes()
        module.stamp, module.lines = before, len(source.splitlines())
        tree = ast.parse(source, path)
        module.docstring = ast.get_docstring(tree)
        collect(module, tree, "")
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        module.error = f"{type(error).__name__}: {error}"
    return module


def collect(module: Module, parent: ast.AST, scope: str) -> None:
    """Note what is defined and imported below a node; ``scope`` names the classes and functions around it."""
    for node in ast.iter_child_nodes(parent):
        inside = scope
        match node:
            case ast.expr():
                continue  # most of the tree, and nothing is defined or imported in there
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = module.classes if isinstance(node, ast.ClassDef) else module.functions
                names.append(Name(scope + node.name, node.lineno))
                inside = f"{scope}{node.name}."
            case ast.Import():
                module.imports += [Name(alias.name, node.lineno) for alias in node.names]
            case ast.ImportFrom():  # noted in full: `from json import loads` as json.loads, dots as the package's name
                package = module.path.split("/")[:-1] if node.level else []
                origin = [*package[: max(0, len(package) + 1 - node.level)], *filter(None, [node.module])]
                module.imports += [Name(".".join([*origin, alias.name]), node.lineno) for alias in node.names]
        collect(module, node, inside)


def plan(shelf: coshelf.Shelf[str, Any], library: Path) -> tuple[int, int, int]:
    """Queue what is new or has changed and forget what is gone, in one commit. Returns how many, and the rest."""
    files = find_files(library)
    with shelf.transaction() as transaction:
        modules, queue = transaction.sub("modules"), transaction.sub("queue")
        known = {path: module.stamp for path, module in modules.items()}
        changed = [path for path, stamp in files.items() if known.get(path) != stamp]
        gone = known.keys() - files.keys()
        for path in gone:
            del modules[path]
        queue.clear()  # an interrupted run may have left something
        queue.update(dict.fromkeys(changed))
    return len(changed), len(gone), len(files) - len(changed)


def work(shelf: coshelf.Shelf[str, Any], library: Path) -> None:
    """Parse files from the queue until there are none left: what a worker process does."""
    warnings.simplefilter("ignore")  # the parser's, about the library's code
    done: list[Module] = []
    try:
        while batch := exchange(shelf, done):
            done = [parse(library, path) for path in batch]
    except coshelf.CoshelfError as error:
        sys.exit(f"error: {error}")


def exchange(shelf: coshelf.Shelf[str, Any], done: list[Module]) -> list[str]:
    """Store what this worker has parsed and claim files that nobody has, in one commit: no two workers get the same."""
    with shelf.transaction() as transaction:
        modules, queue = transaction.sub("modules"), transaction.sub("queue")
        for module in done:
            modules[module.path] = module
            queue.pop(module.path, None)
        free = list(islice((path for path, owner in queue.items() if owner is None), BATCH))
        queue.update(dict.fromkeys(free, os.getpid()))
    return free


def give_back(shelf: coshelf.Shelf[str, Any], worker: SpawnProcess) -> None:
    """Free the files that a dead worker had claimed, and say so."""
    with shelf.transaction() as transaction:
        queue = transaction.sub("queue")
        lost = [path for path, owner in queue.items() if owner == worker.pid]
        queue.update(dict.fromkeys(lost))
    cause = signal.Signals(-code).name if (code := worker.exitcode or 0) < 0 else f"exit code {code}"
    print(f"worker {worker.pid} was ended by {cause}; the {len(lost)} files it had are free again", file=sys.stderr)


def run_workers(shelf: coshelf.Shelf[str, Any], library: Path, count: int) -> int:
    """Let worker processes empty the queue. Returns how many files are left, which is none unless workers died."""
    queue = shelf.sub("queue")
    total = len(queue)
    workers = [start_worker(shelf, library) for _ in range(min(count, total))]
    replacements = count  # no more, for there may be a file that kills whoever parses it
    try:
        with showing_progress(total) as show:
            while workers:
                workers[0].join(timeout=0.1)
                show(total - len(queue))
                for worker in [worker for worker in workers if worker.exitcode is not None]:
                    workers.remove(worker)
                    if worker.exitcode:
                        give_back(shelf, worker)
                        if worker.exitcode < 0 and replacements:
                            replacements -= 1
                            workers.append(start_worker(shelf, library))
    finally:
        for worker in workers:  # safe at any point: a commit is whole or is not there, and locks end with the process
            worker.kill()
            worker.join()
    return len(queue)


def start_worker(shelf: coshelf.Shelf[str, Any], library: Path) -> SpawnProcess:
    """Start a process that leaves Ctrl-C to its parent. The shelf is an argument like any other."""
    worker = SpawnProcess(target=work, args=(shelf, library), daemon=True)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited, so that it also holds while the worker imports
    worker.start()
    signal.signal(signal.SIGINT, handler)
    return worker


@contextmanager
def showing_progress(total: int) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of files done: a bar on a terminal that has rich, else lines."""
    if sys.stderr.isatty() and find_spec("rich"):
        from rich import console, progress

        with progress.Progress(console=console.Console(stderr=True)) as bar:
            task = bar.add_task("parsing", total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    shown = {0}

    def show(done: int) -> None:
        if (tenth := done * 10 // total) not in shown:
            shown.add(tenth)
            print(f"parsed {done} of {total}", file=sys.stderr)

    yield show


def importers(modules: list[Module], name: str) -> list[str]:
    """The modules that import this one or something in it, and where they first do so."""
    found = ((m, [i.line for i in m.imports if f"{i.name}.".startswith(f"{name}.")]) for m in modules)
    return [f"{module.path}:{lines[0]}: {module.name}" for module, lines in found if lines]


def definitions(modules: list[Module], name: str) -> list[str]:
    """Where functions and methods of this name are defined."""
    found = ((m, f) for m in modules for f in m.functions if f".{f.name}".endswith(f".{name}"))
    return [f"{module.path}:{function.line}: {module.name}.{function.name}" for module, function in found]


def largest(modules: list[Module], count: int) -> list[str]:
    """The modules with the most lines."""
    return [f"{m.lines:7,}  {m.path}" for m in sorted(modules, key=lambda module: -module.lines)[:count]]


def summary(modules: list[Module]) -> list[str]:
    """All in numbers, the files that do not parse, and three sample questions."""
    failed = [f"    {module.path}: {module.error}" for module in modules if module.error]
    lines = [
        f"{len(modules):9,} modules",
        f"{sum(m.lines for m in modules):9,} lines",
        f"{sum(len(m.functions) for m in modules):9,} functions and methods",
        f"{sum(len(m.classes) for m in modules):9,} classes",
        f"{len(failed):9,} files that do not parse",
        *failed,
    ]
    for question, found in {
        "Which modules import json? (--imports json)": importers(modules, "json"),
        "Where are functions named open? (--function open)": definitions(modules, "open"),
        "Which modules are the largest? (--largest 5)": largest(modules, len(modules)),
    }.items():
        lines += ["", question, *(f"    {line}" for line in found[:5]), f"    ({len(found):,} in all)"]
    return lines


def answer(options: argparse.Namespace, modules: list[Module]) -> list[str]:
    """What to print for the question that was asked, if any."""
    if options.largest is not None:
        return largest(modules, options.largest)
    if options.imports is not None:
        return importers(modules, options.imports) or sys.exit(f"error: nothing imports a module {options.imports!r}")
    if options.function is not None:
        return definitions(modules, options.function) or sys.exit(f"error: there is no function {options.function!r}")
    return summary(modules)


def main() -> int:
    """Index and answer. Returns 0, 1 for no answer, 2 for wrong usage, 3 for an error of the shelf, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(description="Index Python's standard library in a shelf and ask it questions.")
    question = parser.add_mutually_exclusive_group()
    question.add_argument("--imports", metavar="MODULE", help="which modules import this one")
    question.add_argument("--function", metavar="NAME", help="where functions and methods of this name are defined")
    question.add_argument("--largest", metavar="N", type=int, help="the modules with the most lines")
    parser.add_argument("--shelf", metavar="PATH", default="stdlib.shelf", help="where the index is (%(default)s)")
    parser.add_argument("--library", metavar="PATH", type=Path, default=sysconfig.get_path("stdlib"), help="the folder")
    parser.add_argument("--workers", metavar="N", type=int, default=4, help="how many processes (%(default)s)")
    options = parser.parse_args()
    if not options.library.is_dir() or options.workers < 1 or (options.largest or 1) < 1:
        parser.error("--library must be a folder, --workers and --largest numbers from 1 on")
    start = time.perf_counter()
    try:
        with coshelf.open(options.shelf, require=["exclusive=processes"]) as shelf:
            changed, gone, unchanged = plan(shelf, options.library)
            if changed and (left := run_workers(shelf, options.library, options.workers)):
                sys.exit(f"error: {left} files could not be parsed yet; run again to continue")
            seconds = time.perf_counter() - start
            print(f"{changed} parsed anew, {unchanged} unchanged, {gone} gone, {seconds:.1f} s", file=sys.stderr)
            print("\n".join(answer(options, list(shelf.sub("modules").values()))), flush=True)
    except coshelf.CoshelfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("interrupted: what has been parsed is stored; run again to continue", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head`: nobody wants the rest
    return 0


if __name__ == "__main__":
    from index_stdlib import main as run  # what is pickled must be index_stdlib.Module, which others can import, too

    sys.exit(run())
