/* Commits to a log from Python, and waits for its mutex. */

#include "native.h"

#include "log_object.h"

#include <sys/mman.h>

#define SLICE 50000000L      /* nanoseconds of one wait for the mutex, after which signals are looked for */

/* --- waiting ------------------------------------------------------------------------------------------------------- */

enum log_result
log_lock_for_a_slice(LogMap *map)
{
    enum log_result result = log_lock(map, LOG_SPINS);
    return result == LOG_BUSY ? log_lock_until(map, SLICE) : result;
}

void
log_unmap(Log *self)
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

void
log_enter(Log *self)
{
    self->inside++;
}

void
log_leave(Log *self)
{
    if (!--self->inside && self->closed) {
        log_unmap(self);
    }
}

bool
log_is_usable(Log *self)
{
    if (self->closed) {
        PyErr_SetString(PyExc_ValueError, "the log is closed");
        return false;
    }
    return true;
}

/* Raises OSError after LOG_FAILED. */
void
log_raise_failed(void)
{
    PyErr_SetString(PyExc_OSError, "the lock of the delta cannot be used any more");
}

/* Whether this thread holds the mutex: it would wait for itself. */
bool
log_is_nested(Log *self)
{
    return self->holder && self->holder == PyThread_get_thread_ident();
}

/* Take the mutex with the interpreter's lock held again. Returns false with an error set. */
bool
log_take(Log *self)
{
    if (log_is_nested(self)) {
        PyErr_SetString(PyExc_RuntimeError, "this thread is in the middle of a commit");
        return false;
    }
    enum log_result result = log_lock(&self->log, LOG_SPINS);
    while (result == LOG_BUSY) {
        log_enter(self);
        Py_BEGIN_ALLOW_THREADS
        result = log_lock_until(&self->log, SLICE);
        Py_END_ALLOW_THREADS
        if (result == LOG_DONE && self->closed) {
            log_unlock(&self->log);
        }
        bool closed = self->closed;
        log_leave(self);
        if (closed) {
            return log_is_usable(self);
        }
        if (result == LOG_BUSY && PyErr_CheckSignals() < 0) {
            return false;
        }
    }
    if (result == LOG_FAILED) {
        log_raise_failed();
    }
    return result == LOG_DONE;
}

/* Wait until the mutex is free, without the interpreter's lock. False: an error is set. */
bool
log_wait_for_mutex(Log *self)
{
    log_enter(self);
    Py_BEGIN_ALLOW_THREADS
    if (log_lock_until(&self->log, SLICE) == LOG_DONE) {
        log_unlock(&self->log);
    }
    Py_END_ALLOW_THREADS
    log_leave(self);
    return PyErr_CheckSignals() == 0;
}

/* --- committing ---------------------------------------------------------------------------------------------------- */

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
enum log_result
log_commit_locked(LogMap *map, Commit *commit)
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
log_commit_patiently(Log *self, Commit *commit)
{
    LogMap *map = &self->log;
    if (log_is_nested(self)) {
        return LOG_NESTED;
    }
    if (commit->before != NULL) {
        commit->self = self;
        if (!log_take(self)) {
            return LOG_BUSY;
        }
        log_enter(self); /* what is called may close the log */
        enum log_result result = log_commit_locked(map, commit);
        log_unlock(map);
        log_leave(self);
        return result;
    }
    enum log_result result = log_lock(map, LOG_SPINS);
    if (result == LOG_DONE) {
        result = log_commit_locked(map, commit);
        log_unlock(map);
        return result;
    }
    while (result == LOG_BUSY) {
        log_enter(self);
        Py_BEGIN_ALLOW_THREADS
        result = log_lock_until(map, SLICE);
        if (result == LOG_DONE) { /* without waiting for the interpreter's lock while the mutex is held */
            result = log_commit_locked(map, commit);
            log_unlock(map);
        }
        Py_END_ALLOW_THREADS
        log_leave(self);
        if (result == LOG_BUSY && (PyErr_CheckSignals() < 0 || !log_is_usable(self))) {
            return LOG_BUSY;
        }
    }
    return result;
}

/* The number of the commit, or less than 0 for another result: -enum log_result. */
static PyObject *
log_outcome(enum log_result result, uint64_t number)
{
    switch (result) {
    case LOG_DONE: return PyLong_FromUnsignedLongLong(number);
    case LOG_BUSY: return NULL;
    case LOG_FAILED: log_raise_failed(); return NULL;
    case LOG_DAMAGED: PyErr_SetString(PyExc_ValueError, "the log has numbers that no commit wrote"); return NULL;
    default: return PyLong_FromLong(-(long)result);
    }
}

void
log_ring(Log *self, uint64_t number)
{
    atomic_store_explicit(self->log.bell, (uint32_t)number, memory_order_release);
}

static bool
log_fill_row(LogRow *row, PyObject *key, PyObject *body, unsigned long partial)
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

