/* Input: a byte of calls, and changes of a log that has records in both segments: where, and what is written there.
 *
 * Readers find only what lies within a segment. Writers write only there. The mutex is left alone.
 * The index is small, so that an input takes microseconds, and so that it fills up and keys collide.
 */

#include "harness.h"
#include "log.h"

#undef LOG_SLOTS
#define LOG_SLOTS 64u
#undef _GNU_SOURCE /* which it defines anew */
#include "../../../native/log.c"
#include "../../../native/log_order.c"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEGMENT FIRST_STEP
#define KEYS 24
#define MOST_KEYS 130 /* that calls name */
#define CHANGED 2048 /* bytes of each segment that are changed: somewhat more than its records take */
#define CHANGE_SIZE 12
#define MOST_CHANGES 64

enum call { PUT = 1, UNDO = 2, SWAP = 4, REMOVE = 8, SETTLE = 16, HOLDING = 32, BATCH = 64, ONLY_READ = 128 };

typedef struct {
    uint32_t choice; /* the highest bit: 8 bytes are written, not 4; the next: it happens while a reader reads */
    uint8_t bytes[8];
} Change;

typedef struct {
    uint64_t offsets[2 * KEYS];
    size_t count;
} Places;

static LogMap map;
static uint8_t *sound;
static _Atomic uint32_t words[4];
static size_t written[LOG_SEGMENTS]; /* up to where each segment may differ from the sound one */
static Places records[LOG_SEGMENTS];

static LogRow all_rows[MOST_KEYS];

static void
name_rows(void)
{
    static char keys[MOST_KEYS][16];
    static const uint8_t body[] = "body of a record";
    for (unsigned number = 0; number < MOST_KEYS; number++) {
        LogRow row = {.key = (uint8_t *)keys[number], .body = body, .body_length = number % sizeof(body)};
        row.key_length = (uint32_t)snprintf(keys[number], sizeof(keys[number]), "key %u", number);
        all_rows[number] = row;
    }
}

static void
wrote_until(unsigned segment, uint64_t end)
{
    written[segment] = end > written[segment] ? end : written[segment];
}

/* Commit one row, or two. Without ``publish`` the writer dies before the commit. */
static void
put(unsigned number, size_t count, bool publish)
{
    const LogRow *rows = &all_rows[number];
    uint64_t at, taken;
    if (log_room(&map, rows, count, &at) != LOG_DONE) {
        return;
    }
    unsigned segment = active_of(&map);
    uint64_t most = at + count * (RECORD_OVERHEAD + 16 + 17);
    wrote_until(segment, most < SEGMENT ? most : SEGMENT);
    uint64_t end = log_append(&map, at, rows, count, &taken);
    if (end > SEGMENT) {
        finding("a record is written beyond the end of its segment");
    }
    if (end && publish) {
        log_publish(&map, end, taken);
    }
    else if (!end) {
        log_undo(&map);
    }
}

static LogRecord *
record_at(unsigned segment, uint64_t offset)
{
    return (LogRecord *)(bytes_of(&map, segment) + offset);
}

/* Find all records of a segment, the ones that are not committed, too. */
static void
find_records(unsigned segment)
{
    Places *found = &records[segment];
    for (uint64_t at = LOG_FIRST; record_at(segment, at)->total; at += record_at(segment, at)->total) {
        if (found->count == sizeof(found->offsets) / sizeof(*found->offsets)) {
            finding("there are more records than expected");
        }
        found->offsets[found->count++] = at;
    }
}

static void
restore(void)
{
    size_t indexes = LOG_HEADER + LOG_SEGMENTS * LOG_INDEX;
    memcpy(map.map, sound, indexes);
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        memcpy(bytes_of(&map, segment), sound + indexes + segment * SEGMENT, written[segment]);
        written[segment] = CHANGED;
    }
    memset(words, 0, sizeof(words));
}

void
prepare(void)
{
    name_rows();
    size_t size = log_size(SEGMENT);
    int descriptor = memfd_create("log", 0);
    uint8_t *memory = calloc(1, size); /* not a map, so that AddressSanitizer knows its end */
    sound = malloc(size);
    if (descriptor < 0 || ftruncate(descriptor, (off_t)size) || sound == NULL || memory == NULL
        || !log_make(memory, size, descriptor, 0, 12345)) {
        finding("no log can be made");
    }
    map = (LogMap){.map = memory, .size = size, .header = (LogHeader *)memory, .descriptor = descriptor, .claim = words,
                   .generation = words + 1, .dirty = words + 2, .bell = words + 3};
    for (unsigned number = 0; number < KEYS; number++) {
        put(number, 1, true);
        if (number % 3 == 0) {
            put(number / 2, 1, true); /* which has a record in this segment, or in the other one */
        }
        if (number == KEYS / 2) {
            log_swap(&map, 0);
        }
    }
    put(KEYS - 4, 2, false);
    find_records(0);
    find_records(1);
    memcpy(sound, memory, size);
    if (written[0] > CHANGED || written[1] > CHANGED) {
        finding("the records take more space than is changed");
    }
    restore();
}

/* --- changes ------------------------------------------------------------------------------------------------------- */

