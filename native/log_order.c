/* The keys of a segment in order, as one process last saw them. Only keys that are new since then are sorted. */

#include "native.h"

#include "log_order.h"

#include <stdlib.h>

typedef struct {
    const uint8_t *bytes;
    size_t length;
    uint32_t place;
} Key;

int
log_compare(const uint8_t *left, size_t left_length, const uint8_t *right, size_t right_length)
{
    int order = memcmp(left, right, left_length < right_length ? left_length : right_length);
    return order ? order : (left_length > right_length) - (left_length < right_length);
}

static inline bool
is_less(const Key *left, const Key *right)
{
    return log_compare(left->bytes, left->length, right->bytes, right->length) < 0;
}

/* Sort by merging, with as much memory again. The C library's qsort may leave its array if keys change meanwhile. */
static void
sort(Key *keys, Key *spare, size_t count)
{
    if (count < 2) {
        return;
    }
    size_t half = count / 2;
    sort(keys, spare, half);
    sort(keys + half, spare, count - half);
    memcpy(spare, keys, half * sizeof(Key));
    for (size_t left = 0, right = half, to = 0; left < half; to++) {
        keys[to] = right < count && is_less(&keys[right], &spare[left]) ? keys[right++] : spare[left++];
    }
}

/* The key at a place of the order; false if no record can lie there any more. */
static bool
key_at(const LogMap *log, unsigned segment, uint32_t place, const uint8_t **bytes, size_t *length)
{
    uint32_t key_length, record_length;
    const LogRecord *record = log_record(log, segment, (uint64_t)place << 3, &key_length, &record_length);
    if (record == NULL) {
        return false;
    }
    *bytes = record->bytes;
    *length = key_length;
    return true;
}

static bool
make_room(LogOrder *order, size_t more)
{
    if (order->count + more <= order->room) {
        return true;
    }
    size_t room = order->room * 2 > order->count + more ? order->room * 2 : order->count + more;
    uint32_t *places = realloc(order->places, room * sizeof(*places));
    if (places == NULL) {
        return false;
    }
    order->places = places;
    order->room = room;
    return true;
}

/* Merge new keys, which are sorted, into the order. */
static enum log_order_result
merge(LogOrder *order, const LogMap *log, unsigned segment, const Key *fresh, size_t count)
{
    if (!make_room(order, count)) {
        return ORDER_NO_MEMORY;
    }
    size_t old = order->count, to = old + count;
    while (count) {
        const uint8_t *bytes;
        size_t length;
        if (old && !key_at(log, segment, order->places[old - 1], &bytes, &length)) {
            return ORDER_CHANGED;
        }
        const Key *last = &fresh[count - 1];
        if (old && log_compare(bytes, length, last->bytes, last->length) > 0) {
            order->places[--to] = order->places[--old];
        }
        else {
            order->places[--to] = last->place;
            count--;
        }
    }
    return ORDER_DONE;
}

/* The keys that the segment has got since the order was made: a record with none before it is the first of its key. */
static enum log_order_result
fresh_keys(const LogOrder *order, const LogMap *log, unsigned segment, uint64_t head, Key **keys, size_t *count)
{
    size_t room = 0;
    *keys = NULL;
    *count = 0;
    for (uint64_t at = order->end; at < head;) {
        uint32_t key_length, record_length;
        const LogRecord *record = log_record(log, segment, at, &key_length, &record_length);
        uint32_t total = record == NULL ? 0 : *(const volatile uint32_t *)&record->total;
        if (total < sizeof(LogRecord) || total & 7 || total > head - at) {
            return ORDER_CHANGED;
        }
        if (!*(const volatile uint32_t *)&record->before) {
            if (*count == room) {
                room = room ? 2 * room : 64;
                Key *made = realloc(*keys, room * sizeof(Key));
                if (made == NULL) {
                    return ORDER_NO_MEMORY;
                }
                *keys = made;
            }
            (*keys)[(*count)++] = (Key){record->bytes, key_length, (uint32_t)(at >> 3)};
        }
        at += total;
    }
    return ORDER_DONE;
}

enum log_order_result
log_order_refresh(LogOrder *order, const LogMap *log, unsigned segment, uint64_t epoch, uint64_t head)
{
    if (order->epoch != epoch || order->end > head) {
        order->epoch = epoch;
        order->end = LOG_FIRST;
        order->count = 0;
    }
    if (order->end == head) {
        return ORDER_DONE;
    }
    Key *keys;
    size_t count;
    enum log_order_result result = fresh_keys(order, log, segment, head, &keys, &count);
    if (result == ORDER_DONE) {
        Key *spare = count > 1 ? malloc(count / 2 * sizeof(Key)) : NULL;
        if (count > 1 && spare == NULL) {
            result = ORDER_NO_MEMORY;
        }
        else {
            size_t before = order->count;
            sort(keys, spare, count);
            result = merge(order, log, segment, keys, count);
            order->count = before + count;
        }
        free(spare);
    }
    free(keys);
    if (result == ORDER_DONE && log_is_still(log, segment, epoch)) {
        order->end = head;
        return ORDER_DONE;
    }
    order->epoch = 1; /* no epoch in which it is used: it is made anew */
    return result == ORDER_NO_MEMORY ? result : ORDER_CHANGED;
}

size_t
log_order_search(const LogOrder *order, const LogMap *log, unsigned segment, const uint8_t *key, size_t length)
{
    size_t low = 0, high = order->count;
    while (low < high) {
        size_t middle = (low + high) / 2, found;
        const uint8_t *bytes;
        if (!key_at(log, segment, order->places[middle], &bytes, &found)) {
            return low; /* the caller finds that the segment has changed */
        }
        if (log_compare(bytes, found, key, length) < 0) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

bool
log_order_key(const LogOrder *order, const LogMap *log, unsigned segment, size_t place, const uint8_t **bytes,
              size_t *length)
{
    return key_at(log, segment, order->places[place], bytes, length);
}

void
log_order_free(LogOrder *order)
{
    free(order->places);
    *order = (LogOrder){.epoch = 1};
}
