/* What a C library refuses: built by the tests, and loaded before the C library (LD_PRELOAD).
 *
 * The variable COSHELF_TESTS_REFUSE has words, separated by commas:
 *
 *   futex          syscall(SYS_futex, ...) fails with ENOSYS. glibc's own mutexes do not go through this function.
 *   robust         no mutex survives its owner: pthread_mutexattr_setrobust fails with ENOTSUP
 *   shared_mutex   no mutex is shared by processes: pthread_mutexattr_setpshared fails with ENOTSUP
 *   open_files     a file that any process has open cannot be removed, renamed or replaced (EACCES), as on Windows
 *   busy=N         the first N attempts to replace an existing file fail with EACCES, as while a scanner has it open
 *   folded         names that differ in case alone are one file
 *   names          names with characters that Windows does not allow, or with a dot or a space at the end, fail (EINVAL)
 *   weak_sync      fsync makes nothing durable, and fcntl(F_FULLFSYNC) does, as on macOS
 *
 * `open_files`, `busy`, `folded` and `names` concern paths below COSHELF_TESTS_UNDER. COSHELF_TESTS_PROC is where
 * /proc can be read. LMDB and SQLite have code of their own for other platforms, so their calls are not refused.
 * The first refusal of each kind in a process is noted in the file COSHELF_TESTS_REFUSED.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FULL_SYNC 51 /* F_FULLFSYNC of macOS */
#define KINDS 9
#define REMEMBERED 64

enum kind { FUTEX, ROBUST, SHARED, OPEN_FILES, BUSY, FOLDED, NAMES, WEAK_SYNC, FULLY_SYNCED };
static const char *const WORDS[KINDS] = {"futex", "robust",     "shared_mutex", "open_files", "busy",
                                         "folded", "names", "weak_sync",    "full sync"};
static bool is_on[KINDS], is_noted[KINDS];
static int busy_for;
static char under[PATH_MAX], proc[PATH_MAX], notes[PATH_MAX];

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        fprintf(stderr, "refuse.c: the C library has no %s\n", name);
        abort();
    }
    return found;
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *words = getenv("COSHELF_TESTS_REFUSE");
    for (int kind = 0; words && kind < FULLY_SYNCED; kind++) {
        const char *at = words;
        size_t length = strlen(WORDS[kind]);
        while (at) {
            if (!strncmp(at, WORDS[kind], length) && (!at[length] || at[length] == ',' || at[length] == '=')) {
                is_on[kind] = true;
                if (kind == BUSY && at[length] == '=')
                    busy_for = atoi(at + length + 1);
            }
            at = strchr(at, ',');
            at = at ? at + 1 : NULL;
        }
    }
    const char *named = getenv("COSHELF_TESTS_UNDER");
    if (named)
        snprintf(under, sizeof under, "%s/", named);
    named = getenv("COSHELF_TESTS_PROC");
    snprintf(proc, sizeof proc, "%s", named ? named : "/proc");
    named = getenv("COSHELF_TESTS_REFUSED");
    if (named)
        snprintf(notes, sizeof notes, "%s", named);
}

static void note(enum kind kind)
{
    if (is_noted[kind] || !notes[0])
        return;
    is_noted[kind] = true;
    int error = errno;
    int file = (int)syscall(SYS_openat, AT_FDCWD, notes, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0) {
        char line[64];
        int length = snprintf(line, sizeof line, "library %s\n", WORDS[kind]);
        if (write(file, line, (size_t)length) != length)
            fprintf(stderr, "refuse.c: cannot note a refusal\n");
        close(file);
    }
    errno = error;
}

static int refuse(enum kind kind, int error)
{
    note(kind);
    errno = error;
    return -1;
}

/* Whether the caller is a library with code of its own for other platforms. */
static bool is_exempt(void *caller)
{
    Dl_info where;
    if (!dladdr(caller, &where) || !where.dli_fname)
        return false;
    const char *name = strrchr(where.dli_fname, '/');
    return strstr(name ? name : where.dli_fname, "sqlite3") || strstr(where.dli_fname, "/lmdb/");
}

