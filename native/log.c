/* The log: appending, publishing, looking up, recovering and emptying, without Python.
 *
 * Writers hold a robust mutex. A commit becomes visible by one store, of the segment's head. Readers take nothing: they
 * ignore records at or beyond the head, copy what they found, and look at the segment's epoch again. The bytes that a
 * reader meets may be anything, since another process may empty the segment meanwhile: each number is bounded before it
 * is followed.
 */

#define _GNU_SOURCE
#include "log.h"

#include "native.h"
#include "platform.h"

#define MAGIC "coshlog\1"
#define RECORD_OVERHEAD (sizeof(LogRecord) + TRAILER + 7)
#define FIRST_STEP (256u << 10)
#define LARGEST_STEP (16u << 20)
#define RESERVE (64u << 10)      /* bytes that only deletions may use when the disk is full */
#define DUE_KEYS 20000
#define DUE_BYTES (16u << 20)
#define FEW 2048                 /* used slots that are cleared one by one */
#define SLOT_OFFSET 0xFFFFFFFFu

_Static_assert(sizeof(pthread_mutex_t) <= 64, "the mutex fits in its place");
_Static_assert(offsetof(LogHeader, number) == 128, "docs/format.md has the layout");
_Static_assert(offsetof(LogHeader, active) == 192, "docs/format.md has the layout");
_Static_assert(offsetof(LogHeader, segments) == 256, "docs/format.md has the layout");
_Static_assert(sizeof(LogSegment) == 64, "docs/format.md has the layout");
_Static_assert(sizeof(LogRecord) == 24, "docs/format.md has the layout");

typedef _Atomic uint64_t Slot;

size_t
log_size(size_t segment_size)
{
    return LOG_HEADER + LOG_SEGMENTS * (LOG_INDEX + segment_size);
}

static inline Slot *
slots_of(const LogMap *log, unsigned segment)
{
    return (Slot *)(log->map + LOG_HEADER + segment * LOG_INDEX);
}

static inline uint8_t *
bytes_of(const LogMap *log, unsigned segment)
{
    size_t each = (log->size - LOG_HEADER - LOG_SEGMENTS * LOG_INDEX) / LOG_SEGMENTS;
    return log->map + LOG_HEADER + LOG_SEGMENTS * LOG_INDEX + segment * each;
}

/* From the size of the map, not from the header: another process may write to the header. */
static inline uint64_t
end_of(const LogMap *log)
{
    return (log->size - LOG_HEADER - LOG_SEGMENTS * LOG_INDEX) / LOG_SEGMENTS;
}

static inline unsigned
active_of(const LogMap *log)
{
    return atomic_load_explicit(&log->header->active, memory_order_acquire) & 1;
}

static inline uint64_t
head_of(const LogMap *log, unsigned segment)
{
    return atomic_load_explicit(&log->header->segments[segment].head, memory_order_acquire);
}

/* --- hashing ------------------------------------------------------------------------------------------------------- */

