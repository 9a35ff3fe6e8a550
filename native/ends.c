/* Finds the least or greatest entry of a shelf, for popitem.c.
 *
 * A queue sets entries at one end and takes them from the other. So what the log holds at the front are deletions, as
 * many as there were since the last flush, and the base still has the entries that they delete. A search from the front
 * would pass all of them each time. So for each range of keys and each end, the process remembers how far it has come:
 *   - in the base, the key before which the log has something newer for all keys;
 *   - in the log, the keys that have a value, as a heap. Keys whose value is deleted leave the heap when they come to
 *     its top.
 * This holds for one transaction of the base, and as long as no segment of the log is emptied. Then it begins anew,
 * and the deletions so far are in the base.
 */

#include "ends.h"

#include <stdlib.h>

#define MOST_QUEUES 8      /* ranges and ends that are remembered */
#define MOST_LEAVES 65536  /* of one search */

/* What is remembered of one range and one of its ends. */
typedef struct {
    uint8_t *bounds;       /* the bytes of start and stop */
    size_t start_length;
    size_t stop_length;
    bool last;
    uint64_t used;         /* when it was used last */
    uint64_t transaction;  /* of the base; what follows belongs to it */
    uint64_t sequence;
    uint64_t epochs[LOG_SEGMENTS];
    uint64_t heads[LOG_SEGMENTS]; /* up to which the heap has the keys of the log */
    Place *heap;
    size_t count;
    size_t room;
    Edge edge;             /* the base has no entry before it that counts */
    bool is_passed;        /* the base has none at all */
} Queue;

struct Ends {
    uint64_t clock;
    Queue queues[MOST_QUEUES];
};

/* --- the log ------------------------------------------------------------------------------------------------------- */

static Span
key_at(const LogMap *log, Place place)
{
    uint32_t key_length, record_length;
    const LogRecord *record = log_record(log, place.segment, (uint64_t)place.place << 3, &key_length, &record_length);
    return record == NULL ? (Span){(const uint8_t *)"", 0} : (Span){record->bytes, key_length};
}

static inline bool
is_earlier(const LogMap *log, bool last, Place left, Place right)
{
    return comes_before(last, key_at(log, left), key_at(log, right));
}

