"""All that musl lacks of what glibc has, on Linux.

Sources: musl's list of functional differences from glibc, and its headers. musl has the kernel's futex, inotify,
pidfd and OFD locks. Its mutexes have another layout, and no function tells a version.

What this profile cannot give: the layout of musl's mutexes, its smaller stacks, and its allocator. A Python that is
built on musl has them. Since the mutexes here are glibc's, ``gnu_get_libc_version``, which tells that, stays.
"""

from __future__ import annotations

from lacking.facility import Facility

__all__ = ["MUSL"]

MUSL = Facility(
    "musl: functions that only glibc has.",
    symbols=(
        *("gnu_get_libc_release", "pthread_mutex_clocklock", "fcntl64", "open64", "lstat64"),
        *("pthread_rwlock_clockrdlock", "pthread_cond_clockwait", "mallinfo2", "mallopt", "malloc_trim"),
    ),
    packages=("coshelf._native",),  # the one that was built with glibc
    instead={"platform.libc_ver": lambda *_: ("", "")},
)