static inline uint64_t
folded(uint64_t left, uint64_t right)
{
    unsigned __int128 product = (unsigned __int128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t
word_at(const uint8_t *bytes, size_t length)
{
    uint64_t word = 0;
    memcpy(&word, bytes, length < 8 ? length : 8);
    return word;
}

/* The seed is secret to the user of the log, so that keys from elsewhere cannot be made to collide. */
uint64_t
log_hash(const LogMap *log, const uint8_t *key, size_t length)
{
    uint64_t seed = log->header->seed, hash = folded(seed ^ 0x9E3779B97F4A7C15u, length ^ 0xD6E8FEB86659FD93u);
    for (; length > 16; key += 16, length -= 16) {
        hash = folded(word_at(key, 8) ^ seed, word_at(key + 8, 8) ^ hash);
    }
    uint64_t first = word_at(key, length), second = length > 8 ? word_at(key + 8, length - 8) : 0;
    return folded(folded(first ^ seed, second ^ hash), hash ^ 0xA0761D6478BD642Fu);
}

/* --- records ------------------------------------------------------------------------------------------------------- */

/* The record at an offset; NULL if no record of the segment can lie there. Its lengths are read once. */
const LogRecord *
log_record(const LogMap *log, unsigned segment, uint64_t offset, uint32_t *key_length, uint32_t *record_length)
{
    uint64_t end = end_of(log);
    if (offset < LOG_FIRST || offset & 7 || offset > end || end - offset < sizeof(LogRecord)) {
        return NULL;
    }
    const LogRecord *record = (const LogRecord *)(bytes_of(log, segment) + offset);
    *key_length = *(const volatile uint32_t *)&record->key_length;
    *record_length = *(const volatile uint32_t *)&record->record_length;
    uint64_t length = (uint64_t)*key_length + *record_length;
    if (*key_length > LOG_LARGEST_KEY || *record_length > LOG_LARGEST_RECORD || *record_length < TRAILER
        || length > end - offset - sizeof(LogRecord)) {
        return NULL;
    }
    return record;
}

static inline uint32_t
total_of(const LogRecord *record)
{
    return *(const volatile uint32_t *)&record->total;
}

static inline uint64_t
before(const LogRecord *record)
{
    return (uint64_t)*(const volatile uint32_t *)&record->before << 3;
}

/* The newest record of a key below the head of a segment, as its offset; 0 if there is none. */
uint64_t
log_find(const LogMap *log, unsigned segment, uint64_t head, const uint8_t *key, size_t length, uint64_t hash,
         LogFound *found)
{
    Slot *slots = slots_of(log, segment);
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint32_t tries = 0; tries < LOG_SLOTS; tries++) {
        uint64_t slot = atomic_load_explicit(&slots[(hash + tries) & (LOG_SLOTS - 1)], memory_order_acquire);
        if (!slot) {
            return 0;
        }
        if (slot >> 32 != tag) {
            continue;
        }
        uint64_t offset = (slot & SLOT_OFFSET) << 3;
        uint32_t key_length, record_length;
        const LogRecord *record = log_record(log, segment, offset, &key_length, &record_length);
        if (record == NULL || key_length != length || memcmp(record->bytes, key, length) != 0) {
            continue;
        }
        while (offset >= head) { /* it is not committed; older records lie at lower offsets, so this ends */
            uint64_t older = before(record);
            if (!older || older >= offset) {
                return 0;
            }
            offset = older;
            record = log_record(log, segment, offset, &key_length, &record_length);
            if (record == NULL || key_length != length) {
                return 0;
            }
        }
        found->record = record->bytes + key_length;
        found->length = record_length;
        return offset;
    }
    return 0;
}

uint64_t
log_epoch(const LogMap *log, unsigned segment)
{
    return atomic_load_explicit(&log->header->segments[segment].epoch, memory_order_acquire);
}

/* Whether a segment was not emptied since its epoch was read. What was copied before this call is valid then. */
bool
log_is_still(const LogMap *log, unsigned segment, uint64_t epoch)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&log->header->segments[segment].epoch, memory_order_relaxed) == epoch;
}

/* --- the mutex ----------------------------------------------------------------------------------------------------- */