static bool
heap_add(Queue *queue, const LogMap *log, Place place)
{
    if (queue->count == queue->room) {
        size_t room = queue->room ? 2 * queue->room : 64;
        Place *made = realloc(queue->heap, room * sizeof(*made));
        if (made == NULL) {
            return false;
        }
        queue->heap = made;
        queue->room = room;
    }
    size_t at = queue->count++;
    while (at && is_earlier(log, queue->last, place, queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = place;
    return true;
}

static void
heap_remove(Queue *queue, const LogMap *log)
{
    Place place = queue->heap[--queue->count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < queue->count) {
        if (child + 1 < queue->count && is_earlier(log, queue->last, queue->heap[child + 1], queue->heap[child])) {
            child++;
        }
        if (!is_earlier(log, queue->last, queue->heap[child], place)) {
            break;
        }
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    if (queue->count) {
        queue->heap[at] = place;
    }
}

/* Whether a record of the log has a value that the base does not have. */
static inline bool
has_value(const uint8_t *record, size_t length, uint64_t sequence)
{
    return length > TRAILER && log_number_of(record, length) > sequence;
}

/* Whether a key gets a value by a record, and its record before had none, so that the heap may not have it. */
static bool
is_new(const Queue *queue, const LogMap *log, unsigned segment, const LogRecord *record, uint32_t key_length,
       uint32_t record_length)
{
    if (!has_value(record->bytes + key_length, record_length, queue->sequence)) {
        return false;
    }
    uint64_t before = (uint64_t)*(const volatile uint32_t *)&record->before << 3;
    const LogRecord *older = before ? log_record(log, segment, before, &key_length, &record_length) : NULL;
    return older == NULL || !has_value(older->bytes + key_length, record_length, queue->sequence);
}

/* Call a function for each record from one offset of a segment to another.
 *
 * False if a record is not possible, or if the function says so. */
bool
ends_each_record(const LogMap *log, unsigned segment, uint64_t at, uint64_t head, Visit visit, void *to)
{
    while (at < head) {
        uint32_t key_length, record_length;
        const LogRecord *record = log_record(log, segment, at, &key_length, &record_length);
        uint32_t total = record == NULL ? 0 : *(const volatile uint32_t *)&record->total;
        if (total < sizeof(LogRecord) || total & 7 || total > head - at
            || !visit(to, log, (Place){segment, (uint32_t)(at >> 3)}, record, key_length, record_length)) {
            return false;
        }
        at += total;
    }
    return true;
}

typedef struct {
    Queue *queue;
    const Range *range;
} Gathering;

static bool
gather(void *to, const LogMap *log, Place place, const LogRecord *record, uint32_t key_length, uint32_t record_length)
{
    Gathering *gathering = to;
    return !range_has(gathering->range, (Span){record->bytes, key_length})
           || !is_new(gathering->queue, log, place.segment, record, key_length, record_length)
           || heap_add(gathering->queue, log, place);
}

/* The newest record of a key in the log, in whichever segment. */
static bool
find_newest(const LogMap *log, const Queue *queue, Span key, LogFound *found)
{
    uint64_t hash = log_hash(log, key.bytes, key.length);
    unsigned active = atomic_load_explicit(&log->header->active, memory_order_acquire) & 1;
    for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
        unsigned segment = active ^ i;
        if (log_find(log, segment, queue->heads[segment], key.bytes, key.length, hash, found)) {
            return true;
        }
    }
    return false;
}

/* The first key that has a value in the log. */
static bool
first_in_log(Queue *queue, const LogMap *log, Span *key, LogFound *found)
{
    while (queue->count) {
        *key = key_at(log, queue->heap[0]);
        if (find_newest(log, queue, *key, found) && has_value(found->record, found->length, queue->sequence)) {
            return true;
        }
        heap_remove(queue, log);
    }
    return false;
}

/* --- the base ------------------------------------------------------------------------------------------------------ */

/* Look at the keys of one leaf from a place on. AGAIN: none of them counts. */
static enum found
first_in_leaf(BaseReader *self, Queue *queue, const Range *range, const uint8_t *leaf, size_t count, size_t place,
              size_t *length)
{
    const LogMap *log = &((Log *)self->log)->log;
    for (; place < count; place += queue->last ? (size_t)-1 : 1) {
        size_t key_length = 0;
        const uint8_t *node = base_node(self, leaf, place, &key_length);
        Span key = {node == NULL ? NULL : node + NODE_HEADER, key_length};
        if (node == NULL || key.length > LONGEST_ROW || !edge_set(&queue->edge, key, true)) {
            return ASK;
        }
        key.bytes = queue->edge.bytes;
        if (!range_has(range, key)) {
            return MISSING;
        }
        LogFound newer;
        if (!find_newest(log, queue, key, &newer) || log_number_of(newer.record, newer.length) <= queue->sequence) {
            return base_copy_record(self, leaf, place, length);
        }
    }
    return AGAIN;
}

/* Find the first entry of the base for which the log has nothing newer. Its key is then in the queue's edge. */
static enum found
first_in_base(BaseReader *self, Queue *queue, const Range *range, size_t *length)
{
    uint64_t root;
    unsigned depth;
    enum found found = queue->is_passed ? MISSING : base_tree(self, queue->transaction, &root, &depth);
    for (unsigned leaves = 0; found == THERE; leaves++) {
        size_t count, place;
        Edge next;
        bool has_next;
        const uint8_t *leaf = leaves == MOST_LEAVES ? NULL
                                                    : base_leaf_beyond(self, root, depth, queue->last, &queue->edge,
                                                                       &count, &place, &next, &has_next);
        if (leaf == NULL) {
            return ASK;
        }
        found = first_in_leaf(self, queue, range, leaf, count, place, length);
        if (found != AGAIN) {
            break;
        }
        if (newest(self) != queue->transaction) {
            return AGAIN; /* the pages may not be those of the transaction */
        }
        found = has_next ? THERE : MISSING;
        if (has_next) {
            queue->edge = next;
        }
        else {
            break;
        }
    }
    if (found == MISSING && newest(self) == queue->transaction) {
        queue->is_passed = true;
    }
    return found;
}

/* --- both ---------------------------------------------------------------------------------------------------------- */

static void
forget(Queue *queue)
{
    free(queue->bounds);
    free(queue->heap);
    *queue = (Queue){0};
}

void
ends_forget(BaseReader *self)
{
    for (size_t i = 0; self->queues != NULL && i < MOST_QUEUES; i++) {
        forget(&self->queues->queues[i]);
    }
    free(self->queues);
    self->queues = NULL;
}

/* What is remembered of a range, or a new memory of it in the place of the one that was not used for longest. */
static Queue *
queue_for(BaseReader *self, const Range *range, bool last)
{
    if (self->queues == NULL && (self->queues = calloc(1, sizeof(*self->queues))) == NULL) {
        return NULL;
    }
    Ends *ends = self->queues;
    Queue *oldest = &ends->queues[0];
    for (size_t i = 0; i < MOST_QUEUES; i++) {
        Queue *queue = &ends->queues[i];
        if (queue->bounds != NULL && queue->last == last && queue->start_length == range->start_length
            && queue->stop_length == range->stop_length && !memcmp(queue->bounds, range->start, range->start_length)
            && !memcmp(queue->bounds + range->start_length, range->stop, range->stop_length)) {
            queue->used = ++ends->clock;
            return queue;
        }
        oldest = queue->used < oldest->used ? queue : oldest;
    }
    forget(oldest);
    oldest->bounds = malloc(range->start_length + range->stop_length + 1);
    if (oldest->bounds == NULL) {
        return NULL;
    }
    memcpy(oldest->bounds, range->start, range->start_length);
    memcpy(oldest->bounds + range->start_length, range->stop, range->stop_length);
    oldest->start_length = range->start_length;
    oldest->stop_length = range->stop_length;
    oldest->last = last;
    oldest->used = ++ends->clock;
    oldest->transaction = UINT64_MAX; /* it belongs to none yet */
    return oldest;
}

/* Bring what is remembered up to the stamp. */
static bool
refresh(Queue *queue, const LogMap *log, const Range *range, const LogStamp *stamp, uint64_t transaction,
        uint64_t sequence)
{
    bool holds = queue->transaction == transaction && queue->sequence == sequence;
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        holds = holds && queue->epochs[segment] == stamp->epochs[segment]
                && queue->heads[segment] <= stamp->heads[segment];
    }
    if (!holds) {
        queue->transaction = transaction;
        queue->sequence = sequence;
        queue->count = 0;
        queue->is_passed = false;
        Span start = {range->start, range->start_length}, stop = {range->stop, range->stop_length};
        if (!edge_set(&queue->edge, queue->last ? stop : start, !queue->last)) {
            return false;
        }
    }
    Gathering gathering = {queue, range};
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        uint64_t from = holds ? queue->heads[segment] : LOG_FIRST;
        if (!ends_each_record(log, segment, from, stamp->heads[segment], gather, &gathering)) {
            queue->transaction = UINT64_MAX;
            return false;
        }
        queue->epochs[segment] = stamp->epochs[segment];
        queue->heads[segment] = stamp->heads[segment];
    }
    return true;
}

