"""Only ``coshelf.system`` asks the platform for anything that Windows lacks: docs/design.md, "Layers".

What Windows lacks is read from the stubs of the standard library that mypy brings. They define a name such as
``os.fork`` only where ``sys.platform != "win32"``, so no list of such names is kept here.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import mypy
import pytest

import coshelf

SOURCE = Path(coshelf.__file__).parent
FACILITIES = SOURCE.parents[1] / "docs" / "facilities.md"
STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"

PLATFORM_MODULES = frozenset(
    "_ctypes _posixsubprocess _winapi crypt ctypes fcntl grp mmap msvcrt nis nt ossaudiodev posix pty pwd "
    "resource select selectors spwd syslog termios tty winreg winsound".split()
)
"""Modules that only some systems have, and modules whose content depends on the system."""

WITH_STUBS = {
    "errno": "errno.pyi",
    "os": "os/__init__.pyi",
    "signal": "signal.pyi",
    "socket": "socket.pyi",
    "socketserver": "socketserver.pyi",
    "sys": "sys/__init__.pyi",
    "time": "time.pyi",
}
"""Modules that every system has, but not with every name."""

PLATFORM_NAMES = {
    "os": {"name", "uname_result"},
    "platform": {"java_ver", "libc_ver", "mac_ver", "platform", "release", "system", "uname", "version", "win32_ver"},
    "sys": {"getwindowsversion", "platform", "winver"},
}
"""Names that every system has, and that tell which one it is. ``platform.machine`` tells of the processor alone."""

KEYWORDS = frozenset(("dir_fd", "src_dir_fd", "dst_dir_fd", "follow_symlinks"))
"""Arguments of functions of ``os`` that not every system takes."""

PLACES = ("/proc/", "/dev/", "/sys/")

PERMITTED: dict[tuple[str, str], str] = {}
"""What a module may ask for all the same: (module, what) and the reason."""

POSIX_ONLY: dict[str, str] = {"system.locks.flock": "whole_file takes byte_ranges where it cannot be imported"}
"""Modules of ``system`` that cannot be imported on Windows, and why nothing there imports them."""


# --- what Windows lacks, by the stubs of the standard library --------------------------------------------------------


def holds(test: ast.expr, platform: str, version: tuple[int, int]) -> bool:
    """Whether a condition of a stub holds on a platform and a version of Python."""
    if isinstance(test, ast.BoolOp):
        parts = [holds(part, platform, version) for part in test.values]
        return all(parts) if isinstance(test.op, ast.And) else any(parts)
    if isinstance(test, ast.UnaryOp):
        return not holds(test.operand, platform, version)
    assert isinstance(test, ast.Compare), ast.unparse(test)
    left, right = ast.unparse(test.left), cast("Any", ast.literal_eval(test.comparators[0]))
    found: object = {"sys.platform": platform, "sys.version_info": version}[left]
    operator = test.ops[0]
    if isinstance(operator, (ast.Eq, ast.NotEq)):
        return (found == right) is isinstance(operator, ast.Eq)
    assert isinstance(found, tuple), ast.unparse(test)
    return (found >= tuple(right)) is isinstance(operator, ast.GtE)


def names_in(body: list[ast.stmt], platform: str, version: tuple[int, int]) -> Iterator[str]:
    """The names that a stub defines at the level of the module."""
    for node in body:
        if isinstance(node, ast.If):
            yield from names_in(node.body if holds(node.test, platform, version) else node.orelse, platform, version)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)


@functools.cache
def lacking_on_windows(module: str) -> frozenset[str]:
    """The names of a module that Linux or macOS has in some version of Python, and Windows lacks in Python 3.11."""
    body = ast.parse((STUBS / WITH_STUBS[module]).read_text("utf-8")).body
    posix = {
        name
        for platform in ("linux", "darwin")
        for version in ((3, 11), (3, 14))
        for name in names_in(body, platform, version)
    }
    return frozenset(posix - set(names_in(body, "win32", (3, 11))))


def test_stubs_tell_what_windows_lacks() -> None:
    lacking = lacking_on_windows("os")
    assert {"fork", "geteuid", "pread", "O_NOFOLLOW", "O_CLOEXEC", "register_at_fork", "getxattr", "fchmod"} <= lacking
    assert not {"open", "link", "replace", "fstat", "O_CREAT", "getpid", "environ", "path"} & lacking
    assert {"SIGHUP", "SIGKILL", "pthread_kill"} <= lacking_on_windows("signal")
    assert not {"SIGTERM", "SIGINT", "signal"} & lacking_on_windows("signal")
    assert "AF_UNIX" in lacking_on_windows("socket")
    assert "clock_gettime" in lacking_on_windows("time")
    assert "EDQUOT" not in lacking_on_windows("errno")


# --- what a module asks for ------------------------------------------------------------------------------------------


class Asked(ast.NodeVisitor):
    """Collects what a module asks of the platform, each with its line."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self._modules: dict[str, str] = {}  # names in this module, and the modules that they stand for
        self._texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._modules |= {alias.asname or alias.name: alias.name for alias in node.names}
        self.visit(tree)

    def _module(self, name: str, line: int) -> None:
        if name.partition(".")[0] in PLATFORM_MODULES:
            self.found.append((line, f"imports {name}"))

    def _name(self, module: str, name: str, line: int) -> None:
        if name in PLATFORM_NAMES.get(module, ()) or (module in WITH_STUBS and name in lacking_on_windows(module)):
            self.found.append((line, f"{module}.{name}"))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._module(node.module or "", node.lineno)
        for alias in node.names:
            self._name(node.module or "", alias.name, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self._name(self._modules.get(node.value.id, ""), node.attr, node.lineno)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        first = node.args[0] if node.args else None
        if called.endswith("import_module") and isinstance(first, ast.Constant):
            self._module(str(first.value), node.lineno)
        if called in ("getattr", "hasattr") and isinstance(first, ast.Name) and isinstance(node.args[1], ast.Constant):
            self._name(self._modules.get(first.id, ""), str(node.args[1].value), node.lineno)
        if self._modules.get(called.partition(".")[0]) == "os":
            for keyword in node.keywords:
                if keyword.arg in KEYWORDS:
                    self.found.append((node.lineno, f"{called}({keyword.arg}=)"))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value.startswith(PLACES) and id(node) not in self._texts:
            self.found.append((node.lineno, f"the place {node.value}"))


def asked_by(text: str) -> list[tuple[int, str]]:
    return Asked(ast.parse(text)).found


def modules() -> dict[str, Path]:
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}