const char log_put_doc[] = PyDoc_STR(
    "put(key, body, partial, holding=False, /)\n--\n\n"
"Commit one entry and ring the bell. An empty body deletes it. ``holding``: this thread holds the exclusive lock.\n"
"Returns its number, or a number below 0 that says why it was not committed.");

PyObject *
log_put(Log *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 && count != 4) {
        PyErr_SetString(PyExc_TypeError, "put() takes 3 or 4 arguments");
        return NULL;
    }
    LogRow row;
    unsigned long partial = PyLong_AsUnsignedLong(arguments[2]);
    if ((partial == (unsigned long)-1 && PyErr_Occurred()) || !log_is_usable(self)
        || !log_fill_row(&row, arguments[0], arguments[1], partial)) {
        return NULL;
    }
    Commit commit = {.rows = &row, .count = 1, .holding = count == 4 && arguments[3] == Py_True};
    enum log_result result = log_commit_patiently(self, &commit);
    if (result == LOG_DONE && !self->closed) {
        log_ring(self, commit.number);
    }
    return log_outcome(result, commit.number);
}

/* Rows from a tuple of (key, body, partial), or of keys, which the caller keeps. */
static LogRow *
rows_from(PyObject *sequence, bool only_keys)
{
    size_t count = (size_t)PyTuple_GET_SIZE(sequence);
    LogRow *rows = PyMem_Calloc(count ? count : 1, sizeof(LogRow));
    if (rows == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *given = PyTuple_GET_ITEM(sequence, (Py_ssize_t)i), *key = given, *body = NULL;
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
        if (!log_fill_row(&rows[i], key, body == NULL ? key : body, partial)) {
            goto failed;
        }
    }
    return rows;
failed:
    PyMem_Free(rows);
    return NULL;
}

const char log_commit_doc[] = PyDoc_STR(
    "commit(rows, holding, checked, stamp, before, /)\n--\n\n"
"Commit a list of rows (key, body, partial checksum) at once. An empty body deletes the key.\n\n"
"``holding``: whether this thread holds the exclusive lock. ``checked``: a list of keys that must not have changed\n"
"since ``stamp``. ``before`` is None, or is called before the commit is published. Returns as :meth:`put`.");

PyObject *
log_commit(Log *self, PyObject *arguments)
{
    PyObject *rows, *checked, *before;
    int holding;
    LogStamp stamp;
    if (!PyArg_ParseTuple(arguments, "O!pO!(KKKKK)O:commit", &PyList_Type, &rows, &holding, &PyList_Type, &checked,
                          &stamp.direct, &stamp.epochs[0], &stamp.epochs[1], &stamp.heads[0], &stamp.heads[1],
                          &before)
        || !log_is_usable(self)) {
        return NULL;
    }
    /* Another thread may change the lists during a wait. */
    rows = PyList_AsTuple(rows);
    checked = rows == NULL ? NULL : PyList_AsTuple(checked);
    LogRow *made = checked == NULL ? NULL : rows_from(rows, false), *keys = made == NULL ? NULL : rows_from(checked, true);
    PyObject *result = NULL;
    if (keys != NULL) {
        Commit commit = {
            .rows = made,
            .count = (size_t)PyTuple_GET_SIZE(rows),
            .holding = holding,
            .stamp = &stamp,
            .checked = keys,
            .checks = (size_t)PyTuple_GET_SIZE(checked),
            .before = before == Py_None ? NULL : before,
        };
        enum log_result found = log_commit_patiently(self, &commit);
        result = log_outcome(found, commit.number);
    }
    PyMem_Free(keys);
    PyMem_Free(made);
    Py_XDECREF(checked);
    Py_XDECREF(rows);
    return result;
}

const char log_stamp_doc[] = PyDoc_STR(
    "stamp()\n--\n\nWhat tells later whether a key has changed since now.");

PyObject *
log_stamp_of(Log *self, PyObject *Py_UNUSED(nothing))
{
    LogStamp stamp;
    if (!log_is_usable(self)) {
        return NULL;
    }
    log_stamp(&self->log, &stamp);
    return Py_BuildValue("KKKKK", stamp.direct, stamp.epochs[0], stamp.epochs[1], stamp.heads[0], stamp.heads[1]);
}

const char log_take_number_doc[] = PyDoc_STR(
    "take_number()\n--\n\n"
"Use up a number for a commit that goes straight to the base, and mark the delta as dirty.");

PyObject *
log_take_number_of(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!log_is_usable(self) || !log_take(self)) {
        return NULL;
    }
    uint64_t number = log_take_number(&self->log);
    atomic_store_explicit(&self->log.header->direct, number, memory_order_relaxed);
    atomic_store_explicit(self->log.dirty, 1, memory_order_release);
    log_unlock(&self->log);
    return PyLong_FromUnsignedLongLong(number);
}

const char log_barrier_doc[] = PyDoc_STR(
    "barrier()\n--\n\nWait for the commits that are under way.");

PyObject *
log_barrier(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!log_is_usable(self) || !log_take(self)) {
        return NULL;
    }
    log_unlock(&self->log);
    Py_RETURN_NONE;
}
