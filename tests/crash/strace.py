"""Running a program under strace, and its log as a list of calls.

The log has all data (``-xx``, no limit), the paths of descriptors (``-y``) and the time of each call. Counting of calls
for injected faults is strace's own, by name, from the program's start. ``--seccomp-bpf`` must not be used: with it
faults are silently not injected.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

# Names that not every machine has are preceded by a question mark.
DISK_CALLS = (
    "?open ?creat openat write pwrite64 writev pwritev pwritev2 lseek ftruncate fallocate fsync fdatasync msync "
    "sync_file_range copy_file_range sendfile splice ?link linkat ?unlink unlinkat ?rename ?renameat renameat2 "
    "?symlink symlinkat ?mkdir mkdirat ?rmdir truncate close dup ?dup2 dup3 fcntl mmap sync syncfs sendto"
).split()

_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_RETURNED = re.compile(r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_DESCRIPTOR = re.compile(r"(-?\d+|AT_FDCWD)(?:<(.*)>(?:\(deleted\))?)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that returned. ``started`` and ``ended`` order calls of several threads: lines of the log."""

    name: str
    arguments: list[str]
    result: int
    seconds: float
    started: int
    ended: int

    def text(self, place: int) -> bytes:
        """An argument that is a string."""
        return decoded(self.arguments[place])

    def number(self, place: int) -> int:
        return int(self.arguments[place], 0)

    def descriptor(self, place: int) -> int:
        """A descriptor; -100 is the current directory."""
        given = _DESCRIPTOR.match(self.arguments[place])
        assert given is not None, self
        return -100 if given[1] == "AT_FDCWD" else int(given[1])

    def path_of(self, place: int) -> bytes:
        """The path that a descriptor had."""
        given = _DESCRIPTOR.match(self.arguments[place])
        assert given is not None, self
        return decoded(given[2] or "")

    def parts(self, place: int) -> bytes:
        """The data of a vector of buffers."""
        return b"".join(decoded(found) for found in re.findall(r'iov_base="([^"]*)"', self.arguments[place]))


@functools.cache
def why_unusable() -> str:
    """Empty if strace is there and may trace."""
    if shutil.which("strace") is None:
        return "it is not installed"
    tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"it may not trace here: {tried.stderr.strip()}"


def command(log: str, calls: list[str], inject: str = "") -> list[str]:
    """The beginning of a command line that traces what follows."""
    words = ["strace", "-f", "-ttt", "-y", "-xx", "-s", "100000000", "-o", log, "-e", "signal=none"]
    words += ["-e", "trace=" + ",".join(calls)]
    return words + (["-e", f"inject={inject}"] if inject else [])


def read_log(path: str) -> list[Call]:
    """The calls that returned, in the order in which they did."""
    calls: list[Call] = []
    begun: dict[str, tuple[int, str, str]] = {}
    with open(path, encoding="latin-1", newline="\n") as file:
        for number, line in enumerate(file):
            matched = _LINE.match(line.rstrip("\n"))
            assert matched is not None, line[:200]
            thread, seconds, text = matched.groups()
            started = number
            if text.endswith(_UNFINISHED):
                begun[thread] = (number, seconds, text.removesuffix(_UNFINISHED))
                continue
            resumed = _RESUMED.match(text)
            if resumed is not None:
                started, seconds, beginning = begun.pop(thread)
                text = beginning + resumed[2]
            returned = _RETURNED.match(text)
            if returned is None or returned[3] == "?":  # an exit, a signal, or a call that a kill cut short
                continue
            calls.append(
                Call(
                    name=returned[1],
                    arguments=_split(returned[2]),
                    result=int(returned[3], 0),
                    seconds=float(seconds),
                    started=started,
                    ended=number,
                )
            )
    return calls


def _split(arguments: str) -> list[str]:
    """Split at the commas that are outside of brackets. With ``-xx`` no string contains one or the other."""
    found, depth, start = [], 0, 0
    for separator in re.finditer(r"[][{}(),]", arguments):
        character = separator[0]
        if character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        elif not depth:
            found.append(arguments[start : separator.start()].strip())
            start = separator.end()
    return [*found, arguments[start:].strip()]


def decoded(text: str) -> bytes:
    """A string as ``-xx`` prints it."""
    text = text.strip('"')
    assert len(text) % 4 == 0 and (not text or text.startswith("\\x")), f"not as strace -xx prints it: {text[:100]}"
    return bytes.fromhex(text.replace("\\x", ""))


def mentions(call: Call, directory: bytes) -> bool:
    """Whether an argument is, or is open on, the directory or something below it."""
    mark = "".join(f"\\x{byte:02x}" for byte in directory)
    return any(mark in argument for argument in call.arguments)


def counts(calls: list[Call], directory: str, names: list[str] | None = None) -> list[tuple[str, int]]:
    """Name and number, as ``when=`` counts, of each call that mentions the directory or a path below it."""
    found: list[tuple[str, int]] = []
    seen: dict[str, int] = {}
    for call in sorted(calls, key=lambda call: call.started):
        seen[call.name] = seen.get(call.name, 0) + 1
        if (names is None or call.name in names) and mentions(call, os.fsencode(directory)):
            found.append((call.name, seen[call.name]))
    return found
