/* coshelf._native.Log: the log for Python. */

#include "native.h"

#include "log_object.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPINS 200
#define SLICE 50000000L      /* nanoseconds of one wait for the mutex, after which signals are looked for */
#define LONGEST_PAUSE 63     /* the most values in a row that are left to Python without an attempt */
#define LARGEST_VALUE 32768  /* bytes of a body that is stored in one call; Python looks for large buffers in others */

/* --- waiting ------------------------------------------------------------------------------------------------------- */

static enum log_result
lock_for_a_slice(LogMap *map)
{
    enum log_result result = log_lock(map, SPINS);
    return result == LOG_BUSY ? log_lock_until(map, SLICE) : result;
}

static void
unmap(Log *self)
{
    if (self->log.map != NULL) {
        munmap(self->log.map, self->log.size);
        self->log.map = NULL;
    }
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        log_order_free(&self->orders[segment]);
    }
    Py_buffer state = self->state;
    self->state.obj = NULL; /* releasing may run Python code, which may close this log */
    PyBuffer_Release(&state);
}

static void
enter(Log *self)
{
    self->inside++;
}

static void
leave(Log *self)
{
    if (!--self->inside && self->closed) {
        unmap(self);
    }
}

static bool
is_usable(Log *self)
{
    if (self->closed) {
        PyErr_SetString(PyExc_ValueError, "the log is closed");
        return false;
    }
    return true;
}

/* Raises OSError after LOG_FAILED. */
static void
raise_failed(void)
{
    PyErr_SetString(PyExc_OSError, "the lock of the delta cannot be used any more");
}

/* Whether this thread holds the mutex: it would wait for itself. */
static bool
is_nested(Log *self)
{
    return self->holder && self->holder == PyThread_get_thread_ident();
}

/* Take the mutex with the interpreter's lock held again. Returns false with an error set. */
static bool
take(Log *self)
{
    if (is_nested(self)) {
        PyErr_SetString(PyExc_RuntimeError, "this thread is in the middle of a commit");
        return false;
    }
    enum log_result result = log_lock(&self->log, SPINS);
    while (result == LOG_BUSY) {
        enter(self);
        Py_BEGIN_ALLOW_THREADS
        result = log_lock_until(&self->log, SLICE);
        Py_END_ALLOW_THREADS
        if (result == LOG_DONE && self->closed) {
            log_unlock(&self->log);
        }
        bool closed = self->closed;
        leave(self);
        if (closed) {
            return is_usable(self);
        }
        if (result == LOG_BUSY && PyErr_CheckSignals() < 0) {
            return false;
        }
    }
    if (result == LOG_FAILED) {
        raise_failed();
    }
    return result == LOG_DONE;
}

/* --- committing ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const LogRow *rows;
    size_t count;
    bool holding;
    const LogStamp *stamp;    /* of what was checked; NULL if nothing was */
    const LogRow *checked;
    size_t checks;
    PyObject *before;         /* is called before the commit is published; NULL: nothing is */
    Log *self;
    uint64_t number;
} Commit;

static bool
is_called(Commit *commit)
{
    commit->self->holder = PyThread_get_thread_ident();
    PyObject *called = PyObject_CallNoArgs(commit->before);
    commit->self->holder = 0;
    Py_XDECREF(called);
    return called != NULL;
}

/* Commit while the mutex is held. LOG_BUSY: an error is set. */
static enum log_result
commit_locked(LogMap *map, Commit *commit)
{
    enum log_result result = log_may_commit(map, commit->holding);
    for (size_t i = 0; i < commit->checks && result == LOG_DONE; i++) {
        result = log_unchanged(map, commit->stamp, commit->holding, commit->checked[i].key,
                               commit->checked[i].key_length);
    }
    uint64_t at;
    if (result == LOG_DONE) {
        result = log_room(map, commit->rows, commit->count, &at);
    }
    if (result != LOG_DONE) {
        return result;
    }
    uint64_t end = log_append(map, at, commit->rows, commit->count, &commit->number);
    if (!end) {
        log_undo(map);
        return LOG_DAMAGED;
    }
    if (commit->before != NULL && !is_called(commit)) {
        log_undo(map);
        return LOG_BUSY;
    }
    log_publish(map, end, commit->number);
    return LOG_DONE;
}

