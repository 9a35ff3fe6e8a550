/* The first row of a range: found, or taken out, or moved to another range, in one call of Python. Queues use it.
 *
 * As for popitem.c, the row is found without a lock, and its change is committed under the mutex of the log, if the log
 * has nothing new at or before its key.
 */

#include "ends.h"

#define LARGEST_BODY 65536 /* of a row that moves */
#define PLAIN 0            /* the last byte of the key of a row that has a value alone */

static const uint8_t HEAD[] = {0x80, 0x03, 'B'}; /* a pickle of bytes: this, four bytes of length, the bytes, '.' */

/* What a call is to do. */
typedef struct {
    Range range;
    Span into; /* what the moved row's key begins with; no bytes: the row is deleted */
    Span told; /* what comes before the body in the moved row */
} Order;

static bool
read_order(PyObject *const *arguments, Py_ssize_t count, Order *order)
{
    if (count < 2 || !PyBytes_CheckExact(arguments[0]) || !PyBytes_CheckExact(arguments[1])) {
        return false;
    }
    order->range = (Range){(const uint8_t *)PyBytes_AS_STRING(arguments[0]), (size_t)PyBytes_GET_SIZE(arguments[0]),
                           (const uint8_t *)PyBytes_AS_STRING(arguments[1]), (size_t)PyBytes_GET_SIZE(arguments[1])};
    if (count == 2) {
        return true;
    }
    if (count != 4 || !PyBytes_CheckExact(arguments[3])
        || (arguments[2] != Py_None && !PyBytes_CheckExact(arguments[2]))) {
        return false;
    }
    if (arguments[2] != Py_None) {
        order->into = (Span){(const uint8_t *)PyBytes_AS_STRING(arguments[2]), (size_t)PyBytes_GET_SIZE(arguments[2])};
        order->told = (Span){(const uint8_t *)PyBytes_AS_STRING(arguments[3]), (size_t)PyBytes_GET_SIZE(arguments[3])};
    }
    return true;
}

/* --- the row that moves -------------------------------------------------------------------------------------------- */

/* The key and the body of the moved row, in one piece of memory; NULL if it is too large, or there is no memory. */
static uint8_t *
moved_row(BaseReader *self, const Order *order, const Candidate *candidate, LogRow *row)
{
    size_t body = candidate->record_length - TRAILER;
    size_t rest = candidate->length - order->range.start_length - 1;
    size_t key_length = order->into.length + rest, inner = order->told.length + body;
    size_t length = sizeof(HEAD) + sizeof(uint32_t) + inner + 1;
    if (key_length > LONGEST_ROW || length > LARGEST_BODY) {
        return NULL;
    }
    uint8_t *made = PyMem_Malloc(key_length + length);
    if (made == NULL) {
        return NULL;
    }
    memcpy(made, order->into.bytes, order->into.length);
    memcpy(made + order->into.length, candidate->key + order->range.start_length, rest);
    uint8_t *at = made + key_length;
    uint32_t told = (uint32_t)inner;
    memcpy(at, HEAD, sizeof(HEAD));
    memcpy(at + sizeof(HEAD), &told, sizeof(told));
    at += sizeof(HEAD) + sizeof(told);
    memcpy(at, order->told.bytes, order->told.length);
    memcpy(at + order->told.length, self->copy, body);
    at[inner] = '.';
    *row = (LogRow){
        .key = made,
        .key_length = (uint32_t)key_length,
        .body = made + key_length,
        .body_length = (uint32_t)length,
    };
    row->partial = checksum(row->body, length, checksum(row->key, key_length, 0));
    return made;
}

/* --- taking -------------------------------------------------------------------------------------------------------- */

/* Whether this code may take the candidate. Its record lies in the reader. */
static bool
is_plain(BaseReader *self, const Order *order, const Candidate *candidate)
{
    return candidate->length > order->range.start_length && candidate->key[candidate->length - 1] == PLAIN
           && candidate->record_length > TRAILER
           && is_intact(candidate->key, candidate->length, self->copy, candidate->record_length);
}

/* Take one candidate. LOG_DONE: the value is given, and the key of the row that it is in now, or was in. LOG_CHANGED: it
 * has to be looked for again. LOG_FAILED: it has to be done in Python, or an error is set. */
