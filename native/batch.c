/* Many entries in one call: gathering the entries of an update, sorting them, and sealing their records. */

#include "native.h"

#include <stdlib.h>

#define LARGEST_BODY ((1 << 20) - 1) /* larger bodies are left to Python, which puts large buffers into blobs */
#define OVERHEAD 200                 /* as in src/coshelf/mapping/gathering.py */
#define LONGEST_PAUSE 63             /* the most items in a row that are left to Python without an attempt */
#define TRAILER 12
#define HEAD 8

/* --- gathering ----------------------------------------------------------------------------------------------------- */

/* The size of a new entry of plain data; 0 if it is left to Python, and -1 with an error set. */
static Py_ssize_t
gather_plain(PyObject *into, PyObject *item)
{
    if (!PyTuple_CheckExact(item) || PyTuple_GET_SIZE(item) != 2) {
        return 0;
    }
    PyObject *value = PyTuple_GET_ITEM(item, 1);
    if (PyByteArray_CheckExact(value)) {
        return 0;
    }
    PyObject *key = encode_key(PyTuple_GET_ITEM(item, 0));
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

/* --- sorting ------------------------------------------------------------------------------------------------------- */

/* head: the bytes of the key behind those with which all keys begin. Most comparisons need no more. */
typedef struct {
    uint64_t head;
    PyObject *key;
    PyObject *body;
} Put;

static int
compare_puts(const void *first, const void *second)
{
    const Put *a = first, *b = second;
    if (a->head != b->head) {
        return a->head < b->head ? -1 : 1;
    }
    Py_ssize_t length = PyBytes_GET_SIZE(a->key), other = PyBytes_GET_SIZE(b->key);
    int order = memcmp(PyBytes_AS_STRING(a->key), PyBytes_AS_STRING(b->key), (size_t)(length < other ? length : other));
    return order ? order : (length > other) - (length < other);
}

static void
sort_puts(Put *puts, Py_ssize_t count)
{
    Py_ssize_t shared = PyBytes_GET_SIZE(puts[0].key);
    const char *first = PyBytes_AS_STRING(puts[0].key);
    for (Py_ssize_t i = 1; i < count; i++) {
        const char *key = PyBytes_AS_STRING(puts[i].key);
        Py_ssize_t length = PyBytes_GET_SIZE(puts[i].key), at = 0;
        while (at < shared && at < length && key[at] == first[at]) {
            at++;
        }
        shared = at;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const uint8_t *key = (const uint8_t *)PyBytes_AS_STRING(puts[i].key);
        Py_ssize_t length = PyBytes_GET_SIZE(puts[i].key);
        puts[i].head = 0;
        for (Py_ssize_t at = shared; at < shared + HEAD; at++) {
            puts[i].head = puts[i].head << 8 | (at < length ? key[at] : 0);
        }
    }
    qsort(puts, (size_t)count, sizeof(Put), compare_puts);
}

static int
check_bytes(PyObject *key, PyObject *body)
{
    if (PyBytes_Check(key) && PyBytes_Check(body)) {
        return 0;
    }
    PyErr_SetString(PyExc_TypeError, "keys and bodies are bytes");
    return -1;
}

PyObject *
native_in_order(PyObject *Py_UNUSED(module), PyObject *table)
{
    if (!PyDict_Check(table)) {
        PyErr_SetString(PyExc_TypeError, "in_order() takes a dict");
        return NULL;
    }
    Py_ssize_t count = PyDict_GET_SIZE(table), taken = 0, at = 0;
    Put *puts = PyMem_New(Put, count ? count : 1);
    if (puts == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *key, *body, *rows = NULL;
    bool failed = false;
    while (!failed && taken < count && PyDict_Next(table, &at, &key, &body)) {
        failed = check_bytes(key, body) < 0;
        if (!failed) {
            puts[taken].key = Py_NewRef(key);
            puts[taken++].body = Py_NewRef(body);
        }
    }
    if (!failed) {
        if (taken > 1) {
            sort_puts(puts, taken);
        }
        rows = PyList_New(taken);
    }
    for (Py_ssize_t i = 0; rows != NULL && i < taken; i++) {
        PyObject *row = PyTuple_Pack(2, puts[i].key, puts[i].body);
        if (row == NULL) {
            Py_CLEAR(rows);
            break;
        }
        PyList_SET_ITEM(rows, i, row);
    }
    for (Py_ssize_t i = 0; i < taken; i++) {
        Py_DECREF(puts[i].key);
        Py_DECREF(puts[i].body);
    }
    PyMem_Free(puts);
    return rows;
}

/* --- sealing ------------------------------------------------------------------------------------------------------- */

static PyObject *
sealed_row(PyObject *key, PyObject *body, const uint8_t *number)
{
    Py_ssize_t length = PyBytes_GET_SIZE(body);
    if (length > PY_SSIZE_T_MAX - TRAILER - (Py_ssize_t)sizeof(PyBytesObject)) {
        return PyErr_NoMemory();
    }
    PyObject *record = PyBytes_FromStringAndSize(NULL, length + TRAILER);
    if (record == NULL) {
        return NULL;
    }
    uint8_t *bytes = (uint8_t *)PyBytes_AS_STRING(record);
    const uint8_t *name = (const uint8_t *)PyBytes_AS_STRING(key);
    size_t name_length = (size_t)PyBytes_GET_SIZE(key);
    PyThreadState *others = length > LARGEST_COPIED ? PyEval_SaveThread() : NULL;
    memcpy(bytes, PyBytes_AS_STRING(body), (size_t)length);
    memcpy(bytes + length, number, 8);
    uint32_t sum = checksum(bytes, (size_t)length + 8, checksum(name, name_length, 0));
    for (int i = 0; i < 4; i++) {
        bytes[length + 8 + i] = (uint8_t)(sum >> 8 * i);
    }
    if (others != NULL) {
        PyEval_RestoreThread(others);
    }
    PyObject *row = PyTuple_Pack(2, key, record);
    Py_DECREF(record);
    return row;
}

PyObject *
native_sealed(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *rows, *sequence;
    if (!PyArg_ParseTuple(arguments, "O!O:sealed", &PyList_Type, &rows, &sequence)) {
        return NULL;
    }
    uint64_t value = PyLong_AsUnsignedLongLong(sequence);
    if (PyErr_Occurred()) {
        return NULL;
    }
    uint8_t number[8];
    for (int i = 0; i < 8; i++) {
        number[i] = (uint8_t)(value >> 8 * i);
    }
    PyObject *result = PyList_New(0);
    for (Py_ssize_t i = 0; result != NULL && i < PyList_GET_SIZE(rows); i++) {
        PyObject *row = Py_NewRef(PyList_GET_ITEM(rows, i)), *made = NULL;
        if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != 2) {
            PyErr_SetString(PyExc_TypeError, "a row is a key and a body");
        }
        else if (check_bytes(PyTuple_GET_ITEM(row, 0), PyTuple_GET_ITEM(row, 1)) == 0) {
            made = sealed_row(PyTuple_GET_ITEM(row, 0), PyTuple_GET_ITEM(row, 1), number);
        }
        if (made == NULL || PyList_Append(result, made) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(made);
        Py_DECREF(row);
    }
    return result;
}