/* Commit, and wait for the mutex without the interpreter's lock if it is not free. LOG_BUSY: an error is set. */
static enum log_result
commit_patiently(Log *self, Commit *commit)
{
    LogMap *map = &self->log;
    if (is_nested(self)) {
        return LOG_NESTED;
    }
    if (commit->before != NULL) {
        commit->self = self;
        if (!take(self)) {
            return LOG_BUSY;
        }
        enter(self); /* what is called may close the log */
        enum log_result result = commit_locked(map, commit);
        log_unlock(map);
        leave(self);
        return result;
    }
    enum log_result result = log_lock(map, SPINS);
    if (result == LOG_DONE) {
        result = commit_locked(map, commit);
        log_unlock(map);
        return result;
    }
    while (result == LOG_BUSY) {
        enter(self);
        Py_BEGIN_ALLOW_THREADS
        result = log_lock_until(map, SLICE);
        if (result == LOG_DONE) { /* without waiting for the interpreter's lock while the mutex is held */
            result = commit_locked(map, commit);
            log_unlock(map);
        }
        Py_END_ALLOW_THREADS
        leave(self);
        if (result == LOG_BUSY && (PyErr_CheckSignals() < 0 || !is_usable(self))) {
            return LOG_BUSY;
        }
    }
    return result;
}

/* The number of the commit, or less than 0 for another result: -enum log_result. */
static PyObject *
outcome(enum log_result result, uint64_t number)
{
    switch (result) {
    case LOG_DONE: return PyLong_FromUnsignedLongLong(number);
    case LOG_BUSY: return NULL;
    case LOG_FAILED: raise_failed(); return NULL;
    case LOG_DAMAGED: PyErr_SetString(PyExc_ValueError, "the log has numbers that no commit wrote"); return NULL;
    default: return PyLong_FromLong(-(long)result);
    }
}

static void
ring(Log *self, uint64_t number)
{
    atomic_store_explicit(self->log.bell, (uint32_t)number, memory_order_release);
}

static bool
fill_row(LogRow *row, PyObject *key, PyObject *body, unsigned long partial)
{
    if (!PyBytes_Check(key) || !PyBytes_Check(body)) {
        PyErr_SetString(PyExc_TypeError, "keys and bodies are bytes");
        return false;
    }
    if (PyBytes_GET_SIZE(key) > LOG_LARGEST_KEY || PyBytes_GET_SIZE(body) > LOG_LARGEST_RECORD - TRAILER) {
        PyErr_SetString(PyExc_ValueError, "the row is too large for the log");
        return false;
    }
    *row = (LogRow){
        .key = (const uint8_t *)PyBytes_AS_STRING(key),
        .key_length = (uint32_t)PyBytes_GET_SIZE(key),
        .body = (const uint8_t *)PyBytes_AS_STRING(body),
        .body_length = (uint32_t)PyBytes_GET_SIZE(body),
        .partial = (uint32_t)partial,
    };
    return true;
}

PyDoc_STRVAR(put_doc,
"put(key, body, partial, holding=False, /)\n--\n\n"
"Commit one entry and ring the bell. An empty body deletes it. ``holding``: this thread holds the exclusive lock.\n"
"Returns its number, or a number below 0 that says why it was not committed.");

