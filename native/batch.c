/* Gathers the entries of an update: many of them in one call. */

#include "native.h"

#define LARGEST_BODY ((1 << 20) - 1) /* larger bodies are left to Python, which puts large buffers into blobs */
#define OVERHEAD 200                 /* as in src/coshelf/mapping/gathering.py */
#define LONGEST_PAUSE 63             /* the most items in a row that are left to Python without an attempt */

/* --- gathering ----------------------------------------------------------------------------------------------------- */

/* The size of a new entry of plain data; 0 if it is left to Python, and -1 with an error set. */
static Py_ssize_t
put_plain(PyObject *into, PyObject *name, PyObject *value)
{
    if (PyByteArray_CheckExact(value)) {
        return 0;
    }
    PyObject *key = encode_key(name);
    PyObject *body = key == NULL ? NULL : plain_dumps(value);
    Py_ssize_t size = PyErr_Occurred() ? -1 : 0;
    if (body != NULL && PyBytes_GET_SIZE(body) <= LARGEST_BODY) {
        size = PyDict_SetItem(into, key, body) < 0 ? -1 : PyBytes_GET_SIZE(key) + PyBytes_GET_SIZE(body) + OVERHEAD;
    }
    Py_XDECREF(key);
    Py_XDECREF(body);
    return size;
}

static Py_ssize_t
gather_plain(PyObject *into, PyObject *item)
{
    if (!PyTuple_CheckExact(item) || PyTuple_GET_SIZE(item) != 2) {
        return 0;
    }
    return put_plain(into, PyTuple_GET_ITEM(item, 0), PyTuple_GET_ITEM(item, 1));
}

PyObject *
native_put_plain(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !PyDict_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "put_plain() takes a dict, a key and a value");
        return NULL;
    }
    Py_ssize_t size = put_plain(arguments[0], arguments[1], arguments[2]);
    return size < 0 ? NULL : PyBool_FromLong(size > 0);
}

static Py_ssize_t
gather_in_python(PyObject *store, PyObject *item)
{
    PyObject *result = PyObject_CallOneArg(store, item);
    if (result == NULL) {
        return -1;
    }
    Py_ssize_t size = PyLong_AsSsize_t(result);
    Py_DECREF(result);
    return size < 0 && !PyErr_Occurred() ? 0 : size;
}

PyObject *
native_gather(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *into, *items, *store;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(arguments, "O!OOn:gather", &PyDict_Type, &into, &items, &store, &most)) {
        return NULL;
    }
    if (!PyIter_Check(items)) {
        PyErr_SetString(PyExc_TypeError, "the items to gather are no iterator");
        return NULL;
    }
    unsigned pause = 0, left = 0;
    PyObject *item;
    while (most > 0 && (item = PyIter_Next(items)) != NULL) {
        Py_ssize_t size = 0;
        if (left) {
            left--;
        }
        else if ((size = gather_plain(into, item)) == 0) {
            left = pause;
            pause = pause * 2 + 1 < LONGEST_PAUSE ? pause * 2 + 1 : LONGEST_PAUSE;
        }
        else {
            pause = 0;
        }
        if (size == 0) {
            size = gather_in_python(store, item);
        }
        Py_DECREF(item);
        if (size < 0) {
            return NULL;
        }
        most -= size < most ? size : most;
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    return PyBool_FromLong(most <= 0);
}

/* --- adding -------------------------------------------------------------------------------------------------------- */

PyObject *
native_add_puts(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *into, *puts, *key, *body;
    if (!PyArg_ParseTuple(arguments, "O!O!:add_puts", &PyDict_Type, &into, &PyDict_Type, &puts)) {
        return NULL;
    }
    Py_ssize_t at = 0, size = 0;
    while (PyDict_Next(puts, &at, &key, &body)) {
        if (!PyBytes_CheckExact(key) || !PyBytes_CheckExact(body)) {
            Py_RETURN_NONE;
        }
        size += PyBytes_GET_SIZE(key) + PyBytes_GET_SIZE(body);
    }
    size += PyDict_GET_SIZE(puts) * OVERHEAD;
    if (into != puts && PyDict_Update(into, puts) < 0) {
        return NULL;
    }
    return PyLong_FromSsize_t(size);
}
