/* Sorts the puts of a batch, and seals their records. */

#include "native.h"

#define HEAD 8       /* bytes of a key that are compared as one number */
#define FEWEST 64    /* puts: fewer are sorted by merging alone */
#define DIGITS 256   /* values of a byte */

/* --- sorting ------------------------------------------------------------------------------------------------------- */

/* head: the bytes of the key behind those with which all keys begin. Most comparisons need no more. */
typedef struct {
    uint64_t head;
    PyObject *key;
    PyObject *body;
} Put;

static inline bool
is_less(const Put *left, const Put *right)
{
    if (left->head != right->head) {
        return left->head < right->head;
    }
    Py_ssize_t length = PyBytes_GET_SIZE(left->key), other = PyBytes_GET_SIZE(right->key);
    int order = memcmp(PyBytes_AS_STRING(left->key), PyBytes_AS_STRING(right->key),
                       (size_t)(length < other ? length : other));
    return order ? order < 0 : length < other;
}

static void
merge_sort(Put *puts, Put *spare, size_t count)
{
    if (count < 2) {
        return;
    }
    size_t half = count / 2;
    merge_sort(puts, spare, half);
    merge_sort(puts + half, spare, count - half);
    if (!is_less(&puts[half], &puts[half - 1])) {
        return;
    }
    memcpy(spare, puts, half * sizeof(Put));
    for (size_t left = 0, right = half, to = 0; left < half; to++) {
        puts[to] = right < count && is_less(&puts[right], &spare[left]) ? puts[right++] : spare[left++];
    }
}

/* Sort by the heads, one byte after another from the last. Bytes that are the same in all heads take no pass. */
static void
sort_by_heads(Put *puts, Put *spare, size_t count)
{
    size_t counts[HEAD][DIGITS] = {{0}};
    for (size_t i = 0; i < count; i++) {
        for (int digit = 0; digit < HEAD; digit++) {
            counts[digit][puts[i].head >> 8 * digit & 0xff]++;
        }
    }
    Put *from = puts, *to = spare;
    for (int digit = 0; digit < HEAD; digit++) {
        if (counts[digit][puts[0].head >> 8 * digit & 0xff] == count) {
            continue;
        }
        size_t place = 0;
        for (int value = 0; value < DIGITS; value++) {
            size_t have = counts[digit][value];
            counts[digit][value] = place;
            place += have;
        }
        for (size_t i = 0; i < count; i++) {
            to[counts[digit][from[i].head >> 8 * digit & 0xff]++] = from[i];
        }
        Put *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != puts) {
        memcpy(puts, from, count * sizeof(Put));
    }
}

static void
make_heads(Put *puts, size_t count)
{
    Py_ssize_t shared = PyBytes_GET_SIZE(puts[0].key);
    const char *first = PyBytes_AS_STRING(puts[0].key);
    for (size_t i = 1; i < count; i++) {
        const char *key = PyBytes_AS_STRING(puts[i].key);
        Py_ssize_t length = PyBytes_GET_SIZE(puts[i].key), at = 0;
        while (at < shared && at < length && key[at] == first[at]) {
            at++;
        }
        shared = at;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *key = (const uint8_t *)PyBytes_AS_STRING(puts[i].key);
        Py_ssize_t length = PyBytes_GET_SIZE(puts[i].key);
        puts[i].head = 0;
        for (Py_ssize_t at = shared; at < shared + HEAD; at++) {
            puts[i].head = puts[i].head << 8 | (at < length ? key[at] : 0);
        }
    }
}