static PyObject *
log_put(Log *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 && count != 4) {
        PyErr_SetString(PyExc_TypeError, "put() takes 3 or 4 arguments");
        return NULL;
    }
    LogRow row;
    unsigned long partial = PyLong_AsUnsignedLong(arguments[2]);
    if ((partial == (unsigned long)-1 && PyErr_Occurred()) || !is_usable(self)
        || !fill_row(&row, arguments[0], arguments[1], partial)) {
        return NULL;
    }
    Commit commit = {.rows = &row, .count = 1, .holding = count == 4 && arguments[3] == Py_True};
    enum log_result result = commit_patiently(self, &commit);
    if (result == LOG_DONE && !self->closed) {
        ring(self, commit.number);
    }
    return outcome(result, commit.number);
}

/* Rows from a sequence of (key, body, partial), or of keys. */
static LogRow *
rows_from(PyObject *sequence, bool only_keys)
{
    size_t count = (size_t)PyList_GET_SIZE(sequence);
    LogRow *rows = PyMem_Calloc(count ? count : 1, sizeof(LogRow));
    if (rows == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *given = PyList_GET_ITEM(sequence, (Py_ssize_t)i), *key = given, *body = NULL;
        unsigned long partial = 0;
        if (!only_keys) {
            if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != 3) {
                PyErr_SetString(PyExc_TypeError, "rows are tuples of key, body and partial checksum");
                goto failed;
            }
            key = PyTuple_GET_ITEM(given, 0);
            body = PyTuple_GET_ITEM(given, 1);
            partial = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(given, 2));
            if (partial == (unsigned long)-1 && PyErr_Occurred()) {
                goto failed;
            }
        }
        if (!fill_row(&rows[i], key, body == NULL ? key : body, partial)) {
            goto failed;
        }
    }
    return rows;
failed:
    PyMem_Free(rows);
    return NULL;
}

PyDoc_STRVAR(commit_doc,
"commit(rows, holding, checked, stamp, before, /)\n--\n\n"
"Commit a list of rows (key, body, partial checksum) at once. An empty body deletes the key.\n\n"
"``holding``: whether this thread holds the exclusive lock. ``checked``: a list of keys that must not have changed\n"
"since ``stamp``. ``before`` is None, or is called before the commit is published. Returns as :meth:`put`.");

static PyObject *
log_commit(Log *self, PyObject *arguments)
{
    PyObject *rows, *checked, *before;
    int holding;
    LogStamp stamp;
    if (!PyArg_ParseTuple(arguments, "O!pO!(KKKKK)O:commit", &PyList_Type, &rows, &holding, &PyList_Type, &checked,
                          &stamp.direct, &stamp.epochs[0], &stamp.epochs[1], &stamp.heads[0], &stamp.heads[1],
                          &before)
        || !is_usable(self)) {
        return NULL;
    }
    LogRow *made = rows_from(rows, false), *keys = made == NULL ? NULL : rows_from(checked, true);
    PyObject *result = NULL;
    if (keys != NULL) {
        Commit commit = {
            .rows = made,
            .count = (size_t)PyList_GET_SIZE(rows),
            .holding = holding,
            .stamp = &stamp,
            .checked = keys,
            .checks = (size_t)PyList_GET_SIZE(checked),
            .before = before == Py_None ? NULL : before,
        };
        enum log_result found = commit_patiently(self, &commit);
        result = outcome(found, commit.number);
    }
    PyMem_Free(keys);
    PyMem_Free(made);
    return result;
}

PyDoc_STRVAR(stamp_doc, "stamp()\n--\n\nWhat tells later whether a key has changed since now.");

static PyObject *
log_stamp_of(Log *self, PyObject *Py_UNUSED(nothing))
{
    LogStamp stamp;
    if (!is_usable(self)) {
        return NULL;
    }
    log_stamp(&self->log, &stamp);
    return Py_BuildValue("KKKKK", stamp.direct, stamp.epochs[0], stamp.epochs[1], stamp.heads[0], stamp.heads[1]);
}

PyDoc_STRVAR(take_number_doc,
"take_number()\n--\n\n"
"Use up a number for a commit that goes straight to the base, and mark the delta as dirty.");

