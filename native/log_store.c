/* Stores a value of plain data in a log, in one call of Python. */

#include "native.h"

#include "log_object.h"

#include "platform.h"

#define LONGEST_PAUSE 63     /* the most values in a row that are left to Python without an attempt */
#define LARGEST_VALUE 32768  /* bytes of a body that is stored in one call; Python looks for large buffers in others */

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

/* Whether commits may be made without a look of Python. Reading the attribute may run code that closes the log. */
bool
log_stores_at_once(Log *self)
{
    return self->name != NULL && is_none(self->name, self->gone_attribute) && !self->closed && self->noticed != NULL
           && !log_is_nested(self)
           && (self->log.full == NULL || !atomic_load_explicit(self->log.full, memory_order_relaxed));
}

/* Commit one row if the mutex is free; LOG_BUSY if not. */
static enum log_result
commit_at_once(Log *self, PyObject *key, PyObject *body, bool holding)
{
    LogRow row = {
        .key = (const uint8_t *)PyBytes_AS_STRING(key),
        .key_length = (uint32_t)PyBytes_GET_SIZE(key),
        .body = (const uint8_t *)PyBytes_AS_STRING(body),
        .body_length = (uint32_t)PyBytes_GET_SIZE(body),
    };
    row.partial = checksum(row.body, row.body_length, checksum(row.key, row.key_length, 0));
    Commit commit = {.rows = &row, .count = 1, .holding = holding};
    enum log_result result = log_lock(&self->log, LOG_SPINS);
    if (result == LOG_DONE) {
        result = log_commit_locked(&self->log, &commit);
        log_unlock(&self->log);
    }
    if (result == LOG_DONE) {
        log_ring(self, commit.number);
    }
    return result;
}

/* Wake the threads that wait at the bell. Returns whether that is left to Python, where there is no futex. */
static bool
is_wake_left(Log *self)
{
    if (!atomic_load_explicit(self->log.bell + 1, memory_order_relaxed)) {
        return false;
    }
    return !platform_wake(self->log.bell, INT_MAX);
}

/* After a commit: wake who waits, and have the flusher notice it. Returns whether more is to be done. */
bool
log_notice(Log *self)
{
    if (PyList_Append(self->noticed, Py_None) < 0) {
        PyErr_Clear(); /* there is no memory; the next commit is noticed, and flushes this one, too */
    }
    return is_wake_left(self) || log_is_due(&self->log) || is_none(self->flusher, self->thread_attribute);
}

static void
pause_attempts(Log *self)
{
    self->left = self->pause;
    self->pause = self->pause * 2 + 1 < LONGEST_PAUSE ? self->pause * 2 + 1 : LONGEST_PAUSE;
}

const char log_store_doc[] = PyDoc_STR(
    "store(key, value, start=None, holding=False, /)\n--\n\n"
"Commit a value of plain data under a key, and note it for the flush. ``start`` is what the bytes of str keys begin\n"
"with in the key's namespace; None for the whole shelf. ``holding``: this thread holds the exclusive lock. Returns False if nothing was committed, so that\n"
"it has to be done in Python. Returns None if all is done, and True if the flusher has no thread, a flush is due,\n"
"or a thread waits at the bell that cannot be woken from here.");

PyObject *
log_store(Log *self, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *start = count >= 3 ? arguments[2] : Py_None;
    bool holding = count == 4 && arguments[3] == Py_True;
    if (count < 2 || count > 4 || (start != Py_None && !PyBytes_CheckExact(start))) {
        PyErr_SetString(PyExc_TypeError, "store() takes a key, a value, the bytes before the key or None, and holding");
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
    bool done = log_stores_at_once(self) && commit_at_once(self, key, body, holding) == LOG_DONE;
    Py_DECREF(key);
    Py_DECREF(body);
    if (!done) {
        Py_RETURN_FALSE;
    }
    if (log_notice(self)) {
        Py_RETURN_TRUE;
    }
    Py_RETURN_NONE;
}

const char log_notices_doc[] = PyDoc_STR(
    "notice_by(flusher, name, full, /)\n--\n\n"
"Have :meth:`store` append to ``flusher.noticed`` for each commit, look at ``flusher.thread``, and commit nothing unless\n"
"``name.gone`` is None and the word of the state page at ``full`` is 0.");

PyObject *
log_notice_by(Log *self, PyObject *arguments)
{
    PyObject *flusher, *name;
    Py_ssize_t full;
    if (!PyArg_ParseTuple(arguments, "OOn:notice_by", &flusher, &name, &full)) {
        return NULL;
    }
    if (self->closed || full < 0 || full % 4 || full > self->state.len - 4) {
        PyErr_SetString(PyExc_ValueError, "the log is closed, or has no such place in its state page");
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
    self->log.full = (_Atomic uint32_t *)((uint8_t *)self->state.buf + full);
    Py_XSETREF(self->noticed, noticed);
    Py_XSETREF(self->flusher, Py_NewRef(flusher));
    Py_XSETREF(self->name, Py_NewRef(name));
    Py_RETURN_NONE;
}
