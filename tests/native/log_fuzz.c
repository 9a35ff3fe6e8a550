/* Feeds changed logs to the reader and the writer of logs, for libFuzzer:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -pthread -I native -I INCLUDE_OF_PYTHON tests/native/log_fuzz.c \
 *         native/log.c native/log_order.c native/records.c -o log_fuzz
 *     ./log_fuzz -max_len=256 -len_control=0 -runs=10000000
 *
 * An input is a list of changes (place, value) of a log that has records in both segments. The mutex is left alone.
 */

#define _GNU_SOURCE
#include "log_order.h"
#include "native.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEGMENT (1u << 18)
#define KEYS 40
#define USED 4096 /* bytes of each segment that are changed */

static LogMap map;
static uint8_t *template;
static _Atomic uint32_t words[4];

static LogRow
row_of(char *key, unsigned number)
{
    LogRow row = {.key = (uint8_t *)key, .body = (const uint8_t *)"body of a record", .body_length = number % 16 + 1};
    row.key_length = (uint32_t)snprintf(key, 16, "key %u", number);
    return row;
}

static void
put(unsigned number)
{
    char key[16];
    uint64_t at, taken;
    LogRow row = row_of(key, number);
    if (log_room(&map, &row, 1, &at) == LOG_DONE) {
        uint64_t end = log_append(&map, at, &row, 1, &taken);
        if (end) {
            log_publish(&map, end, taken);
        }
        else {
            log_undo(&map);
        }
    }
}

static enum log_result
lock(LogMap *log)
{
    return log_lock(log, 0);
}

static void
restore(void)
{
    size_t indexes = LOG_HEADER + LOG_SEGMENTS * LOG_INDEX;
    memcpy(map.map, template, indexes + USED);
    memcpy(map.map + indexes + SEGMENT, template + indexes + SEGMENT, USED);
}

static void
prepare(void)
{
    size_t size = log_size(SEGMENT);
    int descriptor = memfd_create("log", 0);
    template = malloc(size);
    if (descriptor < 0 || ftruncate(descriptor, (off_t)size) || template == NULL) {
        abort();
    }
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED || !log_make(memory, size, descriptor, 0, 12345)) {
        abort();
    }
    map = (LogMap){.map = memory, .size = size, .header = (LogHeader *)memory, .descriptor = descriptor, .claim = words,
                   .generation = words + 1, .dirty = words + 2, .bell = words + 3};
    for (unsigned number = 0; number < KEYS; number++) {
        put(number);
        if (number == KEYS / 2) {
            log_swap(&map, 0);
        }
    }
    memcpy(template, memory, size);
}

/* Where a change goes: the header but not the mutex, a slot that is used, or the records. */
static size_t
place_of(uint32_t choice)
{
    size_t indexes = LOG_HEADER + LOG_SEGMENTS * LOG_INDEX, segment = choice >> 2 & 1, rest = choice >> 3;
    char key[16];
    switch (choice & 3) {
    case 0: rest = rest % 384; return rest >= 64 && rest < 128 ? 128 : rest;
    case 1: {
        LogRow row = row_of(key, (unsigned)(rest % KEYS));
        uint64_t slot = (log_hash(&map, row.key, row.key_length) + rest / KEYS % 4) & (LOG_SLOTS - 1);
        return LOG_HEADER + segment * LOG_INDEX + slot * 8;
    }
    default: return indexes + segment * SEGMENT + rest % (USED - 8);
    }
}

static volatile uint32_t sum; /* so that what is read is read */

static void
read_all(void)
{
    LogOrder orders[LOG_SEGMENTS] = {{.epoch = 1}, {.epoch = 1}};
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        uint64_t epoch = log_epoch(&map, segment), head = atomic_load(&map.header->segments[segment].head);
        for (unsigned number = 0; number < KEYS; number++) {
            char key[16];
            LogFound found;
            LogRow row = row_of(key, number);
            if (log_find(&map, segment, head, row.key, row.key_length, log_hash(&map, row.key, row.key_length), &found)) {
                sum += checksum(found.record, found.length, 0) + (uint32_t)log_number_of(found.record, found.length);
            }
        }
        if (!(epoch & 1) && log_order_refresh(&orders[segment], &map, segment, epoch, head) == ORDER_DONE) {
            size_t low = log_order_search(&orders[segment], &map, segment, (const uint8_t *)"key 2", 5);
            for (size_t at = low; at < orders[segment].count; at++) {
                const uint8_t *bytes;
                size_t length;
                if (log_order_key(&orders[segment], &map, segment, at, &bytes, &length)) {
                    sum += checksum(bytes, length, 0);
                }
            }
        }
        log_order_free(&orders[segment]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (template == NULL) {
        prepare();
    }
    if (size < 2) {
        return 0;
    }
    uint8_t calls = data[0] < 128 ? data[0] : 0; /* readers change nothing, so only the changes have to be taken back */
    size_t places[256], changed = 0;
    for (data++, size--; size >= 12 && changed < 256; data += 12, size -= 12) {
        uint32_t choice;
        memcpy(&choice, data, sizeof(choice));
        places[changed++] = place_of(choice);
        memcpy(map.map + places[changed - 1], data + 4, choice & 1u << 31 ? 8 : 4);
    }
    sum += log_problem(&map) != NULL;
    read_all();
    if (!calls) {
        while (changed) {
            size_t place = places[--changed];
            memcpy(map.map + place, template + place, 8);
        }
        return 0;
    }
    if (calls & 1) {
        put(calls);
    }
    if (calls & 2) {
        log_undo(&map);
    }
    if (calls & 4) {
        log_swap(&map, calls);
    }
    if (calls & 8) {
        log_remove(&map, calls, lock);
    }
    if (calls & 16) {
        LogStamp stamp;
        log_stamp(&map, &stamp);
        sum += log_unchanged(&map, &stamp, calls & 32, (const uint8_t *)"key 3", 5);
        sum += log_settle(&map);
    }
    read_all();
    restore();
    return 0;
}