/* Where a change goes: the header but not the mutex, a slot, or the records. */
static uint8_t *
place_of(uint32_t choice)
{
    unsigned segment = choice >> 2 & 1;
    size_t rest = choice >> 3 & 0xffffff, mutex = offsetof(LogHeader, mutex), number = offsetof(LogHeader, number);
    switch (choice & 3) {
    case 0: rest %= sizeof(LogHeader) - 7; return map.map + (rest + 8 > mutex && rest < number ? number : rest);
    case 1: return (uint8_t *)(slots_of(&map, segment) + rest % LOG_SLOTS);
    case 2: return bytes_of(&map, segment) + rest % (CHANGED - 7);
    default: return bytes_of(&map, segment) + rest % (CHANGED / 4 - 1) * 4; /* a length, or a place, of a record */
    }
}

static bool
is_link(const Change *change)
{
    return (change->choice & 3) == 3 && change->choice >> 29 & 1;
}

/* Let a record lead to any other one, or to itself: chance alone seldom makes circles. */
static void
link_records(const Change *change)
{
    unsigned segment = change->choice >> 2 & 1;
    const Places *found = &records[segment];
    size_t from = (change->choice >> 3 & 0xffffff) % found->count, to = change->bytes[0] % found->count;
    record_at(segment, found->offsets[from])->before = (uint32_t)(found->offsets[to] >> 3);
}

static void
apply(const Change *changes, size_t count, bool late)
{
    for (size_t at = 0; at < count; at++) {
        if ((changes[at].choice >> 30 & 1) != late) {
            continue;
        }
        if (is_link(&changes[at])) {
            link_records(&changes[at]);
        }
        else {
            memcpy(place_of(changes[at].choice), changes[at].bytes, changes[at].choice >> 31 ? 8 : 4);
        }
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static void
check_place(unsigned segment, const uint8_t *bytes, size_t length)
{
    const uint8_t *start = bytes_of(&map, segment);
    if (bytes < start || length > SEGMENT || bytes + length > start + SEGMENT
        || __asan_region_is_poisoned((void *)(uintptr_t)bytes, length) != NULL) {
        finding("a reader is led out of the segment");
    }
}

static void
find_all(void)
{
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        uint64_t head = head_of(&map, segment);
        for (unsigned number = 0; number < KEYS; number++) {
            LogFound found;
            const LogRow *row = &all_rows[number];
            uint64_t hash = log_hash(&map, row->key, row->key_length);
            if (log_find(&map, segment, head, row->key, row->key_length, hash, &found)) {
                check_place(segment, found.record, found.length);
                if (found.length < TRAILER) {
                    finding("a record has no number");
                }
            }
        }
    }
}

static bool
refresh(LogOrder *order, unsigned segment)
{
    uint64_t epoch = log_epoch(&map, segment);
    return !(epoch & 1) && log_order_refresh(order, &map, segment, epoch, head_of(&map, segment)) == ORDER_DONE;
}

static void
scan(const LogOrder *order, unsigned segment)
{
    for (size_t at = log_order_search(order, &map, segment, (const uint8_t *)"key 2", 5); at < order->count; at++) {
        const uint8_t *bytes;
        size_t length;
        if (log_order_key(order, &map, segment, at, &bytes, &length)) {
            check_place(segment, bytes, length);
        }
    }
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static enum log_result
lock(LogMap *log)
{
    return log_lock(log, 0);
}

static void
settle(bool holding)
{
    LogStamp stamp;
    log_stamp(&map, &stamp);
    put(3, 1, true);
    log_unchanged(&map, &stamp, holding, (const uint8_t *)"key 3", 5);
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        uint64_t head = head_of(&map, segment); /* records below it are written to */
        wrote_until(segment, head < SEGMENT ? head : SEGMENT);
    }
    log_settle(&map);
}

static void
write_all(unsigned calls)
{
    if (calls & PUT) {
        put(calls, calls & BATCH ? 2 : 1, true);
    }
    if (calls & UNDO) {
        log_undo(&map);
    }
    if (calls & SWAP) {
        log_swap(&map, calls);
    }
    if (calls & REMOVE) {
        log_remove(&map, calls, lock);
    }
    if (calls & SETTLE) {
        settle(calls & HOLDING);
    }
}

void
try_input(const uint8_t *data, size_t size)
{
    Change changes[MOST_CHANGES];
    LogOrder orders[LOG_SEGMENTS] = {{.epoch = 1}, {.epoch = 1}};
    size_t count = size ? (size - 1) / CHANGE_SIZE : 0;
    count = count > MOST_CHANGES ? MOST_CHANGES : count;
    for (size_t at = 0; at < count; at++) {
        memcpy(&changes[at], data + 1 + at * CHANGE_SIZE, CHANGE_SIZE);
    }
    apply(changes, count, false);
    log_problem(&map, false);
    find_all();
    bool ordered[] = {refresh(&orders[0], 0), refresh(&orders[1], 1)};
    apply(changes, count, true);
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        if (ordered[segment]) {
            scan(&orders[segment], segment);
        }
    }
    if (size && !(data[0] & ONLY_READ)) {
        write_all(data[0]);
        find_all();
    }
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        if (refresh(&orders[segment], segment)) {
            scan(&orders[segment], segment);
        }
        log_order_free(&orders[segment]);
    }
    restore();
}
