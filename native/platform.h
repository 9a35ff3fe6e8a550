/* What the module asks of the C library and the kernel beyond C11 and POSIX, and what it does without.
 *
 * Robust mutexes are what the log and the lines of turns rest on: if a process dies with one, the next is told. Where
 * there are none (macOS), Python does without both. A wait for a word of shared memory becomes short naps without futex.
 *
 * The file that includes this defines _GNU_SOURCE first, or includes Python.h.
 */

#ifndef COSHELF_PLATFORM_H
#define COSHELF_PLATFORM_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/random.h>
#include <sys/syscall.h>
#elif defined(__APPLE__)
#include <sys/random.h> /* getentropy */
#endif

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

/* Each C library makes its mutexes in its own way, so a file says which one made its mutex. */
#ifdef __GLIBC__
#define PLATFORM_LIBRARY 1u
#else
#define PLATFORM_LIBRARY 2u
#endif

/* --- robust mutexes ------------------------------------------------------------------------------------------------ */

#if defined(EOWNERDEAD) && (defined(__linux__) || defined(__FreeBSD__))
#define PLATFORM_HAS_ROBUST 1
#else
#define PLATFORM_HAS_ROBUST 0
#endif

/* Make a robust mutex for several processes, in zeros of which nobody else knows. Returns 0 or the number of an error. */
static inline int
platform_make_mutex(pthread_mutex_t *mutex)
{
#if PLATFORM_HAS_ROBUST
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error) {
        return error;
    }
    error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!error) {
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    }
    if (!error) {
        error = pthread_mutex_init(mutex, &attributes);
    }
    pthread_mutexattr_destroy(&attributes);
    return error;
#else
    (void)mutex;
    return ENOTSUP;
#endif
}

/* What keeps the log and the lines of turns from being used here; empty if nothing does. */
static inline const char *
platform_lacks(void)
{
    union {
        pthread_mutex_t mutex;
        uint8_t zeros[sizeof(pthread_mutex_t)];
    } tried = {.zeros = {0}};
    if (!PLATFORM_HAS_ROBUST) {
        return "this system has no mutexes that tell of the death of a process";
    }
    if (platform_make_mutex(&tried.mutex)) {
        return "this system refuses mutexes that tell of the death of a process";
    }
    pthread_mutex_destroy(&tried.mutex);
    return "";
}

/* Whether an error of a lock says that a process died with the mutex. */
static inline bool
platform_owner_died(int error)
{
#if PLATFORM_HAS_ROBUST
    return error == EOWNERDEAD;
#else
    (void)error;
    return false;
#endif
}

/* After such a death: say that what the mutex guards is whole again. Returns 0 or the number of an error. */
static inline int
platform_mend(pthread_mutex_t *mutex)
{
#if PLATFORM_HAS_ROBUST
    return pthread_mutex_consistent(mutex);
#else
    (void)mutex;
    return ENOTSUP;
#endif
}

/* A wait by the clock of the day would last longer if that clock is set back meanwhile. ThreadSanitizer does not know
 * the function that waits by the other clock. */
#if defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
#if __GLIBC_PREREQ(2, 30)
#define PLATFORM_HAS_CLOCKLOCK 1
#endif
#endif

/* Lock a mutex within a time. Returns 0, ETIMEDOUT, or the number of an error. */
static inline int
platform_lock_within(pthread_mutex_t *mutex, long nanoseconds)
{
#if PLATFORM_HAS_ROBUST
    struct timespec end;
#ifdef PLATFORM_HAS_CLOCKLOCK
    clock_gettime(CLOCK_MONOTONIC, &end);
#else
    clock_gettime(CLOCK_REALTIME, &end);
#endif
    end.tv_nsec += nanoseconds % 1000000000;
    end.tv_sec += nanoseconds / 1000000000 + end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
#ifdef PLATFORM_HAS_CLOCKLOCK
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
#else
    return pthread_mutex_timedlock(mutex, &end);
#endif
#else
    (void)mutex, (void)nanoseconds;
    return ENOTSUP;
#endif
}

/* For a loop that tries a lock again and again: let the other thread of this core run. */
static inline void
platform_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* --- words at which threads sleep ---------------------------------------------------------------------------------- */

enum platform_sleep { PLATFORM_SLEPT, PLATFORM_SIGNALLED, PLATFORM_CANNOT_SLEEP };

/* Wake threads that sleep at a word. Returns false where they do not sleep there. */
static inline bool
platform_wake(_Atomic uint32_t *word, int count)
{
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
    return true;
#else
    (void)word, (void)count;
    return false;
#endif
}

/* Sleep while a word has a value: until woken, a signal, or the end of a time. Where threads cannot sleep at a word, in a
 * sandbox or on another system, this returns at once. */
static inline enum platform_sleep
platform_sleep_while(_Atomic uint32_t *word, uint32_t value, int64_t nanoseconds)
{
#ifdef __linux__
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    if (syscall(SYS_futex, word, FUTEX_WAIT, value, &time, NULL, 0) == 0 || errno == EAGAIN || errno == ETIMEDOUT) {
        return PLATFORM_SLEPT;
    }
    return errno == EINTR ? PLATFORM_SIGNALLED : PLATFORM_CANNOT_SLEEP;
#else
    (void)word, (void)value, (void)nanoseconds;
    return PLATFORM_CANNOT_SLEEP;
#endif
}

/* --- files --------------------------------------------------------------------------------------------------------- */

/* Take the space of a range of a file. Returns 0 or the number of an error. */
static inline int
platform_reserve(int descriptor, off_t start, off_t length)
{
#ifdef __APPLE__
    (void)descriptor, (void)start, (void)length;
    return ENOTSUP; /* F_PREALLOCATE takes space only at the end of a file */
#else
    int error;
    do {
        error = posix_fallocate(descriptor, start, length);
    } while (error == EINTR);
    return error;
#endif
}

/* Random bytes, some 8 of them. Returns whether the kernel gave them. */
static inline bool
platform_random(void *bytes, size_t length)
{
#ifdef __linux__
    return getrandom(bytes, length, 0) == (ssize_t)length;
#else
    return getentropy(bytes, length) == 0;
#endif
}

#endif
