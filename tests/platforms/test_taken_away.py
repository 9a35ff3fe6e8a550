"""What takes facilities away does so, in every process, and says so if it does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import stubs
from environment import reason_against, start
from lacking.facilities import FACILITIES
from lacking.macos import MACOS
from lacking.probes import not_refused
from lacking.tables import ALL
from lacking.windows import WINDOWS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has what takes facilities away")

_CHILDREN = """
import multiprocessing, os, subprocess, sys
from lacking.plugin import said

def tell(queue):
    queue.put(said())

if __name__ == "__main__":
    found = {"this process": said()}
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        queue = context.SimpleQueue()
        child = context.Process(target=tell, args=(queue,))
        child.start()
        found[method] = queue.get()
        child.join()
        queue.close()
    command = [sys.executable, "-c", "from lacking.plugin import said; print(said())"]
    child = subprocess.run(command, capture_output=True, text=True)
    found["subprocess"] = None if child.stdout == "None\\n" else child.stdout + child.stderr
    print(found)
"""
ALL_REFUSED = "{'this process': None, 'fork': None, 'spawn': None, 'subprocess': None}\n"


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, str], str]:
    """Runs a program where something is lacking. Returns what it prints."""

    def run(names: str, program: str) -> str:
        against = reason_against(names)
        if against:
            pytest.skip(against)
        path = tmp_path / "program.py"
        path.write_text(program, "utf-8")
        done = subprocess.run(start(names, tmp_path, str(path)), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("names", ["acl,inotify,ofd_locks,proc", "windows"])
def test_every_child_lacks_it_too(names: str, run: Callable[[str, str], str]) -> None:
    assert run(names, _CHILDREN) == ALL_REFUSED


@pytest.mark.long
@pytest.mark.parametrize("names", sorted(ALL))
def test_every_child_lacks_each_facility(names: str, run: Callable[[str, str], str]) -> None:
    assert run(names, _CHILDREN) == ALL_REFUSED


SYSTEM_CALLS_OF_EVERY_LINUX = ("inotify_init1, ENOSYS", "fcntl, EINVAL")
"""Others may be refused here, too, by an older kernel, a container or the file system."""


@pytest.mark.parametrize("name", sorted(FACILITIES))
def test_tries_succeed_where_nothing_is_taken_away(name: str) -> None:
    facility = FACILITIES[name]
    wanted = {*facility.names, *facility.modules, *facility.library} | {f"symbol {each}" for each in facility.symbols}
    refused = {f"{call.call}, {call.error}" for call in facility.calls}
    assert wanted | refused.intersection(SYSTEM_CALLS_OF_EVERY_LINUX) <= set(not_refused(facility))


def test_the_standard_library_and_programs_still_have_it(run: Callable[[str, str], str]) -> None:
    program = """
import fcntl, os, pwd, subprocess
print(subprocess.run(["true"]).returncode, hasattr(os, "fork"), hasattr(fcntl, "F_OFD_SETLK"))
"""
    assert run("windows", program) == "0 True True\n"


@pytest.mark.long  # the stubs change with each mypy
def test_profile_of_macos_lacks_what_its_stubs_lack() -> None:
    _lacks_what_the_stubs_lack(MACOS.names, "darwin", ("os", "select", "time"))


@pytest.mark.long
def test_profile_of_windows_lacks_what_its_stubs_lack() -> None:
    _lacks_what_the_stubs_lack(WINDOWS.names, "win32", ("os", "select", "signal", "mmap", "time"))
    for module in ("fcntl", "pwd", "grp", "resource", "termios", "pty", "tty", "posix", "syslog", "readline"):
        assert module in WINDOWS.modules
        assert stubs.are_missing(module, "win32"), module


def _lacks_what_the_stubs_lack(names: tuple[str, ...], platform: str, modules: tuple[str, ...]) -> None:
    """The stubs of typeshed are verified on each platform by those who write them. mypy brings them."""
    if not stubs.are_here():
        pytest.skip("mypy, which brings the stubs, is not installed")
    for module in modules:
        lacking = {name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == module}
        assert stubs.missing(module, platform) - stubs.RARE <= lacking, module
        assert {name for name in lacking if name in stubs.names(module, platform)} <= stubs.HERE_ALL_THE_SAME, module


def test_note_is_made_once_a_process_and_by_whom_it_is_refused(run: Callable[[str, str], str], tmp_path: Path) -> None:
    program = "exec('import os\\nfor _ in range(3): hasattr(os, \"fork\")', {'__name__': 'coshelf.test'})"
    run("fork_hooks", program)
    assert (tmp_path / "refused").read_text("utf-8") == "os.fork\n"
