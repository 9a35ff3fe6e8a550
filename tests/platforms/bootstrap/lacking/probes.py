"""Tries what is to be refused. A try that succeeds means that nothing was taken away."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from lacking.facility import Facility, Refused
from lacking.kernel import call

__all__ = ["not_refused"]

_CURRENT_DIRECTORY = -100  # AT_FDCWD
_OPEN_FOR_WRITING = os.O_RDWR
_FULL_SYNC = 51


def not_refused(lacking: Facility) -> list[str]:
    """What this process has, although it is to be lacking."""
    return [what for what, is_refused in _tries(lacking) if not is_refused]


def _tries(lacking: Facility) -> Iterator[tuple[str, bool]]:
    for path in lacking.names:
        module, _, name = path.rpartition(".")
        if module not in lacking.modules:
            yield path, _raises(f"import {module}; {module}.{name}", AttributeError)
            yield f"from {path}", _raises(f"from {module} import {name}", ImportError)
    for module in (*lacking.modules, *lacking.packages):
        yield module, _raises(f"import {module}", ModuleNotFoundError)
        yield (
            f"import_module({module})",
            _raises(f"import importlib; importlib.import_module({module!r})", ModuleNotFoundError),
        )
    for symbol in lacking.symbols:
        yield f"symbol {symbol}", _raises(f"import ctypes; ctypes.CDLL(None).{symbol}", AttributeError)
    for symbol, function in lacking.functions.items():
        found = _seen_by_coshelf(f"import ctypes; found = getattr(ctypes.CDLL(None), {symbol!r})")["found"]
        yield f"function {symbol}", found is function
    for path, value in lacking.instead.items():
        module, _, name = path.rpartition(".")
        text = f"import {module}; found = {module}.{name}" if module else f"import {name}; found = {name}"
        yield path, _seen_by_coshelf(text)["found"] is value
    for refused in lacking.calls:
        yield f"{refused.call}, {refused.error}", _kernel_refuses(refused)
    for word in lacking.library:
        kind, _, number = word.partition("=")
        yield word, _LIBRARY[kind](*([int(number)] if number else []))
    if lacking.without_proc:
        yield "/proc", not os.listdir("/proc")


def _seen_by_coshelf(text: str) -> dict[str, Any]:
    """Run a line as a module of coshelf would."""
    namespace: dict[str, Any] = {"__name__": "coshelf.probe"}
    exec(text, namespace)
    return namespace


def _raises(text: str, error: type[Exception]) -> bool:
    try:
        _seen_by_coshelf(text)
    except error:
        return True
    return False


def _kernel_refuses(refused: Refused) -> bool:
    """Make the call, with arguments that would do no harm if it were not refused."""
    with tempfile.NamedTemporaryFile() as file:
        number, name = file.fileno(), os.fsencode(file.name)
        zeros = ctypes.create_string_buffer(256)  # as struct flock: to ask for a read lock of everything
        arguments: dict[str, tuple[int | bytes | None, ...]] = {
            "fcntl": (number, *refused.values[:1], ctypes.addressof(zeros)),
            "flock": (number, fcntl.LOCK_SH | fcntl.LOCK_NB),
            "fallocate": (number, 0, 0, 4096),
            "pidfd_open": (os.getpid(), 0),
            "inotify_add_watch": (-1, name, 0),
            "renameat2": (_CURRENT_DIRECTORY, name, _CURRENT_DIRECTORY, name, *refused.values),
            "openat": (_CURRENT_DIRECTORY, os.fsencode(tempfile.gettempdir()), os.O_TMPFILE | _OPEN_FOR_WRITING, 0o600),
            "memfd_create": (b"probe", 0),
            "copy_file_range": (number, 0, number, 0, 0, 0),
        }
        given = arguments.get(refused.call, (name, b"user.probe", b"", 0, 0))
        if refused.call in {"fgetxattr", "fsetxattr"}:
            given = (number, *given[1:])
        elif refused.call in {"statfs", "fstatfs", "syncfs"}:
            given = (name if refused.call == "statfs" else number, ctypes.addressof(zeros))
        elif refused.call in {"membarrier", "inotify_init", "inotify_init1"}:
            given = (0, 0)
        wanted: int = getattr(errno, refused.error)
        return call(refused.call, *given) == wanted


# --- the C library ---------------------------------------------------------------------------------------------------


def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _futex_is_refused() -> bool:
    futex = 202 if os.uname().machine == "x86_64" else 98
    result: int = _library().syscall(futex, None, 1, 0)
    return result < 0 and ctypes.get_errno() == errno.ENOSYS


def _mutexes_are_not(attribute: str) -> Callable[[], bool]:
    def probe() -> bool:
        attributes = ctypes.create_string_buffer(64)
        _library().pthread_mutexattr_init(attributes)
        return bool(getattr(_library(), f"pthread_mutexattr_set{attribute}")(attributes, 1) == errno.ENOTSUP)

    return probe


def _open_files_stay() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        path, other = os.path.join(directory, "open"), os.path.join(directory, "other")
        with open(path, "wb"):
            return all(
                _fails(errno.EACCES, step, *arguments)
                for step, arguments in ((os.remove, (path,)), (os.rename, (path, other)))
            )


def _replacing_is_refused(times: int) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        old, new = os.path.join(directory, "old"), os.path.join(directory, "new")
        for path in (old, new):
            open(path, "wb").close()
        found = [_fails(errno.EACCES, os.replace, new, old) for _ in range(times + 1)]
        return found == [True] * times + [False]


def _names_fold() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "Name")
        open(path, "wb").close()
        return os.path.exists(os.path.join(directory, "nAME"))


def _names_are_refused() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        return all(
            _fails(errno.EINVAL, os.mkdir, os.path.join(directory, name)) for name in ("a:b", "a.", "a ", "a?", "a\\b")
        )


def _sync_is_weak() -> bool:
    """Whether only the full one works: without the library the kernel does not know it."""
    with tempfile.TemporaryFile() as file:
        return fcntl.fcntl(file.fileno(), _FULL_SYNC) == 0


def _fails(number: int, step: Callable[..., object], *arguments: object) -> bool:
    try:
        step(*arguments)
    except OSError as error:
        return error.errno == number
    return False


_LIBRARY: dict[str, Callable[..., bool]] = {
    "futex": _futex_is_refused,
    "robust": _mutexes_are_not("robust"),
    "shared_mutex": _mutexes_are_not("pshared"),
    "open_files": _open_files_stay,
    "busy": _replacing_is_refused,
    "folded": _names_fold,
    "names": _names_are_refused,
    "weak_sync": _sync_is_weak,
}
