/* coshelf._native.Log: the log for Python. log_commits.c, log_store.c, log_rows.c and log_changes.c have most of its methods. */

#include "native.h"

#include "log_object.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "platform.h"

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
    if (!log_is_usable(self)) {
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
    if ((flushed == (unsigned long long)-1 && PyErr_Occurred()) || !log_is_usable(self) || !log_take(self)) {
        return NULL;
    }
    unsigned active = atomic_load_explicit(&self->log.header->active, memory_order_relaxed) & 1;
    int segment = log_swap(&self->log, flushed);
    /* Commits without rows have numbers, too. Unless an earlier flush failed, all numbers so far are in this one. */
    _Atomic uint64_t *number = segment < 0 || (unsigned)segment == active ? &self->log.header->number
                                                                         : &self->log.header->segments[segment].last;
    uint64_t found = atomic_load_explicit(number, memory_order_relaxed), last = found > flushed ? found : flushed;
    log_unlock(&self->log);
    PyObject *rows = segment < 0 ? PyList_New(0)
                                 : log_gathered(self, 1u << segment, (Bound){(const uint8_t *)"", 0}, (Bound){NULL, 0},
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
    if ((flushed == (unsigned long long)-1 && PyErr_Occurred()) || !log_is_usable(self)) {
        return NULL;
    }
    if (log_is_nested(self)) {
        PyErr_SetString(PyExc_RuntimeError, "this thread is in the middle of a commit");
        return NULL;
    }
    enum log_result result;
    do {
        log_enter(self);
        Py_BEGIN_ALLOW_THREADS
        result = log_remove(&self->log, flushed, log_lock_for_a_slice);
        Py_END_ALLOW_THREADS
        log_leave(self);
        if (result == LOG_BUSY && (PyErr_CheckSignals() < 0 || !log_is_usable(self))) {
            return NULL;
        }
    } while (result == LOG_BUSY);
    if (result == LOG_FAILED) {
        log_raise_failed();
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
    if ((number == (unsigned long long)-1 && PyErr_Occurred()) || !log_is_usable(self)) {
        return NULL;
    }
    uint64_t seed;
    if (!platform_random(&seed, sizeof(seed))) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    int error = platform_reserve(self->log.descriptor, 0, LOG_HEADER + LOG_SEGMENTS * LOG_INDEX);
    if (error || !log_make(self->log.map, self->log.size, self->log.descriptor, number, seed)) {
        errno = error ? error : ENOSPC;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(problem_doc,
"problem(alone, /)\n--\n\n"
"What is wrong with the header; None if nothing is. ``alone``: no other process uses it, and settle() comes next.");

static PyObject *
log_problem_of(Log *self, PyObject *argument)
{
    int alone = PyObject_IsTrue(argument);
    if (alone < 0 || !log_is_usable(self)) {
        return NULL;
    }
    const char *problem = log_problem(&self->log, alone);
    return problem == NULL ? Py_NewRef(Py_None) : PyUnicode_FromString(problem);
}

PyDoc_STRVAR(settle_doc,
"settle()\n--\n\n"
"Make a log that dead processes left usable. Only for a process that is alone. Returns False if it is damaged.");

static PyObject *
log_settle_of(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!log_is_usable(self)) {
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
        log_unmap(self);
    }
    Py_RETURN_NONE;
}

static PyObject *
log_get_number(Log *self, void *Py_UNUSED(closure))
{
    if (!log_is_usable(self)) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(atomic_load_explicit(&self->log.header->number, memory_order_acquire));
}

static PyObject *
log_get_due(Log *self, void *Py_UNUSED(closure))
{
    return log_is_usable(self) ? PyBool_FromLong(log_is_due(&self->log)) : NULL;
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
    log_unmap(self);
    Py_CLEAR(self->thread_attribute);
    Py_CLEAR(self->gone_attribute);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef log_methods[] = {
    {"put", (PyCFunction)(void (*)(void))log_put, METH_FASTCALL, log_put_doc},
    {"commit", (PyCFunction)log_commit, METH_VARARGS, log_commit_doc},
    {"stamp", (PyCFunction)log_stamp_of, METH_NOARGS, log_stamp_doc},
    {"take_number", (PyCFunction)log_take_number_of, METH_NOARGS, log_take_number_doc},
    {"barrier", (PyCFunction)log_barrier, METH_NOARGS, log_barrier_doc},
    {"store", (PyCFunction)(void (*)(void))log_store, METH_FASTCALL, log_store_doc},
    {"notice_by", (PyCFunction)log_notice_by, METH_VARARGS, log_notices_doc},
    {"get", (PyCFunction)log_get, METH_O, get_doc},
    {"rows", (PyCFunction)log_rows, METH_VARARGS, log_rows_doc},
    {"count", (PyCFunction)log_count, METH_VARARGS, log_count_doc},
    {"changes", (PyCFunction)log_changes, METH_VARARGS, log_changes_doc},
    {"last", (PyCFunction)log_last, METH_NOARGS, log_last_doc},
    {"swap", (PyCFunction)log_swap_of, METH_O, swap_doc},
    {"remove", (PyCFunction)log_remove_of, METH_O, remove_doc},
    {"make", (PyCFunction)log_make_of, METH_O, make_doc},
    {"problem", (PyCFunction)log_problem_of, METH_O, problem_doc},
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