static PyObject *
log_take_number_of(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!is_usable(self) || !take(self)) {
        return NULL;
    }
    uint64_t number = log_take_number(&self->log);
    atomic_store_explicit(&self->log.header->direct, number, memory_order_relaxed);
    atomic_store_explicit(self->log.dirty, 1, memory_order_release);
    log_unlock(&self->log);
    return PyLong_FromUnsignedLongLong(number);
}

PyDoc_STRVAR(barrier_doc, "barrier()\n--\n\nWait for the commits that are under way.");

static PyObject *
log_barrier(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!is_usable(self) || !take(self)) {
        return NULL;
    }
    log_unlock(&self->log);
    Py_RETURN_NONE;
}

/* --- storing a value in one call ----------------------------------------------------------------------------------- */

/* Whether an attribute of an object is None. If it cannot be read, it counts as something else. */
static bool
is_none(PyObject *object, PyObject *attribute)
{
    Py_INCREF(object); /* what is called may drop the log's reference */
    PyObject *found = PyObject_GetAttr(object, attribute);
    Py_DECREF(object);
    if (found == NULL) {
        PyErr_Clear();
        return false;
    }
    Py_DECREF(found);
    return found == Py_None;
}

/* Commit one row if the mutex is free; LOG_BUSY if not. */
static enum log_result
commit_at_once(Log *self, PyObject *key, PyObject *body)
{
    LogRow row = {
        .key = (const uint8_t *)PyBytes_AS_STRING(key),
        .key_length = (uint32_t)PyBytes_GET_SIZE(key),
        .body = (const uint8_t *)PyBytes_AS_STRING(body),
        .body_length = (uint32_t)PyBytes_GET_SIZE(body),
    };
    row.partial = checksum(row.body, row.body_length, checksum(row.key, row.key_length, 0));
    Commit commit = {.rows = &row, .count = 1};
    enum log_result result = log_lock(&self->log, SPINS);
    if (result == LOG_DONE) {
        result = commit_locked(&self->log, &commit);
        log_unlock(&self->log);
    }
    if (result == LOG_DONE) {
        ring(self, commit.number);
    }
    return result;
}

/* After a commit: have the flusher notice it. Returns whether more is to be done. */
static bool
notice(Log *self)
{
    if (PyList_Append(self->noticed, Py_None) < 0) {
        PyErr_Clear(); /* there is no memory; the next commit is noticed, and flushes this one, too */
    }
    return atomic_load_explicit(self->log.bell + 1, memory_order_relaxed) || log_is_due(&self->log)
           || is_none(self->flusher, self->thread_attribute);
}

static void
pause_attempts(Log *self)
{
    self->left = self->pause;
    self->pause = self->pause * 2 + 1 < LONGEST_PAUSE ? self->pause * 2 + 1 : LONGEST_PAUSE;
}

PyDoc_STRVAR(store_doc,
"store(key, value, start=None, /)\n--\n\n"
"Commit a value of plain data under a key, and note it for the flush. ``start`` is what the bytes of str keys begin\n"
"with in the key's namespace; None for the whole shelf. Returns False if nothing was committed, so that\n"
"it has to be done in Python. Returns None if all is done, and True if a thread waits at the bell, the flusher has no\n"
"thread, or a flush is due.");