static enum log_result
take_candidate(BaseReader *self, Log *log, const Order *order, const LogStamp *stamp, const Candidate *candidate,
               PyObject **key, PyObject **value, uint64_t *number)
{
    LogRow rows[2] = {ends_deletion(candidate)};
    size_t count = 1;
    uint8_t *moved = NULL;
    if (order->into.length) {
        moved = moved_row(self, order, candidate, &rows[count++]);
        if (moved == NULL) {
            return LOG_FAILED;
        }
    }
    const LogRow *row = &rows[count - 1];
    *key = PyBytes_FromStringAndSize((const char *)row->key, (Py_ssize_t)row->key_length);
    *value = *key == NULL ? NULL : base_loaded(self, candidate->record_length); /* runs any code */
    enum log_result result = LOG_FAILED;
    if (*value != NULL && log_stores_at_once(log)) {
        result = ends_commit(log, &order->range, 1, false, stamp, candidate, rows, count, number);
    }
    PyMem_Free(moved);
    if (result != LOG_DONE) {
        Py_CLEAR(*key);
        Py_CLEAR(*value);
    }
    return result;
}

/* The key, the value, the number of the commit, and whether more is to be done; None if the range is empty. NULL without
 * an error: it has to be done in Python. */
static PyObject *
taken(BaseReader *self, Log *log, const Order *order)
{
    for (int attempt = 0; attempt < ENDS_ATTEMPTS; attempt++) {
        LogStamp stamp;
        Candidate candidate;
        if (!log_stores_at_once(log) || self->closed || (Log *)self->log != log) {
            return NULL;
        }
        enum found found = ends_first(self, &order->range, 1, false, &stamp, &candidate);
        if (found == MISSING) {
            return Py_NewRef(Py_None);
        }
        if (found == ASK || (found == THERE && !is_plain(self, order, &candidate))) {
            return NULL;
        }
        if (found == AGAIN) {
            continue;
        }
        PyObject *key, *value;
        uint64_t number = 0;
        enum log_result result = take_candidate(self, log, order, &stamp, &candidate, &key, &value, &number);
        if (result == LOG_DONE) {
            log_ring(log, number);
            return Py_BuildValue("(NNKO)", key, value, (unsigned long long)number,
                                 log_notice(log) ? Py_True : Py_False);
        }
        if (result != LOG_CHANGED) {
            return NULL;
        }
    }
    return NULL;
}

/* --- the methods --------------------------------------------------------------------------------------------------- */

const char reader_first_doc[] = PyDoc_STR(
    "first(start, stop, last=False, /)\n--\n\n"
"The key and the record of the first row of a range, or with ``last`` of the last one; None if it is empty.\n"
"``NotImplemented``: Python has to look.");

PyObject *
reader_first(PyObject *reader, PyObject *const *arguments, Py_ssize_t count)
{
    BaseReader *self = (BaseReader *)reader;
    Order order = {0};
    if ((count != 2 && count != 3) || !read_order(arguments, 2, &order)) {
        PyErr_SetString(PyExc_TypeError, "first() takes the bytes of start and stop, and whether it is the last row");
        return NULL;
    }
    bool last = count == 3 && arguments[2] == Py_True;
    for (int attempt = 0; attempt < ENDS_ATTEMPTS && base_reader_log(reader) != NULL && !self->closed; attempt++) {
        LogStamp stamp;
        Candidate candidate;
        enum found found = ends_first(self, &order.range, 1, last, &stamp, &candidate);
        if (found == MISSING) {
            Py_RETURN_NONE;
        }
        if (found == ASK) {
            break;
        }
        if (found == THERE) {
            return Py_BuildValue("(y#y#)", (const char *)candidate.key, (Py_ssize_t)candidate.length,
                                 (const char *)self->copy, (Py_ssize_t)candidate.record_length);
        }
    }
    Py_RETURN_NOTIMPLEMENTED;
}

const char reader_take_doc[] = PyDoc_STR(
    "take(start, stop, into, told, /)\n--\n\n"
"Take out the first row of a range, if its value is plain data and its key ends in a zero byte. With ``into`` it moves:\n"
"that takes the place of ``start`` in its key, whose last byte is left out, and its body is enclosed in a pickle of\n"
"bytes, after ``told``.\n\n"
"Returns the key of the row, the value, the number of the commit, and whether more is to be done, as Log.store says.\n"
"Returns None if the range is empty, and ``NotImplemented`` if nothing was committed, so that it has to be done in\n"
"Python.");

PyObject *
reader_take(PyObject *reader, PyObject *const *arguments, Py_ssize_t count)
{
    Order order = {0};
    if (count != 4 || !read_order(arguments, count, &order)) {
        PyErr_SetString(PyExc_TypeError, "take() takes the bytes of start and stop, into or None, and the bytes told");
        return NULL;
    }
    Log *log = base_reader_log(reader);
    if (log == NULL) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyObject *kept = PyTuple_Pack(4, arguments[0], arguments[1], arguments[2], arguments[3]);
    if (kept == NULL) {
        return NULL;
    }
    Py_INCREF(log); /* other threads may give the reader another one during a wait */
    PyObject *answer = taken((BaseReader *)reader, log, &order);
    Py_DECREF(log);
    Py_DECREF(kept);
    if (answer == NULL && !PyErr_Occurred()) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return answer;
}