/* Let no slot lead to a record that was not published. Its writer died with the mutex, or gives up. */
void
log_undo(LogMap *log)
{
    unsigned segment = active_of(log);
    uint64_t head = head_of(log, segment), count = 0;
    uint64_t most = end_of(log) / sizeof(LogRecord); /* records: each can be before one other only */
    Slot *slots = slots_of(log, segment);
    for (uint32_t at = 0; at < LOG_SLOTS; at++) {
        uint64_t slot = atomic_load_explicit(&slots[at], memory_order_relaxed), offset = (slot & SLOT_OFFSET) << 3;
        if (slot && offset >= head) {
            uint32_t key_length, record_length;
            while (offset >= head && offset) {
                const LogRecord *record = log_record(log, segment, offset, &key_length, &record_length);
                uint64_t older = record == NULL || !most ? 0 : before(record);
                offset = older < offset ? older : 0;
                most -= most > 0;
            }
            slot = offset ? (slot & ~(uint64_t)SLOT_OFFSET) | offset >> 3 : 0;
            atomic_store_explicit(&slots[at], slot, memory_order_release);
        }
        count += slot != 0;
    }
    LogSegment *state = &log->header->segments[segment];
    atomic_store_explicit(&state->count, count, memory_order_relaxed);
    /* A reader may be looking at a record that the next commit overwrites. It has to look again, at the slots above. */
    uint64_t epoch = atomic_load_explicit(&state->epoch, memory_order_relaxed);
    atomic_store_explicit(&state->epoch, epoch + 2, memory_order_release);
}

static enum log_result
locked(LogMap *log, int error)
{
    if (platform_owner_died(error)) {
        log_undo(log);
        return platform_mend(&log->header->mutex) ? LOG_FAILED : LOG_DONE;
    }
    switch (error) {
    case 0: return LOG_DONE;
    case EBUSY:
    case ETIMEDOUT: return LOG_BUSY;
    default: return LOG_FAILED;
    }
}

/* Take the mutex if it becomes free within some moments. */
enum log_result
log_lock(LogMap *log, int spins)
{
    for (;;) {
        int error = pthread_mutex_trylock(&log->header->mutex);
        if (error != EBUSY || spins-- <= 0) {
            return locked(log, error);
        }
        platform_pause();
    }
}

/* Take the mutex within a time. The caller does not hold the interpreter's lock. */
enum log_result
log_lock_until(LogMap *log, long nanoseconds)
{
    return locked(log, platform_lock_within(&log->header->mutex, nanoseconds));
}

void
log_unlock(LogMap *log)
{
    pthread_mutex_unlock(&log->header->mutex);
}

/* --- committing ---------------------------------------------------------------------------------------------------- */

/* Whether the holder of the mutex may commit. ``holding``: it holds the exclusive lock itself. */
enum log_result
log_may_commit(LogMap *log, bool holding)
{
    if (atomic_load_explicit(log->generation, memory_order_acquire) != log->mine) {
        return LOG_MOVED;
    }
    return !holding && atomic_load_explicit(log->claim, memory_order_acquire) ? LOG_CLAIMED : LOG_DONE;
}

static bool
allocate(LogMap *log, unsigned segment, uint64_t end)
{
    LogSegment *state = &log->header->segments[segment];
    uint64_t have = atomic_load_explicit(&state->allocated, memory_order_relaxed), most = end_of(log);
    if (end > most || have > most) {
        return false;
    }
    uint64_t step = have < FIRST_STEP ? FIRST_STEP : have > LARGEST_STEP ? LARGEST_STEP : have;
    uint64_t wanted[2] = {have + step > end ? have + step : end, end};
    for (int i = 0; i < 2; i++) {
        uint64_t to = wanted[i] > most ? most : wanted[i];
        size_t start = (size_t)(bytes_of(log, segment) - log->map) + have;
        if (!platform_reserve(log->descriptor, (off_t)start, (off_t)(to - have))) {
            atomic_store_explicit(&state->allocated, to, memory_order_relaxed);
            return true;
        }
    }
    return false;
}

