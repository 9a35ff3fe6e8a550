"""All that macOS lacks of what Linux has, for a Python built on macOS.

Sources: CPython's pages library/os, library/fcntl, library/select ("Availability"), typeshed's stubs for the
platform "darwin", and Apple's man pages fsync(2), fcntl(2) and pthread_mutexattr(3).

macOS has flock, byte ranges of fcntl, pread, fork and its hooks, ``O_NOFOLLOW``, ``O_CLOEXEC`` and ``dir_fd``. A Python
from version 3.11 on that was built with newer headers has locks of open files, too, which Apple does not document:
``macos_ofd`` is the profile with them. ``macos_files.py`` has the calls whose numbers and structures are others there.

What a real macOS has and these profiles cannot give: kqueue, F_FULLFSYNC of LMDB and SQLite themselves, and the
semaphores of LMDB.
"""

from __future__ import annotations

import sys

from lacking import macos_files
from lacking.facilities import FACILITIES
from lacking.facility import Facility, together

__all__ = ["MACOS", "MACOS_OFD"]

_OS = """
    EFD_CLOEXEC EFD_NONBLOCK EFD_SEMAPHORE GRND_NONBLOCK GRND_RANDOM O_DIRECT O_LARGEFILE O_NOATIME O_PATH O_RSYNC
    O_TMPFILE POSIX_FADV_DONTNEED POSIX_FADV_NOREUSE POSIX_FADV_NORMAL POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL
    POSIX_FADV_WILLNEED P_PIDFD RTLD_DEEPBIND RWF_APPEND RWF_DSYNC RWF_HIPRI RWF_NOWAIT RWF_SYNC SCHED_BATCH
    SCHED_IDLE SCHED_RESET_ON_FORK SPLICE_F_MORE SPLICE_F_MOVE SPLICE_F_NONBLOCK ST_APPEND ST_MANDLOCK ST_NOATIME
    ST_NODEV ST_NODIRATIME ST_NOEXEC ST_RELATIME ST_SYNCHRONOUS ST_WRITE XATTR_CREATE XATTR_REPLACE XATTR_SIZE_MAX
    copy_file_range eventfd eventfd_read eventfd_write fdatasync getrandom getresgid getresuid getxattr listxattr
    memfd_create pidfd_open pipe2 posix_fadvise posix_fallocate removexattr sched_getaffinity sched_getparam
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setparam sched_setscheduler setresgid setresuid
    setxattr splice
""".split()
_SELECT = "epoll EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP EPOLLET EPOLL_CLOEXEC".split()
_SIGNAL = "SIGPWR SIGRTMAX SIGRTMIN SIGSTKFLT pidfd_send_signal sigtimedwait sigwaitinfo".split()
_SOCKET = "AF_NETLINK AF_PACKET AF_VSOCK MSG_MORE SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED SO_PASSCRED".split()
_MMAP = "MADV_DODUMP MADV_DOFORK MADV_DONTDUMP MADV_DONTFORK MADV_HUGEPAGE MADV_REMOVE MAP_POPULATE MAP_STACK".split()
_FCNTL = "F_ADD_SEALS F_GET_SEALS F_NOTIFY F_GETPIPE_SZ F_SETPIPE_SZ".split()
_SINCE_313 = ["waitid", "waitid_result"] if sys.version_info < (3, 13) else []
_LIBRARY = """
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch syncfs renameat2 fallocate posix_fallocate
    futimesat pthread_mutexattr_setrobust pthread_mutexattr_getrobust pthread_mutex_consistent
    pthread_mutex_timedlock pthread_mutex_clocklock gnu_get_libc_version memfd_create getrandom prctl epoll_create1
    eventfd unshare pipe2 fdatasync sem_timedwait statx
""".split()


def _paths(module: str, names: list[str]) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names)


MACOS_OFD = together(
    "macOS: everything that Linux has beyond POSIX, and robust mutexes.",
    *(FACILITIES[name] for name in ("acl", "fallocate", "futex", "inotify", "pidfd", "proc")),
    *(FACILITIES[name] for name in ("renameat2", "robust_mutexes", "syncfs", "copy_and_memory", "o_flags")),
    Facility(
        "Names of Python's modules.",
        names=(
            *_paths("os", _OS + _SINCE_313),
            *_paths("select", _SELECT),
            *_paths("signal", _SIGNAL),
            *_paths("socket", _SOCKET),
            *_paths("mmap", _MMAP),
            *_paths("fcntl", _FCNTL),
            *(
                "time.CLOCK_BOOTTIME",
                "time.CLOCK_TAI",
                "time.pthread_getcpuclockid",
                "resource.prlimit",
                "resource.RUSAGE_THREAD",
            ),
        ),
        symbols=tuple(_LIBRARY),
        functions=macos_files.FUNCTIONS,
        instead={
            **macos_files.LOCKS_OF_PROCESSES,
            **macos_files.LOCKS_OF_OPEN_FILES,
            "sys.platform": "darwin",
            "platform.system": lambda: "Darwin",
            "platform.libc_ver": lambda *_: ("", ""),
            "fcntl.F_FULLFSYNC": 51,
        },
        library=("weak_sync",),
    ),
)
_OTHERS = {name: value for name, value in MACOS_OFD.instead.items() if name not in macos_files.LOCKS_OF_OPEN_FILES}
MACOS = together("macOS with older headers.", MACOS_OFD._replace(instead=_OTHERS), FACILITIES["ofd_locks"])