#define CALLER __builtin_return_address(0)

/* --- the kernel's futex, and mutexes ---------------------------------------------------------------------------- */

long syscall(long number, ...)
{
    va_list arguments;
    long a[6];
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_futex && is_on[FUTEX])
        return refuse(FUTEX, ENOSYS);
    static long (*there)(long, ...);
    if (!there)
        there = (long (*)(long, ...))real("syscall");
    return there(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int pthread_mutexattr_setrobust(pthread_mutexattr_t *attributes, int robust)
{
    if (is_on[ROBUST] && robust && !is_exempt(CALLER)) {
        note(ROBUST);
        return ENOTSUP;
    }
    return REAL(pthread_mutexattr_setrobust)(attributes, robust);
}

int pthread_mutexattr_setpshared(pthread_mutexattr_t *attributes, int shared)
{
    if (is_on[SHARED] && shared && !is_exempt(CALLER)) {
        note(SHARED);
        return ENOTSUP;
    }
    return REAL(pthread_mutexattr_setpshared)(attributes, shared);
}

/* --- syncing ----------------------------------------------------------------------------------------------------- */

int fsync(int file)
{
    if (is_on[WEAK_SYNC] && !is_exempt(CALLER)) {
        note(WEAK_SYNC);
        return fcntl(file, F_GETFD) < 0 ? -1 : 0;
    }
    return REAL(fsync)(file);
}

static int any_fcntl(int file, int command, void *argument)
{
    static int (*there)(int, int, ...);
    if (!there)
        there = (int (*)(int, int, ...))real("fcntl64");
    if (is_on[WEAK_SYNC] && command == FULL_SYNC) {
        note(FULLY_SYNCED);
        return REAL(fsync)(file);
    }
    return there(file, command, argument);
}

#define ARGUMENT_OF(last)                                                                                                \
    va_list arguments;                                                                                                   \
    va_start(arguments, last);                                                                                           \
    void *argument = va_arg(arguments, void *);                                                                          \
    va_end(arguments)

int fcntl(int file, int command, ...)
{
    ARGUMENT_OF(command);
    return any_fcntl(file, command, argument);
}

int fcntl64(int file, int command, ...)
{
    ARGUMENT_OF(command);
    return any_fcntl(file, command, argument);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

/* Write the absolute path of a name. False if it is not one of the paths that rules concern. */
static bool place(char *path, int directory, const char *name)
{
    if (!under[0] || !name)
        return false;
    if (name[0] == '/') {
        if (strlen(name) >= PATH_MAX)
            return false;
        strcpy(path, name);
    } else {
        char opened[PATH_MAX + 32], start[PATH_MAX];
        if (directory == AT_FDCWD) {
            if (!getcwd(start, sizeof start))
                return false;
        } else {
            snprintf(opened, sizeof opened, "%s/self/fd/%d", proc, directory);
            ssize_t length = readlink(opened, start, sizeof start - 1);
            if (length < 0)
                return false;
            start[length] = 0;
        }
        if (strlen(start) + strlen(name) + 2 > PATH_MAX)
            return false;
        sprintf(path, "%s/%s", start, name);
    }
    return !strncmp(path, under, strlen(under));
}

static bool is_allowed(const char *path)
{
    for (const char *at = path + strlen(under); *at; at++) {
        if (strchr("<>:\"|?*\\", *at) || (unsigned char)*at < 32)
            return false;
        bool ends = !at[1] || at[1] == '/';
        if (ends && (*at == ' ' || (*at == '.' && at[-1] != '/' && !(at[-1] == '.' && at[-2] == '/'))))
            return false;
    }
    return true;
}

/* Have each name of the path be that of the entry which differs in case alone, if there is one. */
static void fold(char *path)
{
    char *name = path + strlen(under);
    while (*name) {
        char *end = strchrnul(name, '/');
        char after = *end;
        struct stat found;
        *end = 0;
        if (*name && REAL(lstat)(path, &found)) {
            char directory[PATH_MAX];
            snprintf(directory, sizeof directory, "%.*s", (int)(name - path), path);
            DIR *entries = opendir(directory);
            struct dirent *entry;
            while (entries && (entry = readdir(entries)))
                if (!strcasecmp(entry->d_name, name)) {
                    note(FOLDED);
                    memcpy(name, entry->d_name, strlen(name));
                    break;
                }
            if (entries)
                closedir(entries);
        }
        *end = after;
        name = after ? end + 1 : end;
    }
}

/* Apply the rules about names. Returns -1 with errno, or 0. `*name` is then what the C library is to get. */
static int settle(char *path, int directory, const char **name)
{
    if (!(is_on[NAMES] || is_on[FOLDED]) || !place(path, directory, *name))
        return 0;
    if (is_on[NAMES] && !is_allowed(path))
        return refuse(NAMES, EINVAL);
    if (is_on[FOLDED]) {
        fold(path);
        *name = path;
    }
    return 0;
}

/* --- open files -------------------------------------------------------------------------------------------------- */

static bool has_open(const char *process, const struct stat *wanted)
{
    char path[PATH_MAX + NAME_MAX + 16], entry_path[PATH_MAX + 2 * NAME_MAX + 32];
    snprintf(path, sizeof path, "%s/%s/fd", proc, process);
    DIR *files = opendir(path);
    bool found = false;
    struct dirent *entry;
    while (files && !found && (entry = readdir(files))) {
        struct stat open_one;
        snprintf(entry_path, sizeof entry_path, "%s/%s", path, entry->d_name);
        found = entry->d_name[0] != '.' && !REAL(stat)(entry_path, &open_one) && open_one.st_ino == wanted->st_ino
                && open_one.st_dev == wanted->st_dev;
    }
    if (files)
        closedir(files);
    return found;
}

static bool is_open(const char *path)
{
    struct stat wanted;
    if (REAL(lstat)(path, &wanted) || !S_ISREG(wanted.st_mode))
        return false;
    DIR *processes = opendir(proc);
    bool found = false;
    struct dirent *entry;
    while (processes && !found && (entry = readdir(processes)))
        found = entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && has_open(entry->d_name, &wanted);
    if (processes)
        closedir(processes);
    return found;
}

/* Whether this attempt comes too early. Each path has its own count, in each process. */
static bool is_busy(const char *path)
{
    static struct {
        uint64_t path;
        int attempts;
    } seen[REMEMBERED];
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    struct stat found;
    if (!is_on[BUSY] || REAL(lstat)(path, &found) || !S_ISREG(found.st_mode))
        return false;
    uint64_t hash = 14695981039346656037u;
    for (const char *at = path; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    bool busy = false;
    pthread_mutex_lock(&turn);
    for (int i = 0; i < REMEMBERED; i++)
        if (!seen[i].path || seen[i].path == hash) {
            seen[i].path = hash;
            busy = seen[i].attempts++ < busy_for;
            if (!busy)
                seen[i].attempts = 0;
            break;
        }
    pthread_mutex_unlock(&turn);
    return busy;
}

/* Refuse to remove or rename what is open. Returns -1 with errno, or 0. */
static int spare(void *caller, int directory, const char *name)
{
    char path[PATH_MAX];
    if (!is_on[OPEN_FILES] || is_exempt(caller) || !place(path, directory, name))
        return 0;
    if (is_on[FOLDED])
        fold(path);
    return is_open(path) ? refuse(OPEN_FILES, EACCES) : 0;
}

static int spare_target(void *caller, int directory, const char *name)
{
    char path[PATH_MAX];
    if (is_exempt(caller) || !place(path, directory, name))
        return 0;
    if (is_on[FOLDED])
        fold(path);
    if (is_on[OPEN_FILES] && is_open(path))
        return refuse(OPEN_FILES, EACCES);
    return is_busy(path) ? refuse(BUSY, EACCES) : 0;
}

/* --- the functions that take names --------------------------------------------------------------------------------- */

#define SETTLED(directory, name)                                                                                         \
    char settled_##name[PATH_MAX];                                                                                       \
    if (settle(settled_##name, directory, &name))                                                                        \
    return -1

#define MODE_OF(flags)                                                                                                   \
    mode_t mode = 0;                                                                                                     \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                             \
        va_list arguments;                                                                                               \
        va_start(arguments, flags);                                                                                      \
        mode = va_arg(arguments, mode_t);                                                                                \
        va_end(arguments);                                                                                               \
    }

int open(const char *name, int flags, ...)
{
    MODE_OF(flags)
    SETTLED(AT_FDCWD, name);
    return REAL(openat)(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    MODE_OF(flags)
    SETTLED(AT_FDCWD, name);
    return REAL(openat)(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}

int openat(int directory, const char *name, int flags, ...)
{
    MODE_OF(flags)
    SETTLED(directory, name);
    return REAL(openat)(directory, name, flags, mode);
}

int openat64(int directory, const char *name, int flags, ...)
{
    MODE_OF(flags)
    SETTLED(directory, name);
    return REAL(openat)(directory, name, flags | O_LARGEFILE, mode);
}

int unlink(const char *name)
{
    SETTLED(AT_FDCWD, name);
    return spare(CALLER, AT_FDCWD, name) ? -1 : REAL(unlink)(name);
}

int unlinkat(int directory, const char *name, int flags)
{
    SETTLED(directory, name);
    return spare(CALLER, directory, name) ? -1 : REAL(unlinkat)(directory, name, flags);
}

int rename(const char *from, const char *to)
{
    SETTLED(AT_FDCWD, from);
    SETTLED(AT_FDCWD, to);
    return spare(CALLER, AT_FDCWD, from) || spare_target(CALLER, AT_FDCWD, to) ? -1 : REAL(rename)(from, to);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    SETTLED(from_directory, from);
    SETTLED(to_directory, to);
    return spare(CALLER, from_directory, from) || spare_target(CALLER, to_directory, to)
               ? -1
               : REAL(renameat)(from_directory, from, to_directory, to);
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags)
{
    SETTLED(from_directory, from);
    SETTLED(to_directory, to);
    return spare(CALLER, from_directory, from) ? -1
                                               : REAL(renameat2)(from_directory, from, to_directory, to, flags);
}

int mkdir(const char *name, mode_t mode)
{
    SETTLED(AT_FDCWD, name);
    return REAL(mkdir)(name, mode);
}

int mkdirat(int directory, const char *name, mode_t mode)
{
    SETTLED(directory, name);
    return REAL(mkdirat)(directory, name, mode);
}

int fstatat(int directory, const char *name, struct stat *found, int flags)
{
    SETTLED(directory, name);
    return REAL(fstatat)(directory, name, found, flags);
}

int fstatat64(int directory, const char *name, struct stat64 *found, int flags)
{
    SETTLED(directory, name);
    return REAL(fstatat64)(directory, name, found, flags);
}

int faccessat(int directory, const char *name, int mode, int flags)
{
    SETTLED(directory, name);
    return REAL(faccessat)(directory, name, mode, flags);
}

int stat(const char *name, struct stat *found)
{
    SETTLED(AT_FDCWD, name);
    return REAL(stat)(name, found);
}

int lstat(const char *name, struct stat *found)
{
    SETTLED(AT_FDCWD, name);
    return REAL(lstat)(name, found);
}

int stat64(const char *name, struct stat64 *found)
{
    SETTLED(AT_FDCWD, name);
    return REAL(stat64)(name, found);
}

int lstat64(const char *name, struct stat64 *found)
{
    SETTLED(AT_FDCWD, name);
    return REAL(lstat64)(name, found);
}

int access(const char *name, int mode)
{
    SETTLED(AT_FDCWD, name);
    return REAL(access)(name, mode);
}