/* Whether rows fit in the active segment, and where. Reserves their space: writing to a full disk would be a SIGBUS. */
enum log_result
log_room(LogMap *log, const LogRow *rows, size_t count, uint64_t *at)
{
    unsigned segment = active_of(log);
    LogSegment *state = &log->header->segments[segment];
    uint64_t end = head_of(log, segment), keep = 0;
    if (end < LOG_FIRST || end & 7 || end > end_of(log)) {
        return LOG_DAMAGED;
    }
    *at = end;
    for (size_t i = 0; i < count; i++) {
        end += RECORD_OVERHEAD + rows[i].key_length + rows[i].body_length;
        if (rows[i].body_length) {
            keep = RESERVE;
        }
    }
    if (end + keep > end_of(log)
        || atomic_load_explicit(&state->count, memory_order_relaxed) + count > LOG_MOST_KEYS) {
        return LOG_FULL;
    }
    if (end + keep <= atomic_load_explicit(&state->allocated, memory_order_relaxed)) {
        return LOG_DONE;
    }
    return allocate(log, segment, end + keep) ? LOG_DONE : LOG_NO_SPACE;
}

/* Whether a key has the version that it had at the time of the stamp. ``holding``: the caller holds the exclusive lock
 * since before the stamp, so that no commit went straight to the base. */
enum log_result
log_unchanged(LogMap *log, const LogStamp *stamp, bool holding, const uint8_t *key, size_t length)
{
    if (!holding && atomic_load_explicit(&log->header->direct, memory_order_relaxed) != stamp->direct) {
        return LOG_CHANGED;
    }
    uint64_t hash = log_hash(log, key, length);
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        LogFound found;
        uint64_t head = head_of(log, segment);
        /* A segment that was emptied since may have held a commit of this key that came after the stamp. */
        if (log_epoch(log, segment) != stamp->epochs[segment]) {
            return LOG_CHANGED;
        }
        if (head != stamp->heads[segment]
            && log_find(log, segment, head, key, length, hash, &found) >= stamp->heads[segment]) {
            return LOG_CHANGED;
        }
    }
    return LOG_DONE;
}

/* The slot of a key, or the empty slot that it gets. NULL: no slot is empty, though a quarter of them has to be. */
static Slot *
slot_for(LogMap *log, unsigned segment, const LogRow *row, uint64_t hash)
{
    Slot *slots = slots_of(log, segment);
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint32_t tries = 0; tries < LOG_SLOTS; tries++) {
        Slot *slot = &slots[(hash + tries) & (LOG_SLOTS - 1)];
        uint64_t found = atomic_load_explicit(slot, memory_order_relaxed);
        if (!found) {
            return slot;
        }
        if (found >> 32 == tag) {
            uint32_t key_length, record_length;
            const LogRecord *record = log_record(log, segment, (found & SLOT_OFFSET) << 3, &key_length, &record_length);
            if (record != NULL && key_length == row->key_length && !memcmp(record->bytes, row->key, key_length)) {
                return slot;
            }
        }
    }
    return NULL;
}

static uint64_t
append_one(LogMap *log, unsigned segment, uint64_t at, const LogRow *row, uint64_t number)
{
    LogSegment *state = &log->header->segments[segment];
    LogRecord *record = (LogRecord *)(bytes_of(log, segment) + at);
    uint64_t hash = log_hash(log, row->key, row->key_length);
    Slot *slot = slot_for(log, segment, row, hash);
    if (slot == NULL) {
        return 0;
    }
    uint64_t older = atomic_load_explicit(slot, memory_order_relaxed);
    uint32_t total = (uint32_t)(sizeof(LogRecord) + row->key_length + row->body_length + TRAILER + 7) & ~7u;
    record->total = total;
    record->key_length = row->key_length;
    record->record_length = row->body_length + TRAILER;
    record->slot = (uint32_t)(slot - slots_of(log, segment));
    record->before = (uint32_t)(older & SLOT_OFFSET);
    record->tag = (uint32_t)(hash >> 32);
    uint8_t *to = record->bytes;
    memcpy(to, row->key, row->key_length);
    to += row->key_length;
    if (row->body_length) {
        memcpy(to, row->body, row->body_length);
        to += row->body_length;
    }
    memcpy(to, &number, sizeof(number));
    uint32_t sum = checksum(to, sizeof(number), row->partial);
    memcpy(to + sizeof(number), &sum, sizeof(sum));
    if (!older) {
        uint64_t count = atomic_load_explicit(&state->count, memory_order_relaxed);
        atomic_store_explicit(&state->count, count + 1, memory_order_relaxed);
    }
    /* Release: who finds the record by its slot finds it whole. */
    atomic_store_explicit(slot, (hash & ~(uint64_t)SLOT_OFFSET) | at >> 3, memory_order_release);
    return at + total;
}

