/* Input: a byte that says which allocation fails (below 128: none), and a pickle.
 *
 * Where plain_loads() gives a value, pickle.loads() gives an equal one, with the same shared references. What loads()
 * takes in memory is bounded by the size of the pickle. plain_dumps() writes the value as pickle.dumps() does.
 */

#include "harness.h"

#define MOST_MEMORY(size) (512 * (size) + 16384)

static PyObject *loads, *dumps;

void
prepare(void)
{
    loads = function_of("pickle", "loads");
    dumps = function_of("pickle", "dumps");
}

/* Whether the pickle may have a NaN in a set, where its hash, and so the order, depends on its address. */
static bool
has_unordered(const uint8_t *data, size_t size)
{
    bool set = memchr(data, 0x8f, size) != NULL || memchr(data, 0x91, size) != NULL;
    for (size_t i = 0; set && i + 2 < size; i++) {
        if (data[i] == 'G' && (data[i + 1] & 0x7f) == 0x7f && data[i + 2] >= 0xf0) {
            return true;
        }
    }
    return false;
}

static PyObject *
pickled(PyObject *value)
{
    return needed(PyObject_CallFunction(dumps, "Oi", value, 5), "pickle cannot write a plain value");
}

static void
must_be_same_bytes(PyObject *one, PyObject *other, const char *what)
{
    if (PyBytes_GET_SIZE(one) != PyBytes_GET_SIZE(other)
        || memcmp(PyBytes_AS_STRING(one), PyBytes_AS_STRING(other), (size_t)PyBytes_GET_SIZE(one))) {
        finding(what);
    }
}

static void
try_value(PyObject *found, const uint8_t *data, size_t size)
{
    PyObject *expected = needed(PyObject_CallFunction(loads, "y#", (const char *)data, (Py_ssize_t)size),
                                "pickle.loads() refuses what loads() takes");
    PyObject *of_found = pickled(found), *of_expected = pickled(expected);
    if (!has_unordered(data, size)) {
        must_be_same_bytes(of_found, of_expected, "loads() gives another value than pickle.loads()");
    }
    PyObject *written = plain_dumps(found);
    if (written != NULL) {
        must_be_same_bytes(written, of_found, "dumps() gives other bytes than pickle.dumps()");
        Py_DECREF(written);
    }
    Py_DECREF(expected);
    Py_DECREF(of_found);
    Py_DECREF(of_expected);
}

static void
clear_memory_error(unsigned failing)
{
    if (PyErr_Occurred()) {
        if (!failing || !PyErr_ExceptionMatches(PyExc_MemoryError)) {
            finding("an error that is no lack of memory");
        }
        PyErr_Clear();
    }
}

void
try_input(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return;
    }
    unsigned failing = data[0] < 128 ? 0 : data[0] - 127u;
    data++;
    size--;
    watch_memory(failing);
    PyObject *found = plain_loads(data, (Py_ssize_t)size);
    if (memory_used() > MOST_MEMORY(size)) {
        finding("loads() takes more memory than its bound");
    }
    clear_memory_error(failing);
    if (found == NULL) {
        return;
    }
    try_value(found, data, size);
    watch_memory(failing);
    PyObject *written = plain_dumps(found);
    memory_used();
    clear_memory_error(failing);
    Py_XDECREF(written);
    Py_DECREF(found);
}
