"""All that Windows lacks of what Linux has, and how its files behave.

Sources: CPython's pages library/os, library/select, library/signal, library/socket, library/mmap and library/time
("Availability"), typeshed's stubs for the platform "win32", and Microsoft's pages on CreateFile, LockFileEx, _locking
and the naming of files.

``windows_files.py`` has the functions that exist on both and do something else there, ``windows_locks.py`` has
``msvcrt``. The C library (``refuse.c``) keeps open files from being removed, and lets no replacement succeed at once.

What this profile cannot give: drive letters and backslashes in paths, access control lists of Windows, SQLite's own
code for Windows, and ctypes.windll.
"""

from __future__ import annotations

import sys

from lacking import windows_files, windows_locks
from lacking.facilities import FACILITIES
from lacking.facility import Facility, together

__all__ = ["WINDOWS"]

_OS = """
    CLD_CONTINUED CLD_DUMPED CLD_EXITED CLD_KILLED CLD_STOPPED CLD_TRAPPED EFD_CLOEXEC EFD_NONBLOCK EFD_SEMAPHORE
    EX_CANTCREAT EX_CONFIG EX_DATAERR EX_IOERR EX_NOHOST EX_NOINPUT EX_NOPERM EX_NOUSER EX_OSERR EX_OSFILE
    EX_PROTOCOL EX_SOFTWARE EX_TEMPFAIL EX_UNAVAILABLE EX_USAGE F_LOCK F_TEST F_TLOCK F_ULOCK GRND_NONBLOCK
    GRND_RANDOM NGROUPS_MAX O_ACCMODE O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_FSYNC O_LARGEFILE O_NDELAY
    O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_RSYNC O_SYNC O_TMPFILE POSIX_FADV_DONTNEED POSIX_FADV_NOREUSE
    POSIX_FADV_NORMAL POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED POSIX_SPAWN_CLOSE POSIX_SPAWN_DUP2
    POSIX_SPAWN_OPEN PRIO_PGRP PRIO_PROCESS PRIO_USER P_ALL P_PGID P_PID P_PIDFD RTLD_DEEPBIND RTLD_GLOBAL RTLD_LAZY
    RTLD_LOCAL RTLD_NODELETE RTLD_NOLOAD RTLD_NOW RWF_APPEND RWF_DSYNC RWF_HIPRI RWF_NOWAIT RWF_SYNC SCHED_BATCH
    SCHED_FIFO SCHED_IDLE SCHED_OTHER SCHED_RESET_ON_FORK SCHED_RR SEEK_DATA SEEK_HOLE SPLICE_F_MORE SPLICE_F_MOVE
    SPLICE_F_NONBLOCK ST_APPEND ST_MANDLOCK ST_NOATIME ST_NODEV ST_NODIRATIME ST_NOEXEC ST_NOSUID ST_RDONLY
    ST_RELATIME ST_SYNCHRONOUS ST_WRITE WCONTINUED WCOREDUMP WEXITED WEXITSTATUS WIFCONTINUED WIFEXITED WIFSIGNALED
    WIFSTOPPED WNOHANG WNOWAIT WSTOPPED WSTOPSIG WTERMSIG WUNTRACED XATTR_CREATE XATTR_REPLACE XATTR_SIZE_MAX chown
    chroot confstr confstr_names copy_file_range ctermid environb eventfd eventfd_read eventfd_write fchdir fchown
    fdatasync fork forkpty fpathconf fstatvfs fwalk getegid getenvb geteuid getgid getgrouplist getgroups getloadavg
    getpgid getpgrp getpriority getrandom getresgid getresuid getsid getuid getxattr initgroups killpg lchown
    listxattr lockf login_tty major makedev memfd_create minor mkfifo mknod nice openpty pathconf pathconf_names
    pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev readv
    register_at_fork removexattr sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam
    sched_getscheduler sched_param sched_rr_get_interval sched_setaffinity sched_setparam sched_setscheduler
    sched_yield sendfile setegid seteuid setgid setgroups setpgid setpgrp setpriority setregid setresgid setresuid
    setreuid setsid setuid setxattr spawnlp spawnlpe spawnvp spawnvpe splice statvfs sync sysconf sysconf_names
    tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid waitid_result writev
""".split()
_SELECT = """
    EPOLLERR EPOLLET EPOLLHUP EPOLLIN EPOLLOUT EPOLL_CLOEXEC PIPE_BUF POLLERR POLLHUP POLLIN POLLNVAL POLLOUT
    POLLPRI POLLRDHUP epoll poll
""".split()
_SIGNAL = """
    ITIMER_PROF ITIMER_REAL ITIMER_VIRTUAL ItimerError SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGHUP SIGIO SIGIOT
    SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX SIGRTMIN SIGSTKFLT SIGSTOP SIGSYS SIGTRAP SIGTSTP
    SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIG_BLOCK SIG_SETMASK SIG_UNBLOCK
    Sigmasks alarm getitimer pause pidfd_send_signal pthread_kill pthread_sigmask setitimer siginterrupt sigpending
    sigtimedwait sigwait sigwaitinfo struct_siginfo
""".split()
_SOCKET = """
    AF_NETLINK AF_PACKET AF_UNIX AF_VSOCK CMSG_LEN CMSG_SPACE MSG_CMSG_CLOEXEC MSG_DONTWAIT MSG_EOR MSG_MORE
    MSG_NOSIGNAL SCM_CREDENTIALS SCM_RIGHTS SOCK_CLOEXEC SOCK_NONBLOCK SO_PASSCRED SO_PEERCRED SO_REUSEPORT recv_fds
    send_fds sethostname
""".split()
_MMAP = """
    MADV_DODUMP MADV_DOFORK MADV_DONTDUMP MADV_DONTFORK MADV_DONTNEED MADV_FREE MADV_HUGEPAGE MADV_HWPOISON
    MADV_MERGEABLE MADV_NOHUGEPAGE MADV_NORMAL MADV_RANDOM MADV_REMOVE MADV_SEQUENTIAL MADV_UNMERGEABLE
    MADV_WILLNEED MAP_ANON MAP_ANONYMOUS MAP_DENYWRITE MAP_EXECUTABLE MAP_POPULATE MAP_PRIVATE MAP_SHARED MAP_STACK
    PROT_EXEC PROT_READ PROT_WRITE
""".split()
_TIME = """
    CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_MONOTONIC_RAW CLOCK_PROCESS_CPUTIME_ID CLOCK_REALTIME CLOCK_TAI
    CLOCK_THREAD_CPUTIME_ID clock_getres clock_gettime clock_gettime_ns clock_settime clock_settime_ns
    pthread_getcpuclockid tzset
""".split()
_SINCE_312 = ["os.set_blocking", "os.get_blocking"] if sys.version_info < (3, 12) else []
_SINCE_313 = ["os.fchmod", "os.lchmod"] if sys.version_info < (3, 13) else []
_LIBRARY = """
    mmap munmap syscall syncfs pthread_mutexattr_init pthread_mutexattr_setrobust pthread_mutex_init
    pthread_mutex_lock pthread_mutex_timedlock pthread_mutex_consistent pthread_atfork gnu_get_libc_version
    inotify_init1 inotify_add_watch prctl fcntl flock sem_open shm_open
""".split()


