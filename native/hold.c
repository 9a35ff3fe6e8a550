/* The exclusive lock for a block of Python, taken and given back in one call each, if nothing is unusual.
 *
 * What locks/exclusive.py does in Python: the entry in the dict of owners keeps the process's other threads out, the
 * word of the state page the other processes, and taking the log's mutex once waits for commits that have not seen the
 * flag. No handler of Python can run in between. If one of the three is not free at once, or a holder died with the
 * lock, nothing is held afterwards, and it is done in Python.
 */

#include "native.h"

#include "log_object.h"

typedef struct {
    PyObject_HEAD
    PyObject *lock;    /* a ProcessLock */
    PyObject *log;     /* the Log that commits go to */
    PyObject *owners;  /* a dict: the owner of the lock in this process, under 0 */
    PyObject *waiting; /* a list that is not empty while threads wait */
    PyObject *open;    /* is called to wake them */
    PyObject *owner;   /* of this block; NULL in an object that only makes others */
    bool is_held;
} Hold;

/* --- taking and giving back ---------------------------------------------------------------------------------------- */

/* Whether every commit that had not seen the flag has ended. */
static bool
is_quiet(Log *log)
{
    if (log->closed || log_is_nested(log) || log_lock(&log->log, LOG_SPINS) != LOG_DONE) {
        return false;
    }
    bool is_current = atomic_load_explicit(log->log.generation, memory_order_acquire) == log->log.mine;
    log_unlock(&log->log);
    return is_current;
}

static bool
is_taken(Hold *self)
{
    if (!process_lock_take_at_once(self->lock)) {
        return false;
    }
    if (!is_quiet((Log *)self->log)) {
        process_lock_give_back(self->lock);
        return false;
    }
    process_lock_confirm(self->lock);
    return true;
}

/* Take this block's owner out of the dict. Returns whether threads wait for that; -1 with an error set. */
static int
disown(Hold *self)
{
    PyObject *zero = PyLong_FromLong(0);
    if (zero == NULL) {
        return -1;
    }
    int failed = 0;
    if (PyDict_GetItemWithError(self->owners, zero) == self->owner) {
        failed = PyDict_DelItem(self->owners, zero);
    }
    Py_DECREF(zero);
    return failed < 0 || PyErr_Occurred() ? -1 : PyList_GET_SIZE(self->waiting) > 0;
}

static int
give_back(Hold *self)
{
    if (!self->is_held || !process_lock_is_of_this_process(self->lock)) {
        return 0; /* a forked child leaves it to its parent */
    }
    self->is_held = false;
    process_lock_give_back(self->lock);
    int are_waiting = disown(self);
    if (are_waiting <= 0) {
        return are_waiting;
    }
    PyObject *result = PyObject_CallNoArgs(self->open);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* --- the object ---------------------------------------------------------------------------------------------------- */

static PyObject *
hold_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"lock", "log", "owners", "waiting", "open", NULL};
    PyObject *lock, *log, *owners, *waiting, *open;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO!O!O:Hold", names, &lock, &log, &PyDict_Type, &owners,
                                     &PyList_Type, &waiting, &open)) {
        return NULL;
    }
    if (!is_process_lock(lock) || Py_TYPE(log)->tp_dealloc != (destructor)log_dealloc) {
        PyErr_SetString(PyExc_TypeError, "Hold() takes a ProcessLock and a Log");
        return NULL;
    }
    Hold *self = (Hold *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->lock = Py_NewRef(lock);
        self->log = Py_NewRef(log);
        self->owners = Py_NewRef(owners);
        self->waiting = Py_NewRef(waiting);
        self->open = Py_NewRef(open);
    }
    return (PyObject *)self;
}

static void
hold_dealloc(Hold *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject *kind, *error, *traceback;
    PyErr_Fetch(&kind, &error, &traceback);
    if (give_back(self) < 0) {
        PyErr_WriteUnraisable(NULL);
    }
    PyErr_Restore(kind, error, traceback);
    Py_XDECREF(self->lock);
    Py_XDECREF(self->log);
    Py_XDECREF(self->owners);
    Py_XDECREF(self->waiting);
    Py_XDECREF(self->open);
    Py_XDECREF(self->owner);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

PyDoc_STRVAR(by_doc,
"by(owner, /)\n--\n\n"
"A context manager that holds the lock for a block, by this owner. The block gets whether it has the lock.");

static PyObject *
hold_by(Hold *self, PyObject *owner)
{
    PyTypeObject *type = Py_TYPE(self);
    Hold *made = (Hold *)type->tp_alloc(type, 0);
    if (made != NULL) {
        made->lock = Py_NewRef(self->lock);
        made->log = Py_NewRef(self->log);
        made->owners = Py_NewRef(self->owners);
        made->waiting = Py_NewRef(self->waiting);
        made->open = Py_NewRef(self->open);
        made->owner = Py_NewRef(owner);
    }
    return (PyObject *)made;
}

static PyObject *
hold_enter(Hold *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *zero = self->owner == NULL || self->is_held ? NULL : PyLong_FromLong(0);
    if (zero == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_RuntimeError, "this block has no owner, or was entered before");
        }
        return NULL;
    }
    PyObject *found = PyDict_SetDefault(self->owners, zero, self->owner);
    Py_DECREF(zero);
    if (found == NULL) {
        return NULL;
    }
    if (found != self->owner) {
        Py_RETURN_FALSE;
    }
    self->is_held = is_taken(self);
    if (self->is_held) {
        Py_RETURN_TRUE;
    }
    int are_waiting = disown(self);
    PyObject *result = are_waiting > 0 ? PyObject_CallNoArgs(self->open) : are_waiting ? NULL : Py_NewRef(Py_None);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    Py_RETURN_FALSE;
}

static PyObject *
hold_exit(Hold *self, PyObject *const *Py_UNUSED(arguments), Py_ssize_t Py_UNUSED(count))
{
    if (give_back(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef hold_methods[] = {
    {"by", (PyCFunction)hold_by, METH_O, by_doc},
    {"__enter__", (PyCFunction)hold_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))hold_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(hold_doc,
"Hold(lock, log, owners, waiting, open)\n--\n\n"
"Makes context managers that hold the exclusive lock if it is free at once, and no holder died with it.\n\n"
"``owners`` is the dict in which the owner among the threads of this process is entered under 0. ``open`` is called\n"
"after it was taken out, unless the list ``waiting`` is empty.");

static PyType_Slot hold_slots[] = {
    {Py_tp_doc, (void *)hold_doc},
    {Py_tp_new, hold_new},
    {Py_tp_dealloc, hold_dealloc},
    {Py_tp_methods, hold_methods},
    {0, NULL},
};

PyType_Spec hold_spec = {
    .name = "coshelf._native.Hold",
    .basicsize = sizeof(Hold),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = hold_slots,
};
