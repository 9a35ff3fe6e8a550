/* Reads many keys of a log in order, all as they were at one instant. */

#include "native.h"

#include "log_object.h"

/* The places in a segment's order of the keys from start to stop, which has no bytes if there is no end. */
static void
places_between(Log *self, unsigned segment, Bound start, Bound stop, size_t *low, size_t *high)
{
    const LogOrder *order = &self->orders[segment];
    *low = log_order_search(order, &self->log, segment, start.bytes, start.length);
    *high = stop.bytes == NULL ? order->count
                               : log_order_search(order, &self->log, segment, stop.bytes, stop.length);
}

enum gathered { GATHERED, CHANGED, DAMAGED, FAILED };

/* Append the row of the key at one place of an order, unless the base has it. */
static enum gathered
append_row(Log *self, unsigned segment, size_t place, uint64_t head, uint64_t flushed, PyObject *rows)
{
    const uint8_t *key;
    size_t length;
    LogFound found;
    if (!log_order_key(&self->orders[segment], &self->log, segment, place, &key, &length)
        || !log_find(&self->log, segment, head, key, length, log_hash(&self->log, key, length), &found)) {
        return DAMAGED;
    }
    if (log_number_of(found.record, found.length) <= flushed) {
        return GATHERED;
    }
    PyObject *row = Py_BuildValue("(y#y#)", (const char *)key, (Py_ssize_t)length, (const char *)found.record,
                                  (Py_ssize_t)found.length);
    if (row == NULL || PyList_Append(rows, row) < 0) {
        Py_XDECREF(row);
        return FAILED;
    }
    Py_DECREF(row);
    return GATHERED;
}

/* What the segments were like when their rows began to be gathered. */
typedef struct {
    unsigned active;
    uint64_t epochs[LOG_SEGMENTS];
    uint64_t heads[LOG_SEGMENTS];
    size_t low[LOG_SEGMENTS];
    size_t high[LOG_SEGMENTS];
} Range;

/* Look up in the order of each segment in ``wanted`` (bits) where the keys from start to stop are. */
static enum gathered
find_range(Log *self, unsigned wanted, Bound start, Bound stop, Range *range)
{
    LogMap *log = &self->log;
    *range = (Range){.active = atomic_load_explicit(&log->header->active, memory_order_acquire) & 1};
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) { /* both, since is_same() compares both */
        range->epochs[segment] = log_epoch(log, segment);
    }
    for (int i = LOG_SEGMENTS - 1; i >= 0; i--) { /* the head of the one that is not active does not move */
        unsigned segment = range->active ^ (unsigned)i;
        uint64_t head = atomic_load_explicit(&log->header->segments[segment].head, memory_order_acquire);
        if (range->epochs[segment] & 1 || head <= LOG_FIRST || !(wanted >> segment & 1)) {
            continue;
        }
        switch (log_order_refresh(&self->orders[segment], log, segment, range->epochs[segment], head)) {
        case ORDER_DONE: break;
        case ORDER_CHANGED: return DAMAGED;
        default: PyErr_NoMemory(); return FAILED;
        }
        range->heads[segment] = head;
        places_between(self, segment, start, stop, &range->low[segment], &range->high[segment]);
    }
    return GATHERED;
}

/* Append the rows of a range in order. Of equal keys the active segment has the newer record. */
static enum gathered
append_range(Log *self, const Range *range, uint64_t flushed, PyObject *rows)
{
    unsigned active = range->active, other = active ^ 1;
    size_t first = range->low[active], second = range->low[other];
    while (first < range->high[active] || second < range->high[other]) {
        int order = first == range->high[active] ? 1 : -1;
        if (order < 0 && second < range->high[other]) {
            const uint8_t *left, *right;
            size_t left_length, right_length;
            if (!log_order_key(&self->orders[active], &self->log, active, first, &left, &left_length)
                || !log_order_key(&self->orders[other], &self->log, other, second, &right, &right_length)) {
                return DAMAGED;
            }
            order = log_compare(left, left_length, right, right_length);
        }
        unsigned segment = order <= 0 ? active : other;
        size_t place = order <= 0 ? first : second;
        first += order <= 0;
        second += order >= 0;
        enum gathered result = append_row(self, segment, place, range->heads[segment], flushed, rows);
        if (result != GATHERED) {
            return result;
        }
    }
    return GATHERED;
}