static PyObject *
log_store(Log *self, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *start = count == 3 ? arguments[2] : Py_None;
    if ((count != 2 && count != 3) || (start != Py_None && !PyBytes_CheckExact(start))) {
        PyErr_SetString(PyExc_TypeError, "store() takes a key, a value, and the bytes before the key or None");
        return NULL;
    }
    if (self->left) {
        self->left--;
        Py_RETURN_FALSE;
    }
    PyObject *key = start == Py_None ? encode_key(arguments[0]) : encode_key_under(start, arguments[0]);
    PyObject *body = key == NULL ? NULL : plain_dumps(arguments[1]);
    if (body == NULL || PyBytes_GET_SIZE(body) > LARGEST_VALUE || PyBytes_GET_SIZE(key) > LARGEST_VALUE) {
        Py_XDECREF(key);
        Py_XDECREF(body);
        if (PyErr_Occurred()) {
            return NULL;
        }
        pause_attempts(self);
        Py_RETURN_FALSE;
    }
    self->pause = 0;
    /* Making the two objects, and reading the attribute, may run code that closes the log. */
    bool possible = self->name != NULL && is_none(self->name, self->gone_attribute) && !self->closed
                    && self->noticed != NULL && !is_nested(self);
    bool done = possible && commit_at_once(self, key, body) == LOG_DONE;
    Py_DECREF(key);
    Py_DECREF(body);
    if (!done) {
        Py_RETURN_FALSE;
    }
    if (notice(self)) {
        Py_RETURN_TRUE;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(notices_doc,
"notice_by(flusher, name, /)\n--\n\n"
"Have :meth:`store` append to ``flusher.noticed`` for each commit, look at ``flusher.thread``, and commit nothing unless\n"
"``name.gone`` is None.");

static PyObject *
log_notice_by(Log *self, PyObject *arguments)
{
    PyObject *flusher, *name;
    if (!PyArg_ParseTuple(arguments, "OO:notice_by", &flusher, &name)) {
        return NULL;
    }
    PyObject *noticed = PyObject_GetAttrString(flusher, "noticed");
    if (noticed == NULL || !PyList_CheckExact(noticed)) {
        Py_XDECREF(noticed);
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "noticed is no list");
        }
        return NULL;
    }
    Py_XSETREF(self->noticed, noticed);
    Py_XSETREF(self->flusher, Py_NewRef(flusher));
    Py_XSETREF(self->name, Py_NewRef(name));
    Py_RETURN_NONE;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

/* The newest record of a key, copied to ``*copy``; -1 if there is no memory, 0 if there is no record. */
int
log_copy(Log *self, const uint8_t *key, size_t length, uint8_t **copy, size_t *room, size_t *found_length)
{
    LogMap *log = &self->log;
    uint64_t hash = log_hash(log, key, length);
    for (;;) {
        unsigned active = atomic_load_explicit(&log->header->active, memory_order_acquire) & 1;
        bool again = false;
        for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
            unsigned segment = active ^ i;
            uint64_t epoch = log_epoch(log, segment);
            uint64_t head = atomic_load_explicit(&log->header->segments[segment].head, memory_order_acquire);
            if (epoch & 1 || head <= LOG_FIRST) {
                continue;
            }
            LogFound found;
            bool there = log_find(log, segment, head, key, length, hash, &found) != 0;
            if (there) {
                if (found.length > *room) {
                    uint8_t *made = PyMem_Realloc(*copy, found.length);
                    if (made == NULL) {
                        return -1;
                    }
                    *copy = made;
                    *room = found.length;
                }
                memcpy(*copy, found.record, found.length);
                *found_length = found.length;
            }
            if (!log_is_still(log, segment, epoch)) {
                again = true;
                break;
            }
            if (there) {
                return 1;
            }
        }
        if (!again) {
            return 0;
        }
    }
}

PyDoc_STRVAR(get_doc, "get(key, /)\n--\n\nThe newest record of a key, perhaps of a deletion; None if there is none.");

static PyObject *
log_get(Log *self, PyObject *key)
{
    if (!PyBytes_Check(key)) {
        PyErr_SetString(PyExc_TypeError, "a key is bytes");
        return NULL;
    }
    if (!is_usable(self)) {
        return NULL;
    }
    uint8_t *copy = NULL;
    size_t room = 0, length;
    int found = log_copy(self, (const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), &copy, &room,
                         &length);
    PyObject *result = found < 0   ? PyErr_NoMemory()
                       : found ? PyBytes_FromStringAndSize((const char *)copy, (Py_ssize_t)length)
                               : Py_NewRef(Py_None);
    PyMem_Free(copy);
    return result;
}