/* ``spare`` has room for as many puts. */
static void
sort_puts(Put *puts, Put *spare, size_t count)
{
    make_heads(puts, count);
    if (count < FEWEST) {
        merge_sort(puts, spare, count);
        return;
    }
    sort_by_heads(puts, spare, count);
    for (size_t start = 0, end; start < count; start = end) { /* puts with the same head */
        for (end = start + 1; end < count && puts[end].head == puts[start].head; end++) {
        }
        merge_sort(puts + start, spare, end - start);
    }
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

static void
free_puts(Put *puts, size_t from, size_t count)
{
    for (size_t i = from; i < count; i++) {
        Py_DECREF(puts[i].key);
        Py_DECREF(puts[i].body);
    }
    PyMem_Free(puts);
}

/* The puts of a dict in the order of their keys, which free_puts() frees; NULL with an error set. */
static Put *
puts_in_order(PyObject *table, size_t *count)
{
    if (!PyDict_Check(table)) {
        PyErr_SetString(PyExc_TypeError, "puts are a dict");
        return NULL;
    }
    size_t most = (size_t)PyDict_GET_SIZE(table), taken = 0;
    Put *puts = PyMem_New(Put, most ? most : 1), *spare = puts == NULL ? NULL : PyMem_New(Put, most ? most : 1);
    if (spare == NULL) {
        PyMem_Free(puts);
        PyErr_NoMemory();
        return NULL;
    }
    PyObject *key, *body;
    Py_ssize_t at = 0;
    while (taken < most && PyDict_Next(table, &at, &key, &body)) {
        if (check_bytes(key, body) < 0) {
            PyMem_Free(spare);
            free_puts(puts, 0, taken);
            return NULL;
        }
        puts[taken++] = (Put){0, Py_NewRef(key), Py_NewRef(body)};
    }
    if (taken > 1) {
        sort_puts(puts, spare, taken);
    }
    PyMem_Free(spare);
    *count = taken;
    return puts;
}

PyObject *
native_in_order(PyObject *Py_UNUSED(module), PyObject *table)
{
    size_t count;
    Put *puts = puts_in_order(table, &count);
    PyObject *rows = puts == NULL ? NULL : PyList_New((Py_ssize_t)count);
    for (size_t i = 0; rows != NULL && i < count; i++) {
        PyObject *row = PyTuple_Pack(2, puts[i].key, puts[i].body);
        if (row == NULL) {
            Py_CLEAR(rows);
            break;
        }
        PyList_SET_ITEM(rows, (Py_ssize_t)i, row);
    }
    if (puts != NULL) {
        free_puts(puts, 0, count);
    }
    return rows;
}

/* --- sealing ------------------------------------------------------------------------------------------------------- */

static int
number_of(PyObject *sequence, uint8_t *number)
{
    uint64_t value = PyLong_AsUnsignedLongLong(sequence);
    for (int i = 0; i < 8; i++) {
        number[i] = (uint8_t)(value >> 8 * i);
    }
    return PyErr_Occurred() ? -1 : 0;
}

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
    uint8_t number[8];
    if (number_of(sequence, number) < 0) {
        return NULL;
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

/* --- both ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Put *puts;
    size_t count;
    size_t at; /* the puts before it have been given out, and are freed */
    size_t most;
    uint8_t number[8];
} SealedPages;

static PyObject *
pages_next(SealedPages *self)
{
    size_t left = self->count - self->at, size = left < self->most ? left : self->most;
    PyObject *page = size ? PyList_New(0) : NULL;
    while (page != NULL && size-- && self->at < self->count) {
        Put *put = &self->puts[self->at++]; /* first: making a row may run a finalizer, which may take the next page */
        PyObject *key = put->key, *body = put->body, *row = sealed_row(key, body, self->number);
        Py_DECREF(key);
        Py_DECREF(body);
        if (row == NULL || PyList_Append(page, row) < 0) {
            Py_CLEAR(page);
        }
        Py_XDECREF(row);
    }
    return page;
}

static PyObject *
pages_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"puts", "sequence", "most", NULL};
    PyObject *table, *sequence;
    Py_ssize_t most;
    uint8_t number[8];
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOn:SealedPages", names, &table, &sequence, &most)
        || number_of(sequence, number) < 0) {
        return NULL;
    }
    if (most < 1) {
        PyErr_SetString(PyExc_ValueError, "a page has one row at least");
        return NULL;
    }
    size_t count;
    Put *puts = puts_in_order(table, &count);
    SealedPages *self = puts == NULL ? NULL : (SealedPages *)type->tp_alloc(type, 0);
    if (self == NULL) {
        if (puts != NULL) {
            free_puts(puts, 0, count);
        }
        return NULL;
    }
    self->puts = puts;
    self->count = count;
    self->most = (size_t)most;
    memcpy(self->number, number, sizeof(number));
    return (PyObject *)self;
}

static void
pages_dealloc(SealedPages *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->puts != NULL) {
        free_puts(self->puts, self->at, self->count);
    }
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

PyDoc_STRVAR(pages_doc,
"SealedPages(puts, sequence, most)\n--\n\n"
"As :func:`coshelf.engines.lmdb.spooled.sealed_pages`.");

static PyType_Slot pages_slots[] = {
    {Py_tp_doc, (void *)pages_doc},
    {Py_tp_new, pages_new},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, pages_next},
    {Py_tp_dealloc, pages_dealloc},
    {0, NULL},
};

PyType_Spec sealed_pages_spec = {
    .name = "coshelf._native.SealedPages",
    .basicsize = sizeof(SealedPages),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pages_slots,
};
