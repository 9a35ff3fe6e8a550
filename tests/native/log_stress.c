/* Threads that use one log at once, for the sanitizers of the compiler: test_log_sanitized.py.
 *
 *     log_stress FILE COMMITS
 *
 * Four threads commit pairs of keys with one value, two read, one flushes. A reader finds both keys of a pair whole, and
 * never a value that is older than what it has seen.
 */

#define _GNU_SOURCE
#include "log.h"
#include "native.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define WRITERS 4
#define READERS 2
#define SEGMENT (1u << 18)
#define LARGEST 512

static LogMap log_map;
static _Atomic uint32_t words[4];
static _Atomic uint64_t flushed, in_base[2 * WRITERS], acknowledged[WRITERS], running = WRITERS;
static _Atomic bool is_wanted; /* a writer waits for a flush */
static uint64_t commits;

static void
need(bool condition, const char *sentence)
{
    if (!condition) {
        fprintf(stderr, "%s\n", sentence);
        _exit(1);
    }
}

static enum log_result
lock(LogMap *map)
{
    enum log_result result;
    while ((result = log_lock(map, 100)) == LOG_BUSY) {
        result = log_lock_until(map, 10000000);
        if (result != LOG_BUSY) {
            break;
        }
    }
    return result;
}

static size_t
key_of(char *key, unsigned number)
{
    return (size_t)snprintf(key, 16, "key %u", number);
}

static void *
write_pairs(void *argument)
{
    unsigned writer = (unsigned)(uintptr_t)argument;
    char keys[2][16];
    uint64_t body[LARGEST / 8];
    for (uint64_t value = 1; value <= commits;) {
        LogRow rows[2];
        uint32_t length = 8 * (1 + value % (LARGEST / 8));
        for (uint32_t at = 0; at < length / 8; at++) {
            body[at] = value;
        }
        for (unsigned i = 0; i < 2; i++) {
            rows[i] = (LogRow){.key = (uint8_t *)keys[i], .body = (uint8_t *)body, .body_length = length,
                               .key_length = (uint32_t)key_of(keys[i], 2 * writer + i)};
            rows[i].partial = checksum(rows[i].body, length, checksum(rows[i].key, rows[i].key_length, 0));
        }
        uint64_t at, number;
        need(lock(&log_map) == LOG_DONE, "the mutex cannot be locked");
        enum log_result result = log_may_commit(&log_map, false);
        result = result == LOG_DONE ? log_room(&log_map, rows, 2, &at) : result;
        if (result == LOG_DONE) {
            uint64_t end = log_append(&log_map, at, rows, 2, &number);
            if (value % 50 == 0) { /* it is taken back, and made again */
                log_undo(&log_map);
                end = log_append(&log_map, at, rows, 2, &number);
            }
            log_publish(&log_map, end, number);
        }
        log_unlock(&log_map);
        if (result == LOG_DONE) {
            atomic_store(&acknowledged[writer], value++);
        }
        else {
            need(result == LOG_FULL, "a commit is refused");
            atomic_store(&is_wanted, true);
            usleep(100);
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* The value of a key in the log, or of the base. */
static uint64_t
look(unsigned number)
{
    char key[16];
    uint8_t copy[LARGEST + TRAILER];
    size_t length = key_of(key, number);
    const uint8_t *bytes = (const uint8_t *)key;
    uint64_t hash = log_hash(&log_map, bytes, length);
again:;
    unsigned active = atomic_load_explicit(&log_map.header->active, memory_order_acquire) & 1;
    for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
        unsigned segment = active ^ i;
        uint64_t epoch = log_epoch(&log_map, segment);
        uint64_t head = atomic_load_explicit(&log_map.header->segments[segment].head, memory_order_acquire);
        LogFound found;
        if (epoch & 1 || head <= LOG_FIRST) {
            continue;
        }
        bool there = log_find(&log_map, segment, head, bytes, length, hash, &found) != 0;
        size_t size = there ? found.length : 0;
        if (size <= sizeof(copy) && there) {
            memcpy(copy, found.record, size);
        }
        if (!log_is_still(&log_map, segment, epoch)) {
            goto again;
        }
        if (there) {
            need(size <= sizeof(copy) && is_intact(bytes, length, copy, size), "a record is torn");
            if (log_number_of(copy, size) <= atomic_load(&flushed)) {
                break;
            }
            uint64_t value;
            memcpy(&value, copy, sizeof(value));
            return value;
        }
    }
    return atomic_load(&in_base[number]);
}

static void *
read_pairs(void *argument)
{
    uint64_t seen[2 * WRITERS] = {0};
    (void)argument;
    while (atomic_load(&running)) {
        for (unsigned number = 0; number < 2 * WRITERS; number++) {
            uint64_t least = atomic_load(&acknowledged[number / 2]);
            uint64_t value = look(number);
            need(value >= seen[number] && value >= least, "a reader goes back");
            seen[number] = value;
        }
    }
    return NULL;
}

static void *
flush(void *argument)
{
    (void)argument;
    while (atomic_load(&running)) {
        if (!atomic_exchange(&is_wanted, false)) {
            usleep(200);
        }
        need(lock(&log_map) == LOG_DONE, "the mutex cannot be locked");
        int segment = log_swap(&log_map, atomic_load(&flushed));
        log_unlock(&log_map);
        if (segment < 0) {
            continue;
        }
        uint64_t head = atomic_load(&log_map.header->segments[segment].head);
        for (unsigned number = 0; number < 2 * WRITERS; number++) {
            char key[16];
            LogFound found;
            size_t length = key_of(key, number);
            if (log_find(&log_map, (unsigned)segment, head, (uint8_t *)key, length,
                         log_hash(&log_map, (uint8_t *)key, length), &found)) {
                uint64_t value;
                memcpy(&value, found.record, sizeof(value));
                atomic_store(&in_base[number], value);
            }
        }
        uint64_t last = atomic_load(&log_map.header->segments[segment].last);
        atomic_store(&flushed, last);
        need(log_remove(&log_map, last, lock) == LOG_DONE, "what is flushed cannot be removed");
    }
    return NULL;
}

int
main(int count, char **arguments)
{
    size_t size = log_size(SEGMENT);
    int descriptor = count == 3 ? open(arguments[1], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
    need(descriptor >= 0 && !ftruncate(descriptor, (off_t)size), "the file cannot be made");
    need(!posix_fallocate(descriptor, 0, LOG_HEADER + LOG_SEGMENTS * LOG_INDEX), "there is no space");
    uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    need(map != MAP_FAILED, "the file cannot be mapped");
    log_map = (LogMap){.map = map, .size = size, .header = (LogHeader *)map, .descriptor = descriptor, .claim = words,
                       .generation = words + 1, .dirty = words + 2, .bell = words + 3};
    need(log_make(map, size, descriptor, 0, 12345), "the log cannot be made");
    commits = strtoull(arguments[2], NULL, 10);
    pthread_t threads[WRITERS + READERS + 1];
    for (unsigned i = 0; i < WRITERS + READERS + 1; i++) {
        void *(*what)(void *) = i < WRITERS ? write_pairs : i < WRITERS + READERS ? read_pairs : flush;
        need(!pthread_create(&threads[i], NULL, what, (void *)(uintptr_t)i), "a thread cannot be started");
    }
    for (unsigned i = 0; i < WRITERS + READERS + 1; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned number = 0; number < 2 * WRITERS; number++) {
        need(look(number) == commits, "a commit is lost");
    }
    munmap(map, size);
    close(descriptor);
    return 0;
}