/* Write rows behind the head, where no reader takes them for committed. log_room() said where. Returns their end; 0 if the
 * index is damaged, and then log_undo() has to follow. */
uint64_t
log_append(LogMap *log, uint64_t at, const LogRow *rows, size_t count, uint64_t *number)
{
    unsigned segment = active_of(log);
    *number = log_take_number(log);
    for (size_t i = 0; i < count && at; i++) {
        at = append_one(log, segment, at, &rows[i], *number);
    }
    return at;
}

/* Commit what was appended. */
void
log_publish(LogMap *log, uint64_t end, uint64_t number)
{
    LogSegment *state = &log->header->segments[active_of(log)];
    atomic_store_explicit(&state->last, number, memory_order_relaxed);
    if (!atomic_load_explicit(log->dirty, memory_order_relaxed)) {
        atomic_store_explicit(log->dirty, 1, memory_order_relaxed);
    }
    /* Release: who sees the new head sees the records below it, the slots, and that the delta is dirty. */
    atomic_store_explicit(&state->head, end, memory_order_release);
}

/* Use up a number. It is stored before anything that has it, so that it is never given out again. */
uint64_t
log_take_number(LogMap *log)
{
    uint64_t number = atomic_load_explicit(&log->header->number, memory_order_relaxed) + 1;
    atomic_store_explicit(&log->header->number, number, memory_order_relaxed);
    return number;
}

void
log_stamp(const LogMap *log, LogStamp *stamp)
{
    stamp->direct = atomic_load_explicit(&log->header->direct, memory_order_acquire);
    /* A commit that goes straight to the base has its number before it is done. It holds the exclusive lock meanwhile. */
    if (atomic_load_explicit(log->claim, memory_order_acquire)) {
        stamp->direct = UINT64_MAX;
    }
    /* The epochs first: a segment that is emptied later counts as changed. */
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        stamp->epochs[segment] = log_epoch(log, segment);
        stamp->heads[segment] = head_of(log, segment);
    }
}

bool
log_is_due(const LogMap *log)
{
    const LogSegment *state = &log->header->segments[active_of(log)];
    return atomic_load_explicit(&state->count, memory_order_relaxed) > DUE_KEYS
           || atomic_load_explicit(&state->head, memory_order_relaxed) > DUE_BYTES;
}

/* --- emptying ------------------------------------------------------------------------------------------------------ */

/* ``interrupted``: the death of a process left some slots cleared. */
static void
clear_slots(LogMap *log, unsigned segment, bool interrupted)
{
    LogSegment *state = &log->header->segments[segment];
    Slot *slots = slots_of(log, segment);
    uint64_t head = head_of(log, segment), at = LOG_FIRST;
    bool one_by_one = !interrupted && atomic_load_explicit(&state->count, memory_order_relaxed) <= FEW;
    for (uint64_t left = 4 * FEW; one_by_one && at < head; left--) {
        uint32_t key_length, record_length;
        const LogRecord *record = log_record(log, segment, at, &key_length, &record_length);
        uint32_t slot = record == NULL ? 0 : *(const volatile uint32_t *)&record->slot;
        uint32_t total = record == NULL ? 0 : total_of(record);
        one_by_one = left && slot < LOG_SLOTS && !(total & 7)
                     && total >= (uint64_t)sizeof(LogRecord) + key_length + record_length;
        if (one_by_one) {
            atomic_store_explicit(&slots[slot], 0, memory_order_relaxed);
            at += total;
        }
    }
    if (!one_by_one) {
        for (uint32_t i = 0; i < LOG_SLOTS; i++) {
            atomic_store_explicit(&slots[i], 0, memory_order_relaxed);
        }
    }
}

