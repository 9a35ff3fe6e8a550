/* A function in C with a function in Python behind it, which is called for what the first does not do. */

#include "native.h"

#include <stddef.h>

#define LONGEST_PAUSE 63 /* the most calls in a row that go to the second without an attempt */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Attempt attempt;
    AttemptUnder attempt_under; /* instead of attempt, if there is a start */
    PyObject *start;
    PyObject *fallback;
    unsigned pause; /* how many calls skip the attempt after the next failure */
    unsigned left;  /* how many more calls skip the attempt now */
} Either;

static PyObject *
either_call(PyObject *object, PyObject *const *arguments, size_t count, PyObject *names)
{
    Either *self = (Either *)object;
    if (PyVectorcall_NARGS(count) == 1 && names == NULL) {
        if (self->left) {
            self->left--;
        }
        else {
            PyObject *result = self->start == NULL ? self->attempt(arguments[0])
                                                   : self->attempt_under(self->start, arguments[0]);
            if (result != NULL) {
                self->pause = 0;
                return result;
            }
            if (PyErr_Occurred()) {
                return NULL;
            }
            self->left = self->pause;
            self->pause = self->pause * 2 + 1 < LONGEST_PAUSE ? self->pause * 2 + 1 : LONGEST_PAUSE;
        }
    }
    if (self->fallback == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the function to fall back to was removed by the garbage collection");
        return NULL;
    }
    return PyObject_Vectorcall(self->fallback, arguments, count, names);
}

static Either *
new_either(PyTypeObject *type, PyObject *fallback)
{
    if (!PyCallable_Check(fallback)) {
        PyErr_SetString(PyExc_TypeError, "the function to fall back to cannot be called");
        return NULL;
    }
    Either *self = PyObject_GC_New(Either, type);
    if (self == NULL) {
        return NULL;
    }
    self->call = either_call;
    self->attempt = NULL;
    self->attempt_under = NULL;
    self->start = NULL;
    self->fallback = Py_NewRef(fallback);
    self->pause = self->left = 0;
    PyObject_GC_Track((PyObject *)self);
    return self;
}

PyObject *
make_either(PyTypeObject *type, Attempt attempt, PyObject *fallback)
{
    Either *self = new_either(type, fallback);
    if (self != NULL) {
        self->attempt = attempt;
    }
    return (PyObject *)self;
}

PyObject *
make_either_under(PyTypeObject *type, AttemptUnder attempt, PyObject *start, PyObject *fallback)
{
    Either *self = new_either(type, fallback);
    if (self != NULL) {
        self->attempt_under = attempt;
        self->start = Py_NewRef(start);
    }
    return (PyObject *)self;
}

static int
either_traverse(Either *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->fallback);
    return 0;
}

static int
either_clear(Either *self)
{
    Py_CLEAR(self->fallback);
    return 0;
}

static void
either_dealloc(Either *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    either_clear(self);
    Py_CLEAR(self->start);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef either_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Either, call), READONLY, NULL},
    {"fallback", T_OBJECT_EX, offsetof(Either, fallback), READONLY, "the function in Python"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot either_slots[] = {
    {Py_tp_doc, (void *)"A function in C; what it does not do is left to ``fallback``."},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, either_traverse},
    {Py_tp_clear, either_clear},
    {Py_tp_dealloc, either_dealloc},
    {Py_tp_members, either_members},
    {0, NULL},
};

PyType_Spec either_spec = {
    .name = "coshelf._native.Either",
    .basicsize = sizeof(Either),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = either_slots,
};
