/* Takes the least or greatest entry out of a shelf, in one call of Python: the mutex of the log is all that it needs.
 *
 * The entry is found without a lock. Its deletion is committed under the mutex, if the log has nothing new at or before
 * its key. If it has, the entry is looked for again.
 */

#include "ends.h"

#define MOST_RANGES 3 /* of one namespace */
static inline Span
key_of(const Candidate *candidate)
{
    return (Span){candidate->key, candidate->length};
}

/* --- committing ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const Range *ranges;
    int count;
    bool last;
    const Candidate *candidate;
} Choice;

/* False for a record that makes another choice necessary. */
static bool
changes_nothing(void *to, const LogMap *Py_UNUSED(log), Place Py_UNUSED(place), const LogRecord *record,
                uint32_t key_length, uint32_t Py_UNUSED(record_length))
{
    const Choice *choice = to;
    Span key = {record->bytes, key_length};
    for (int i = 0; i < choice->count; i++) {
        if (range_has(&choice->ranges[i], key)) {
            return comes_before(choice->last, key_of(choice->candidate), key);
        }
    }
    return true;
}

/* Commit, if the candidate still is the first. The caller holds the mutex. */
static enum log_result
commit_locked(LogMap *log, const LogStamp *stamp, Choice *choice, Commit *commit)
{
    enum log_result result = log_may_commit(log, false);
    if (result != LOG_DONE) {
        return result;
    }
    if (atomic_load_explicit(&log->header->direct, memory_order_relaxed) != stamp->direct) {
        return LOG_CHANGED;
    }
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        uint64_t head = atomic_load_explicit(&log->header->segments[segment].head, memory_order_acquire);
        if (log_epoch(log, segment) != stamp->epochs[segment]
            || (!(stamp->epochs[segment] & 1)
                && !ends_each_record(log, segment, stamp->heads[segment], head, changes_nothing, choice))) {
            return LOG_CHANGED;
        }
    }
    return log_commit_locked(log, commit);
}

/* Commit rows, if the candidate still is the first entry of the ranges. LOG_BUSY: the mutex was not free for long, or an
 * error is set; LOG_CHANGED: it has to be looked for again. */
enum log_result
ends_commit(Log *self, const Range *ranges, int count, bool last, const LogStamp *stamp, const Candidate *candidate,
            const LogRow *rows, size_t row_count, uint64_t *number)
{
    Choice choice = {ranges, count, last, candidate};
    Commit commit = {.rows = rows, .count = row_count};
    enum log_result result = log_lock(&self->log, LOG_SPINS);
    if (result == LOG_BUSY) {
        return log_wait_for_mutex(self) ? LOG_CHANGED : LOG_BUSY;
    }
    if (result == LOG_DONE) {
        result = commit_locked(&self->log, stamp, &choice, &commit);
        log_unlock(&self->log);
    }
    *number = commit.number;
    return result;
}

/* The row that deletes the candidate. */
LogRow
ends_deletion(const Candidate *candidate)
{
    return (LogRow){
        .key = candidate->key,
        .key_length = (uint32_t)candidate->length,
        .body = (const uint8_t *)"",
        .partial = checksum(candidate->key, candidate->length, 0),
    };
}

/* --- the item ------------------------------------------------------------------------------------------------------ */

/* The key and the value of the candidate; NULL without an error if they are not plain data. Runs any code. */
static PyObject *
made_item(BaseReader *self, PyObject *start, const Candidate *candidate)
{
    Span key = key_of(candidate);
    if (!is_intact(key.bytes, key.length, self->copy, candidate->record_length)) {
        return NULL;
    }
    PyObject *value = base_loaded(self, candidate->record_length), *made = NULL, *item = NULL;
    if (value != NULL && start == Py_None) {
        made = decode_key(key.bytes, (Py_ssize_t)key.length);
    }
    else if (value != NULL) {
        PyObject *bytes = PyBytes_FromStringAndSize((const char *)key.bytes, (Py_ssize_t)key.length);
        made = bytes == NULL ? NULL : decode_key_under(start, bytes);
        Py_XDECREF(bytes);
    }
    if (made != NULL) {
        item = PyTuple_Pack(2, made, value);
    }
    Py_XDECREF(made);
    Py_XDECREF(value);
    return item;
}