def _paths(module: str, names: list[str]) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names)


WINDOWS = together(
    "Windows: everything that only POSIX systems have.",
    *(FACILITIES[name] for name in ("acl", "futex", "inotify", "pidfd", "proc", "robust_mutexes", "shared_mutexes")),
    Facility(
        "Names of Python's modules, and how files behave.",
        modules=(
            *("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "posix", "readline", "curses", "syslog"),
            *("_posixsubprocess", "_posixshmem", "spwd", "crypt", "nis"),
        ),
        packages=("coshelf._native",),  # it is built where there are POSIX mutexes
        names=(
            *_paths("os", _OS),
            *_paths("select", _SELECT),
            *_paths("signal", _SIGNAL),
            *_paths("socket", _SOCKET),
            *_paths("mmap", _MMAP),
            *_paths("time", _TIME),
            *_SINCE_312,
            *_SINCE_313,
        ),
        symbols=tuple(_LIBRARY),
        instead={
            "sys.platform": "win32",
            "platform.system": lambda: "Windows",
            "platform.libc_ver": lambda *_: ("", ""),
            ".msvcrt": windows_locks.msvcrt(),
            **{f"os.{name}": value for name, value in windows_files.of_os().items()},
            **{f"mmap.{name}": value for name, value in windows_files.of_mmap().items()},
            "select.select": windows_files.select_sockets,
        },
        home="USERPROFILE",
        library=("open_files", "busy=2", "folded", "names"),
    ),
)