/* Empty a segment whose commits the base has. Only for the holder of the base's write lock; not the active segment. */
static void
empty(LogMap *log, unsigned segment)
{
    LogSegment *state = &log->header->segments[segment];
    uint64_t epoch = atomic_load_explicit(&state->epoch, memory_order_relaxed);
    bool interrupted = epoch & 1; /* by the death of who emptied it */
    epoch |= 1;
    /* Release: who sees the odd epoch, and reads the base instead, sees the commits there. */
    atomic_store_explicit(&state->epoch, epoch, memory_order_release);
    /* A reader that sees any of what follows sees the odd epoch, or a later one, when it looks again. */
    atomic_thread_fence(memory_order_release);
    clear_slots(log, segment, interrupted);
    atomic_store_explicit(&state->count, 0, memory_order_relaxed);
    atomic_store_explicit(&state->head, LOG_FIRST, memory_order_relaxed);
    /* Release: who sees the even epoch sees the segment empty. */
    atomic_store_explicit(&state->epoch, epoch + 1, memory_order_release);
}

/* Whether a segment holds nothing. */
static bool
is_empty(const LogMap *log, unsigned segment)
{
    return !(log_epoch(log, segment) & 1) && head_of(log, segment) <= LOG_FIRST;
}

static bool
is_flushed(const LogMap *log, unsigned segment, uint64_t flushed)
{
    return log_epoch(log, segment) & 1
           || atomic_load_explicit(&log->header->segments[segment].last, memory_order_acquire) <= flushed;
}

/* Choose the segment that a flush writes to the base, which has all commits up to ``flushed``; -1 if there is none.
 *
 * It takes no commits from here on. For the holder of the mutex and of the base's write lock.
 */
int
log_swap(LogMap *log, uint64_t flushed)
{
    unsigned active = active_of(log), other = active ^ 1;
    if (!is_empty(log, other)) {
        if (!is_flushed(log, other, flushed)) {
            return (int)other; /* a flush before this one failed */
        }
        empty(log, other);
    }
    if (is_empty(log, active)) {
        return -1;
    }
    atomic_store_explicit(&log->header->active, other, memory_order_release);
    return (int)active;
}

/* Empty the segments whose commits the base has: all up to ``flushed``. For the holder of the base's write lock. */
enum log_result
log_remove(LogMap *log, uint64_t flushed, enum log_result (*lock)(LogMap *))
{
    for (;;) {
        unsigned other = active_of(log) ^ 1; /* it changes only under the base's write lock */
        if (!is_empty(log, other) && is_flushed(log, other, flushed)) {
            empty(log, other);
        }
        enum log_result result = lock(log);
        if (result != LOG_DONE) {
            return result;
        }
        unsigned active = other ^ 1;
        bool is_other_empty = is_empty(log, other), is_active_empty = is_empty(log, active);
        bool again = is_other_empty && !is_active_empty && is_flushed(log, active, flushed);
        if (again) {
            atomic_store_explicit(&log->header->active, other, memory_order_release);
        }
        else if (is_other_empty && is_active_empty) {
            atomic_store_explicit(log->dirty, 0, memory_order_release);
        }
        log_unlock(log);
        if (!again) {
            return LOG_DONE;
        }
    }
}

/* --- making and settling ------------------------------------------------------------------------------------------- */

static bool
make_mutex(LogHeader *header)
{
    memset(header->room, 0, sizeof(header->room));
    header->mutex_size = sizeof(pthread_mutex_t);
    header->library = PLATFORM_LIBRARY;
    return !platform_make_mutex(&header->mutex);
}