/* Whether neither a flush nor another call of this process came in between. Making rows may run a finalizer. */
static bool
is_same(Log *self, const Range *range)
{
    LogMap *log = &self->log;
    atomic_thread_fence(memory_order_acquire);
    bool same = (atomic_load_explicit(&log->header->active, memory_order_relaxed) & 1) == range->active;
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        const LogOrder *order = &self->orders[segment];
        same = same && log_is_still(log, segment, range->epochs[segment])
               && (!range->heads[segment]
                   || (order->epoch == range->epochs[segment] && order->end == range->heads[segment]));
    }
    return same;
}

/* The rows of one instant, or only how many there are at most. */
PyObject *
log_gathered(Log *self, unsigned wanted, Bound start, Bound stop, uint64_t flushed, bool only_count)
{
    while (log_is_usable(self)) {
        Range range;
        log_enter(self); /* making the list may run a finalizer, which may close the log */
        PyObject *rows = only_count ? Py_NewRef(Py_None) : PyList_New(0);
        if (rows == NULL) {
            log_leave(self);
            return NULL;
        }
        enum gathered result = find_range(self, wanted, start, stop, &range);
        if (result == GATHERED && !only_count) {
            result = append_range(self, &range, flushed, rows);
        }
        if (result != FAILED && !is_same(self, &range)) {
            result = CHANGED;
        }
        log_leave(self);
        if (result == GATHERED && !only_count) {
            return rows;
        }
        Py_DECREF(rows);
        if (result == GATHERED) {
            return PyLong_FromSize_t(range.high[0] - range.low[0] + range.high[1] - range.low[1]);
        }
        if (result == DAMAGED) {
            PyErr_SetString(PyExc_ValueError, "the log has records that no commit wrote");
        }
        if (result != CHANGED || PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
    return NULL;
}

static bool
bounds_of(PyObject *start, PyObject *stop, Bound *low, Bound *high)
{
    if (!PyBytes_Check(start) || (stop != Py_None && !PyBytes_Check(stop))) {
        PyErr_SetString(PyExc_TypeError, "keys are bytes");
        return false;
    }
    *low = (Bound){(const uint8_t *)PyBytes_AS_STRING(start), (size_t)PyBytes_GET_SIZE(start)};
    *high = stop == Py_None
                ? (Bound){NULL, 0}
                : (Bound){(const uint8_t *)PyBytes_AS_STRING(stop), (size_t)PyBytes_GET_SIZE(stop)};
    return true;
}

const char log_rows_doc[] = PyDoc_STR(
    "rows(start, stop, flushed=0, /)\n--\n\n"
"The newest record of each key from ``start`` to before ``stop`` (None: to the end), in order, as (key, record).\n\n"
"Only records with a number above ``flushed``. Deletions are among them. All are of one instant.");

PyObject *
log_rows(Log *self, PyObject *arguments)
{
    PyObject *start, *stop;
    unsigned long long flushed = 0;
    Bound low, high;
    if (!PyArg_ParseTuple(arguments, "OO|K:rows", &start, &stop, &flushed) || !bounds_of(start, stop, &low, &high)) {
        return NULL;
    }
    return log_gathered(self, 3, low, high, flushed, false);
}

const char log_count_doc[] = PyDoc_STR(
    "count(start, stop, /)\n--\n\nAbout how many keys lie from ``start`` to before ``stop``.");

PyObject *
log_count(Log *self, PyObject *arguments)
{
    PyObject *start, *stop;
    Bound low, high;
    if (!PyArg_ParseTuple(arguments, "OO:count", &start, &stop) || !bounds_of(start, stop, &low, &high)) {
        return NULL;
    }
    return log_gathered(self, 3, low, high, 0, true);
}