def test_what_a_module_asks_for_is_found() -> None:
    text = """
        import os, sys
        import os as system
        from signal import SIGKILL
        import fcntl
        import importlib
        "/proc/self as a docstring"
        os.open("x", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=3)
        system.fork()
        getattr(os, "pread", None)
        importlib.import_module("msvcrt")
        open(f"/proc/{1}/stat")
        sys.platform == "win32"
    """
    assert [what for _, what in asked_by(textwrap.dedent(text))] == [
        "signal.SIGKILL",
        "imports fcntl",
        "os.open(dir_fd=)",
        "os.O_NOFOLLOW",
        "os.fork",
        "os.pread",
        "imports msvcrt",
        "the place /proc/",
        "sys.platform",
    ]
    assert asked_by("import os\nos.open('x', os.O_RDONLY)\nos.stat('x')\nfor e in os.scandir(): e.is_dir()") == []


def test_only_the_seam_asks_the_platform() -> None:
    asked = [
        f"{path.relative_to(SOURCE)}:{line}: {what}"
        for module, path in sorted(modules().items())
        if not module.startswith("system.")
        for line, what in asked_by(path.read_text("utf-8"))
        if (module, what) not in PERMITTED
    ]
    assert asked == []


def test_every_exception_is_needed() -> None:
    found = {
        (module, what) for module in {module for module, _ in PERMITTED} for _, what in asked_by(source_of(module))
    }
    assert set(PERMITTED) - found == set()
    assert set(POSIX_ONLY) - set(modules()) == set()


def source_of(module: str) -> str:
    return modules()[module].read_text("utf-8")


# --- the seam itself -------------------------------------------------------------------------------------------------


def parts_of_system() -> list[str]:
    return sorted(
        module for module in modules() if module.startswith("system.") and module.rpartition(".")[2] != "__init__"
    )


WITHOUT = """
import importlib, sys, types, {modules}
import _ctypes, asyncio, socket, subprocess, tempfile, threading, uuid  # they need what is taken away below
names = {names}
for module in names:
    for name in names[module]:
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name in {refused}:
            raise ModuleNotFoundError(name)
for name in {refused}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Refuses())
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
for name in {wanted}:
    try:
        importlib.import_module("coshelf." + name)
    except Exception as error:
        print(name, type(error).__name__, error)
"""
NOT_ON_WINDOWS = ["fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"]


def imported_without(wanted: Iterable[str]) -> str:
    """What fails if these modules are imported where Python lacks what it lacks on Windows."""
    lacking = {module: sorted(lacking_on_windows(module)) for module in ("os", "signal", "socket", "time")}
    lacking["select"] = ["poll", "epoll", "kqueue", "kevent", "devpoll"]
    program = WITHOUT.format(
        modules=", ".join(lacking), names=lacking, refused=NOT_ON_WINDOWS, wanted=list(wanted)
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_seam_can_be_imported_without_what_windows_lacks() -> None:
    assert imported_without(module for module in parts_of_system() if module not in POSIX_ONLY) == ""


def rows_of_the_page() -> list[str]:
    """The modules that the tables of docs/facilities.md name, as ``files/flags``."""
    return re.findall(r"(?m)^\| `([a-z_/]+)` \|", FACILITIES.read_text("utf-8"))


@pytest.mark.skipif(not FACILITIES.is_file(), reason="an installed package has no pages")
def test_the_page_has_a_row_for_each_module_of_the_seam() -> None:
    rows = rows_of_the_page()
    assert sorted(set(rows)) == sorted(rows), "a module has two rows"
    named = {module.removeprefix("system.").replace(".", "/") for module in parts_of_system()}
    assert sorted(named - set(rows)) == []
    assert sorted(set(rows) - named) == []