/* The item that was taken, or None if there is none. NULL without an error: it has to be done in Python. */
static PyObject *
taken(BaseReader *self, Log *log, PyObject *start, const Range *ranges, int count, bool last, uint64_t *number)
{
    for (int attempt = 0; attempt < ENDS_ATTEMPTS; attempt++) {
        LogStamp stamp;
        Candidate candidate;
        if (!log_stores_at_once(log) || self->closed || (Log *)self->log != log) {
            return NULL;
        }
        enum found found = ends_first(self, ranges, count, last, &stamp, &candidate);
        if (found == AGAIN) {
            continue;
        }
        if (found == MISSING) {
            return Py_NewRef(Py_None);
        }
        if (found == ASK || (count > 1 && candidate.range != 1)) { /* the other ranges have foreign keys, too */
            return NULL;
        }
        PyObject *item = made_item(self, start, &candidate);
        if (item == NULL || !log_stores_at_once(log)) {
            Py_XDECREF(item);
            return NULL;
        }
        LogRow row = ends_deletion(&candidate);
        enum log_result result = ends_commit(log, ranges, count, last, &stamp, &candidate, &row, 1, number);
        if (result == LOG_DONE) {
            return item;
        }
        Py_DECREF(item);
        if (result != LOG_CHANGED) {
            return NULL;
        }
    }
    return NULL;
}

/* --- the method ---------------------------------------------------------------------------------------------------- */

static bool
read_ranges(PyObject *given, Range *ranges, int *count)
{
    *count = PyTuple_Check(given) ? (int)PyTuple_GET_SIZE(given) : 0;
    bool right = *count == 1 || *count == MOST_RANGES;
    for (int i = 0; right && i < *count; i++) {
        PyObject *range = PyTuple_GET_ITEM(given, i);
        right = PyTuple_Check(range) && PyTuple_GET_SIZE(range) == 2 && PyBytes_CheckExact(PyTuple_GET_ITEM(range, 0))
                && PyBytes_CheckExact(PyTuple_GET_ITEM(range, 1));
        if (right) {
            PyObject *start = PyTuple_GET_ITEM(range, 0), *stop = PyTuple_GET_ITEM(range, 1);
            ranges[i] = (Range){(const uint8_t *)PyBytes_AS_STRING(start), (size_t)PyBytes_GET_SIZE(start),
                                (const uint8_t *)PyBytes_AS_STRING(stop), (size_t)PyBytes_GET_SIZE(stop)};
        }
    }
    return right;
}

const char reader_popitem_doc[] = PyDoc_STR(
    "popitem(ranges, last, start=None, /)\n--\n\n"
"Take out the entry with the greatest key, or without ``last`` the least, of one range of keys, or of the three of a\n"
"namespace. ``start`` is that of :meth:`load`.\n\n"
"Returns the item, and whether more is to be done, as Log.store says. Returns None if there is no entry, and\n"
"``NotImplemented`` if nothing was committed, so that it has to be done in Python.");

PyObject *
reader_popitem(PyObject *reader, PyObject *const *arguments, Py_ssize_t count)
{
    Range ranges[MOST_RANGES];
    int of_them;
    PyObject *start = count == 3 ? arguments[2] : Py_None;
    if ((count != 2 && count != 3) || (start != Py_None && !PyBytes_CheckExact(start))
        || !read_ranges(arguments[0], ranges, &of_them)) {
        PyErr_SetString(PyExc_TypeError, "popitem() takes ranges, last, and the bytes before the key or None");
        return NULL;
    }
    int last = PyObject_IsTrue(arguments[1]);
    if (last < 0) {
        return NULL;
    }
    Log *log = base_reader_log(reader);
    if (log == NULL) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *kept = Py_NewRef(arguments[0]);
    Py_INCREF(log); /* other threads may give the reader another one during a wait */
    uint64_t number = 0;
    PyObject *item = taken((BaseReader *)reader, log, start, ranges, of_them, last, &number);
    PyObject *answer = item;
    if (item == NULL && !PyErr_Occurred()) {
        answer = Py_NewRef(Py_NotImplemented);
    }
    else if (item != NULL && item != Py_None) {
        log_ring(log, number);
        answer = PyTuple_Pack(2, item, log_notice(log) ? Py_True : Py_False);
        Py_DECREF(item);
    }
    Py_DECREF(log);
    Py_DECREF(kept);
    return answer;
}
