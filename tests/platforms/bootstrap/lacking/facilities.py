"""Facilities that a kernel, a C library or Python may lack, each by itself."""

from __future__ import annotations

from lacking.facility import Facility, Refused

__all__ = ["FACILITIES"]

_OFD_COMMANDS = (36, 37, 38)  # F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW of Linux
_FCNTL_COMMAND = 1  # which argument it is
_UNNAMED_FILE = 0o20000000  # the bit of O_TMPFILE that O_DIRECTORY does not have
_RENAME_FLAGS = (1, 2, 4)

FACILITIES = {
    "acl": Facility(
        "File systems without extended attributes, and kernels without them (man 2 getxattr, ENOTSUP).",
        calls=tuple(
            Refused(name, "EOPNOTSUPP")
            for name in ("getxattr", "lgetxattr", "fgetxattr", "setxattr", "lsetxattr", "fsetxattr", "listxattr")
        ),
    ),
    "ctypes": Facility(
        "Python built without libffi (CPython, configure): there is no ctypes.",
        modules=("ctypes", "_ctypes"),
    ),
    "fallocate": Facility(
        "File systems and sandboxes without it (man 2 fallocate, EOPNOTSUPP); macOS has no posix_fallocate.",
        names=("os.posix_fallocate",),
        symbols=("posix_fallocate", "fallocate"),
        calls=(Refused("fallocate", "EOPNOTSUPP"),),
    ),
    "fork_hooks": Facility(
        "Windows and WASI have neither os.fork nor os.register_at_fork (CPython, library/os: Availability).",
        names=("os.fork", "os.register_at_fork", "os.forkpty"),
    ),
    "futex": Facility(
        "A C library whose syscall() does not pass futex on, as gVisor without it; only Linux has it (man 2 futex).",
        library=("futex",),
    ),
    "folded": Facility(
        "macOS folds case by default, and so do vfat and a casefold directory of ext4 (man 1 chattr).",
        library=("folded",),
    ),
    "inotify": Facility(
        "Only Linux has it (man 7 inotify); sandboxes refuse it.",
        calls=tuple(Refused(name) for name in ("inotify_init", "inotify_init1", "inotify_add_watch")),
    ),
    "native": Facility(
        "No compiler at the installation: coshelf works without its module in C.",
        packages=("coshelf._native",),
    ),
    "ofd_locks": Facility(
        "Locks of open file descriptions are Linux's (man 2 fcntl, since 3.15; EINVAL before).",
        names=("fcntl.F_OFD_GETLK", "fcntl.F_OFD_SETLK", "fcntl.F_OFD_SETLKW"),
        calls=(Refused("fcntl", "EINVAL", _FCNTL_COMMAND, _OFD_COMMANDS),),
    ),
    "o_flags": Facility(
        "Only Linux has O_TMPFILE and O_PATH (man 2 open); file systems may lack O_TMPFILE (EOPNOTSUPP).",
        names=("os.O_TMPFILE", "os.O_PATH"),
        calls=(Refused("openat", "EOPNOTSUPP", 2, bits=_UNNAMED_FILE),),
    ),
    "pidfd": Facility(
        "Linux before 5.3, and sandboxes (man 2 pidfd_open, ENOSYS).",
        calls=(Refused("pidfd_open"),),
    ),
    "pidfd_permission": Facility(
        "Sandboxes that refuse it with EPERM, as older Docker profiles do.",
        names=(),
        calls=(Refused("pidfd_open", "EPERM"),),
    ),
    "poll": Facility(
        "Windows has only select.select (CPython, library/select: Availability).",
        names=("select.poll", "select.epoll", "select.POLLIN", "select.EPOLLIN"),
    ),
    "proc": Facility(
        "Only Linux has /proc in this form; a chroot may have none (man 5 proc).",
        without_proc=True,
    ),
    "renameat2": Facility(
        "File systems and kernels without flags of rename (man 2 renameat2, EINVAL).",
        symbols=("renameat2",),
        calls=tuple(Refused("renameat2", "EINVAL", 4, (flag,)) for flag in _RENAME_FLAGS),
    ),
    "robust_mutexes": Facility(
        "macOS has no robust mutexes (POSIX option; absent from its pthread.h).",
        library=("robust",),
    ),
    "shared_mutexes": Facility(
        "A C library may lack mutexes that processes share (POSIX, option TSH, ENOTSUP).",
        library=("shared_mutex",),
    ),
    "statfs": Facility(
        "Sandboxes may refuse it (ENOSYS), and only POSIX systems have it.",
        names=("os.statvfs", "os.fstatvfs"),
        calls=tuple(Refused(name) for name in ("statfs", "fstatfs")),
    ),
    "syncfs": Facility(
        "Only Linux has it (man 2 syncfs).",
        symbols=("syncfs",),
        calls=(Refused("syncfs"),),
    ),
    "users": Facility(
        "Windows and Emscripten have no pwd and grp (CPython, library/pwd: Availability).",
        modules=("pwd", "grp"),
    ),
    "copy_and_memory": Facility(
        "Older kernels and sandboxes lack copy_file_range, memfd_create and membarrier (their man pages, ENOSYS).",
        names=("os.copy_file_range", "os.memfd_create"),
        calls=tuple(Refused(name) for name in ("copy_file_range", "memfd_create", "membarrier")),
    ),
    "flock": Facility(
        "File systems without flock, such as some of networks (man 2 flock, EOPNOTSUPP).",
        calls=(Refused("flock", "EOPNOTSUPP"),),
    ),
}
"""By name. Where a kernel refuses something at run time, Python still has its name."""
