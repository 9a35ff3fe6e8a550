/* Takes out or adds one entry of plain data in one call of Python: pop and setdefault.
 *
 * As in counting.c, the mutex of the log is all that it needs. The value is made first. Then the change is committed, if
 * the key is still as it was.
 */

#include "base_reader.h"

#define ATTEMPTS 8          /* as long as other processes change the key, or flush */
#define LARGEST_VALUE 32768 /* bytes of a body that is stored in one call; Python looks for large buffers in others */

typedef struct {
    BaseReader *reader;
    Log *log;
    PyObject *key;
    PyObject *body;  /* to store if the key does not exist; NULL: the entry is taken out */
    PyObject *value; /* what the call returns */
    uint64_t number; /* of the commit; 0: nothing was committed */
} Step;

static inline Span
key_of(const Step *step)
{
    return (Span){(const uint8_t *)PyBytes_AS_STRING(step->key), (size_t)PyBytes_GET_SIZE(step->key)};
}

/* Commit the change, if the key is as it was at the stamp. The caller holds the mutex. */
static enum log_result
commit_change(Step *step, const LogStamp *stamp)
{
    LogMap *map = &step->log->log;
    Span key = key_of(step);
    LogRow row = {.key = key.bytes, .key_length = (uint32_t)key.length, .body = (const uint8_t *)""};
    if (step->body != NULL) {
        row.body = (const uint8_t *)PyBytes_AS_STRING(step->body);
        row.body_length = (uint32_t)PyBytes_GET_SIZE(step->body);
    }
    row.partial = checksum(row.body, row.body_length, checksum(row.key, row.key_length, 0));
    Commit commit = {.rows = &row, .count = 1, .stamp = stamp, .checked = &row, .checks = 1};
    enum log_result result = log_commit_locked(map, &commit);
    step->number = result == LOG_DONE ? commit.number : 0;
    return result;
}

/* Make the value that the call returns, from the record of the key or from the body. Runs any code.
 *
 * LOG_DONE: it is made. LOG_CLAIMED: it is made, and nothing is to be committed. LOG_FAILED: it is no plain data. */
static enum log_result
make_value(Step *step)
{
    size_t length;
    Span key = key_of(step);
    enum found found = base_find_record(step->reader, key, &length);
    if (found == THERE && is_intact(key.bytes, key.length, step->reader->copy, length)) {
        step->value = base_loaded(step->reader, length);
        return step->value == NULL ? LOG_FAILED : step->body == NULL ? LOG_DONE : LOG_CLAIMED;
    }
    if (found == MISSING && step->body != NULL) {
        step->value = plain_loads((const uint8_t *)PyBytes_AS_STRING(step->body), PyBytes_GET_SIZE(step->body));
        return step->value == NULL ? LOG_FAILED : LOG_DONE;
    }
    return LOG_FAILED;
}

/* Do one step. False if it has to be done in Python, or if an error is set. */
static bool
is_done(Step *step)
{
    LogMap *map = &step->log->log;
    for (int attempt = 0; attempt < ATTEMPTS;) {
        LogStamp stamp;
        if (!log_stores_at_once(step->log) || step->reader->closed || (Log *)step->reader->log != step->log) {
            return false;
        }
        log_stamp(map, &stamp);
        enum log_result result = stamp.direct == UINT64_MAX ? LOG_FAILED : make_value(step);
        if (result == LOG_CLAIMED) {
            return true;
        }
        if (result != LOG_DONE || !log_stores_at_once(step->log)) {
            return false;
        }
        result = log_lock(map, LOG_SPINS);
        if (result == LOG_DONE) {
            result = commit_change(step, &stamp);
            log_unlock(map);
        }
        if (result == LOG_DONE) {
            return true;
        }
        Py_CLEAR(step->value);
        if (result == LOG_BUSY ? !log_wait_for_mutex(step->log) : result != LOG_CHANGED) {
            return false;
        }
        attempt += result == LOG_CHANGED;
    }
    return false;
}

/* The value, and whether more is to be done; NotImplemented if it has to be done in Python. Takes over the references to
 * the log, the key and the body. */
static PyObject *
done(PyObject *reader, Log *log, PyObject *key, PyObject *body)
{
    Step step = {.reader = (BaseReader *)reader, .log = log, .key = key, .body = body};
    PyObject *answer = NULL;
    if (PyBytes_GET_SIZE(key) <= LONGEST_ROW && is_done(&step)) { /* rows of longer keys lie elsewhere */
        bool is_left = false;
        if (step.number) {
            log_ring(log, step.number);
            is_left = log_notice(log);
        }
        answer = PyTuple_Pack(2, step.value, is_left ? Py_True : Py_False);
    }
    else if (!PyErr_Occurred()) {
        answer = Py_NewRef(Py_NotImplemented);
    }
    Py_XDECREF(step.value);
    Py_DECREF(log);
    Py_DECREF(key);
    Py_XDECREF(body);
    return answer;
}

/* A reference to the reader's log: other code may close the reader, or give it another one. */
static Log *
log_of(PyObject *reader)
{
    Log *log = base_reader_log(reader);
    Py_XINCREF(log);
    return log;
}

static PyObject *
encoded(PyObject *key, PyObject *start)
{
    return start == Py_None ? encode_key(key) : encode_key_under(start, key);
}

const char reader_pop_doc[] = PyDoc_STR(
    "pop(key, start=None, /)\n--\n\n"
"Take out the entry of a key. ``start`` is that of :meth:`load`.\n\n"
"Returns its value, and whether more is to be done, as Log.store says. Returns ``NotImplemented`` if nothing was\n"
"committed, so that it has to be done in Python.");

PyObject *
reader_pop(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *start = count == 2 ? arguments[1] : Py_None;
    if ((count != 1 && count != 2) || (start != Py_None && !PyBytes_CheckExact(start))) {
        PyErr_SetString(PyExc_TypeError, "pop() takes a key, and the bytes before the key or None");
        return NULL;
    }
    Log *log = log_of(self);
    PyObject *key = log == NULL ? NULL : encoded(arguments[0], start);
    if (key == NULL) {
        Py_XDECREF(log);
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_NotImplemented);
    }
    return done(self, log, key, NULL);
}

const char reader_setdefault_doc[] = PyDoc_STR(
    "setdefault(key, default, start=None, /)\n--\n\n"
"The value of a key. If there is none, store a default of plain data. ``start`` is that of :meth:`load`.\n\n"
"Returns the value, or a copy of the default, and whether more is to be done, as Log.store says. Returns\n"
"``NotImplemented`` if nothing was committed, so that it has to be done in Python.");

PyObject *
reader_setdefault(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *start = count == 3 ? arguments[2] : Py_None;
    if ((count != 2 && count != 3) || (start != Py_None && !PyBytes_CheckExact(start))) {
        PyErr_SetString(PyExc_TypeError, "setdefault() takes a key, a default, and the bytes before the key or None");
        return NULL;
    }
    Log *log = log_of(self);
    PyObject *key = log == NULL ? NULL : encoded(arguments[0], start);
    PyObject *body = key == NULL ? NULL : plain_dumps(arguments[1]);
    if (body == NULL || PyBytes_GET_SIZE(body) > LARGEST_VALUE) {
        Py_XDECREF(key);
        Py_XDECREF(body);
        Py_XDECREF(log);
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_NotImplemented);
    }
    return done(self, log, key, body);
}