/* Whether the log and the base are still those of the stamp, so that what was copied holds. */
static bool
is_still(BaseReader *self, const LogMap *log, const LogStamp *stamp, uint64_t transaction)
{
    bool still = newest(self) == transaction;
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        still = still && log_is_still(log, segment, stamp->epochs[segment]);
    }
    return still;
}

/* Find the first entry of one range. */
static enum found
first_of_range(BaseReader *self, Queue *queue, const Range *range, Candidate *candidate)
{
    const LogMap *log = &((Log *)self->log)->log;
    LogFound newer;
    Span key;
    bool is_in_log = first_in_log(queue, log, &key, &newer);
    enum found found = first_in_base(self, queue, range, &candidate->record_length);
    if (found != THERE && found != MISSING) {
        return found;
    }
    Span below = {queue->edge.bytes, queue->edge.length};
    if (is_in_log && (found == MISSING || comes_before(queue->last, key, below))) {
        if (newer.length > LARGEST_COPIED || key.length > LONGEST_ROW
            || base_copied(self, newer.record, newer.length) != THERE) {
            return ASK;
        }
        candidate->record_length = newer.length;
        below = key;
        found = THERE;
    }
    if (found == THERE) {
        memcpy(candidate->key, below.bytes, below.length);
        candidate->length = below.length;
    }
    return found;
}

/* Find the first entry of several ranges, the first of which comes first. MISSING: they have none at this instant. */
enum found
ends_first(BaseReader *self, const Range *ranges, int count, bool last, LogStamp *stamp, Candidate *candidate)
{
    const LogMap *log = &((Log *)self->log)->log;
    if (!base_is_readable(self)) {
        return ASK;
    }
    log_stamp(log, stamp); /* before the base: what is taken out of the log later, changes an epoch */
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        if (stamp->epochs[segment] & 1) {
            stamp->heads[segment] = LOG_FIRST; /* the base has its commits, and it gets no others */
        }
    }
    uint64_t transaction = newest(self), sequence;
    if (stamp->direct == UINT64_MAX || !base_read_sequence(self, &sequence)) {
        return ASK; /* another one holds the exclusive lock, or there is no shelf row */
    }
    enum found found = self->row_of == transaction ? MISSING : AGAIN;
    for (int i = 0; i < count && found == MISSING; i++) {
        candidate->range = last ? count - 1 - i : i;
        const Range *range = &ranges[candidate->range];
        Queue *queue = queue_for(self, range, last);
        if (queue == NULL || !refresh(queue, log, range, stamp, transaction, sequence)) {
            return is_still(self, log, stamp, transaction) ? ASK : AGAIN;
        }
        found = first_of_range(self, queue, range, candidate);
    }
    return is_still(self, log, stamp, transaction) ? found : AGAIN;
}