typedef struct {
    const uint8_t *bytes;
    size_t length;
} Bound;

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
static PyObject *
gathered(Log *self, unsigned wanted, Bound start, Bound stop, uint64_t flushed, bool only_count)
{
    while (is_usable(self)) {
        Range range;
        enter(self); /* making the list may run a finalizer, which may close the log */
        PyObject *rows = only_count ? Py_NewRef(Py_None) : PyList_New(0);
        if (rows == NULL) {
            leave(self);
            return NULL;
        }
        enum gathered result = find_range(self, wanted, start, stop, &range);
        if (result == GATHERED && !only_count) {
            result = append_range(self, &range, flushed, rows);
        }
        if (result != FAILED && !is_same(self, &range)) {
            result = CHANGED;
        }
        leave(self);
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

PyDoc_STRVAR(rows_doc,
"rows(start, stop, flushed=0, /)\n--\n\n"
"The newest record of each key from ``start`` to before ``stop`` (None: to the end), in order, as (key, record).\n\n"
"Only records with a number above ``flushed``. Deletions are among them. All are of one instant.");

static PyObject *
log_rows(Log *self, PyObject *arguments)
{
    PyObject *start, *stop;
    unsigned long long flushed = 0;
    Bound low, high;
    if (!PyArg_ParseTuple(arguments, "OO|K:rows", &start, &stop, &flushed) || !bounds_of(start, stop, &low, &high)) {
        return NULL;
    }
    return gathered(self, 3, low, high, flushed, false);
}

PyDoc_STRVAR(count_doc, "count(start, stop, /)\n--\n\nAbout how many keys lie from ``start`` to before ``stop``.");

static PyObject *
log_count(Log *self, PyObject *arguments)
{
    PyObject *start, *stop;
    Bound low, high;
    if (!PyArg_ParseTuple(arguments, "OO:count", &start, &stop) || !bounds_of(start, stop, &low, &high)) {
        return NULL;
    }
    return gathered(self, 3, low, high, 0, true);
}

/* --- flushing ------------------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(swap_doc,
"swap(flushed, /)\n--\n\n"
"Choose what a flush writes. ``flushed`` is the number up to which the base has all commits.\n\n"
"Returns the rows that the base lacks, in order, and the number of the last commit among them, or ``flushed``. From\n"
"here on commits go to another segment. Only for the holder of the base's write lock.");

static PyObject *
log_swap_of(Log *self, PyObject *argument)
{
    unsigned long long flushed = PyLong_AsUnsignedLongLong(argument);
    if ((flushed == (unsigned long long)-1 && PyErr_Occurred()) || !is_usable(self) || !take(self)) {
        return NULL;
    }
    int segment = log_swap(&self->log, flushed);
    uint64_t last = flushed;
    if (segment >= 0) {
        uint64_t found = atomic_load_explicit(&self->log.header->segments[segment].last, memory_order_relaxed);
        last = found > last ? found : last;
    }
    log_unlock(&self->log);
    PyObject *rows = segment < 0 ? PyList_New(0)
                                 : gathered(self, 1u << segment, (Bound){(const uint8_t *)"", 0}, (Bound){NULL, 0},
                                            flushed, false);
    return rows == NULL ? NULL : Py_BuildValue("(NK)", rows, (unsigned long long)last);
}

PyDoc_STRVAR(remove_doc,
"remove(flushed, /)\n--\n\n"
"Remove what the base has: all commits up to the number ``flushed``. Only for the holder of the base's write lock.");

static PyObject *
log_remove_of(Log *self, PyObject *argument)
{
    unsigned long long flushed = PyLong_AsUnsignedLongLong(argument);
    if ((flushed == (unsigned long long)-1 && PyErr_Occurred()) || !is_usable(self)) {
        return NULL;
    }
    if (is_nested(self)) {
        PyErr_SetString(PyExc_RuntimeError, "this thread is in the middle of a commit");
        return NULL;
    }
    enum log_result result;
    do {
        enter(self);
        Py_BEGIN_ALLOW_THREADS
        result = log_remove(&self->log, flushed, lock_for_a_slice);
        Py_END_ALLOW_THREADS
        leave(self);
        if (result == LOG_BUSY && (PyErr_CheckSignals() < 0 || !is_usable(self))) {
            return NULL;
        }
    } while (result == LOG_BUSY);
    if (result == LOG_FAILED) {
        raise_failed();
        return NULL;
    }
    Py_RETURN_NONE;
}

/* --- the object ---------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(make_doc,
"make(number, /)\n--\n\n"
"Make an empty log in a new file, whose commits get the numbers after ``number``. Raises OSError: no space is left.");

static PyObject *
log_make_of(Log *self, PyObject *argument)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(argument);
    if ((number == (unsigned long long)-1 && PyErr_Occurred()) || !is_usable(self)) {
        return NULL;
    }
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    int error = posix_fallocate(self->log.descriptor, 0, LOG_HEADER + LOG_SEGMENTS * LOG_INDEX);
    if (error || !log_make(self->log.map, self->log.size, self->log.descriptor, number, seed)) {
        errno = error ? error : ENOSPC;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(problem_doc, "problem()\n--\n\nWhat is wrong with the header; None if nothing is.");

static PyObject *
log_problem_of(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!is_usable(self)) {
        return NULL;
    }
    const char *problem = log_problem(&self->log);
    return problem == NULL ? Py_NewRef(Py_None) : PyUnicode_FromString(problem);
}

PyDoc_STRVAR(settle_doc,
"settle()\n--\n\n"
"Make a log that dead processes left usable. Only for a process that is alone. Returns False if it is damaged.");

static PyObject *
log_settle_of(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!is_usable(self)) {
        return NULL;
    }
    return PyBool_FromLong(log_settle(&self->log));
}

static int
log_clear(Log *self)
{
    Py_CLEAR(self->noticed);
    Py_CLEAR(self->flusher);
    Py_CLEAR(self->name);
    return 0;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nGive up the map. The descriptor stays open.");

static PyObject *
log_close(Log *self, PyObject *Py_UNUSED(nothing))
{
    self->closed = true;
    log_clear(self);
    if (!self->inside) {
        unmap(self);
    }
    Py_RETURN_NONE;
}

static PyObject *
log_get_number(Log *self, void *Py_UNUSED(closure))
{
    if (!is_usable(self)) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(atomic_load_explicit(&self->log.header->number, memory_order_acquire));
}

static PyObject *
log_get_due(Log *self, void *Py_UNUSED(closure))
{
    return is_usable(self) ? PyBool_FromLong(log_is_due(&self->log)) : NULL;
}

static PyObject *
log_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"descriptor", "size", "state", "claim", "generation", "dirty", "bell", "mine", NULL};
    int descriptor;
    unsigned mine;
    Py_ssize_t size, places[4];
    PyObject *state;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "inOnnnnI:Log", names, &descriptor, &size, &state, &places[0],
                                     &places[1], &places[2], &places[3], &mine)) {
        return NULL;
    }
    Log *self = (Log *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->orders[0].epoch = self->orders[1].epoch = 1;
    self->thread_attribute = PyUnicode_InternFromString("thread");
    self->gone_attribute = PyUnicode_InternFromString("gone");
    if (self->thread_attribute == NULL || self->gone_attribute == NULL
        || PyObject_GetBuffer(state, &self->state, PyBUF_WRITABLE) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    struct stat information;
    for (int i = 0; i < 4; i++) {
        if (places[i] < 0 || places[i] > self->state.len - 8 || ((uintptr_t)self->state.buf + (size_t)places[i]) % 4) {
            PyErr_SetString(PyExc_ValueError, "no place of a word in the state page");
            Py_DECREF(self);
            return NULL;
        }
    }
    if (fstat(descriptor, &information) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    if (size < (Py_ssize_t)log_size(1 << 20) || size % 4096 || information.st_size != (off_t)size) {
        PyErr_SetString(PyExc_ValueError, "this size is not that of the log's file");
        Py_DECREF(self);
        return NULL;
    }
    void *map = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (map == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    uint8_t *page = self->state.buf;
    self->log = (LogMap){
        .map = map,
        .size = (size_t)size,
        .header = map,
        .descriptor = descriptor,
        .claim = (_Atomic uint32_t *)(page + places[0]),
        .generation = (_Atomic uint32_t *)(page + places[1]),
        .dirty = (_Atomic uint32_t *)(page + places[2]),
        .bell = (_Atomic uint32_t *)(page + places[3]),
        .mine = mine,
    };
    return (PyObject *)self;
}

static int
log_traverse(Log *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->noticed);
    Py_VISIT(self->flusher);
    Py_VISIT(self->name);
    Py_VISIT(self->state.obj);
    return 0;
}

void
log_dealloc(Log *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    log_clear(self);
    unmap(self);
    Py_CLEAR(self->thread_attribute);
    Py_CLEAR(self->gone_attribute);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef log_methods[] = {
    {"put", (PyCFunction)(void (*)(void))log_put, METH_FASTCALL, put_doc},
    {"commit", (PyCFunction)log_commit, METH_VARARGS, commit_doc},
    {"stamp", (PyCFunction)log_stamp_of, METH_NOARGS, stamp_doc},
    {"take_number", (PyCFunction)log_take_number_of, METH_NOARGS, take_number_doc},
    {"barrier", (PyCFunction)log_barrier, METH_NOARGS, barrier_doc},
    {"store", (PyCFunction)(void (*)(void))log_store, METH_FASTCALL, store_doc},
    {"notice_by", (PyCFunction)log_notice_by, METH_VARARGS, notices_doc},
    {"get", (PyCFunction)log_get, METH_O, get_doc},
    {"rows", (PyCFunction)log_rows, METH_VARARGS, rows_doc},
    {"count", (PyCFunction)log_count, METH_VARARGS, count_doc},
    {"swap", (PyCFunction)log_swap_of, METH_O, swap_doc},
    {"remove", (PyCFunction)log_remove_of, METH_O, remove_doc},
    {"make", (PyCFunction)log_make_of, METH_O, make_doc},
    {"problem", (PyCFunction)log_problem_of, METH_NOARGS, problem_doc},
    {"settle", (PyCFunction)log_settle_of, METH_NOARGS, settle_doc},
    {"close", (PyCFunction)log_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef log_getset[] = {
    {"number", (getter)log_get_number, NULL, "the number of the last commit", NULL},
    {"is_due", (getter)log_get_due, NULL, "whether so much waits that a flush is due", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(log_doc,
"Log(descriptor, size, state, claim, generation, dirty, bell, mine)\n--\n\n"
"The delta as a log. ``descriptor`` is of its file, which has ``size`` bytes and stays the caller's. ``state`` is the\n"
"state page, writable, with the places of four words: the exclusive lock, the generation, dirty, and the bell, which\n"
"the word about waiters follows. ``mine`` is the generation of this log.");

static PyType_Slot log_slots[] = {
    {Py_tp_doc, (void *)log_doc},
    {Py_tp_new, log_new},
    {Py_tp_dealloc, log_dealloc},
    {Py_tp_traverse, log_traverse},
    {Py_tp_clear, log_clear},
    {Py_tp_methods, log_methods},
    {Py_tp_getset, log_getset},
    {0, NULL},
};

PyType_Spec log_spec = {
    .name = "coshelf._native.Log",
    .basicsize = sizeof(Log),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = log_slots,
};