/* Make an empty log in a new file of zeros, of which nobody else knows. */
bool
log_make(uint8_t *map, size_t size, int descriptor, uint64_t number, uint64_t seed)
{
    LogHeader *header = (LogHeader *)map;
    LogMap log = {.map = map, .size = size, .header = header, .descriptor = descriptor};
    memcpy(header->magic, MAGIC, sizeof(header->magic));
    header->segment_size = end_of(&log);
    header->seed = seed;
    atomic_store_explicit(&header->number, number, memory_order_relaxed);
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        LogSegment *state = &header->segments[segment];
        atomic_store_explicit(&state->head, LOG_FIRST, memory_order_relaxed);
        if (!allocate(&log, segment, FIRST_STEP)) {
            return false;
        }
    }
    return make_mutex(header);
}

/* What is wrong with the header of a log; NULL if nothing is. If the caller is alone, log_settle makes the mutex anew. */
const char *
log_problem(const LogMap *log, bool alone)
{
    const LogHeader *header = log->header;
    if (log->size < log_size(FIRST_STEP) || memcmp(header->magic, MAGIC, sizeof(header->magic))) {
        return "it does not begin as a log does";
    }
    if (!alone && (header->mutex_size != sizeof(pthread_mutex_t) || header->library != PLATFORM_LIBRARY)) {
        return "it was made with another C library, whose locks are of another kind";
    }
    if (header->segment_size != end_of(log) || end_of(log) & 7) {
        return "its header names another size";
    }
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        uint64_t allocated = atomic_load_explicit(&header->segments[segment].allocated, memory_order_relaxed);
        if (head_of(log, segment) < LOG_FIRST || head_of(log, segment) > allocated || allocated > end_of(log)) {
            return "its header names places beyond its end";
        }
    }
    return NULL;
}

/* Rebuild the index of a segment from its records. False if a record is not possible. */
static bool
rebuild(LogMap *log, unsigned segment)
{
    LogSegment *state = &log->header->segments[segment];
    uint64_t head = head_of(log, segment), count = 0;
    Slot *slots = slots_of(log, segment);
    for (uint32_t i = 0; i < LOG_SLOTS; i++) {
        atomic_store_explicit(&slots[i], 0, memory_order_relaxed);
    }
    for (uint64_t at = LOG_FIRST; at < head;) {
        uint32_t key_length, record_length;
        LogRecord *record = (LogRecord *)log_record(log, segment, at, &key_length, &record_length);
        uint32_t total = record == NULL ? 0 : total_of(record);
        if (record == NULL || total & 7 || total > head - at
            || total < (uint64_t)sizeof(LogRecord) + key_length + record_length || count > LOG_MOST_KEYS) {
            return false;
        }
        LogRow row = {.key = record->bytes, .key_length = key_length};
        uint64_t hash = log_hash(log, row.key, key_length);
        Slot *slot = slot_for(log, segment, &row, hash);
        if (slot == NULL) {
            return false;
        }
        uint64_t older = atomic_load_explicit(slot, memory_order_relaxed);
        record->slot = (uint32_t)(slot - slots);
        record->before = (uint32_t)(older & SLOT_OFFSET);
        record->tag = (uint32_t)(hash >> 32);
        atomic_store_explicit(slot, (hash & ~(uint64_t)SLOT_OFFSET) | at >> 3, memory_order_relaxed);
        count += !older;
        at += total;
    }
    atomic_store_explicit(&state->count, count, memory_order_relaxed);
    return true;
}

/* Make a left log usable, alone: with a new mutex, and an index that fits its records. False if it is damaged. */
bool
log_settle(LogMap *log)
{
    LogHeader *header = log->header;
    atomic_store_explicit(&header->active, active_of(log), memory_order_relaxed);
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        if (log_epoch(log, segment) & 1) {
            if (segment == active_of(log)) {
                return false;
            }
            empty(log, segment);
        }
        if (!rebuild(log, segment)) {
            return false;
        }
    }
    return make_mutex(header);
}
