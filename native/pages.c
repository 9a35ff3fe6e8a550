/* Iterates over the items of pages of rows: src/coshelf/values/pickled.py has the same in Python.
 *
 * A row is an encoded key and its record. If the record is intact and its value is plain data, the value is loaded here.
 * Everything else is left to functions in Python, for this row alone. Rows are taken from a page one at a time, because
 * closing the reader empties the page, and no row may be given out after that.
 */

#include "native.h"

#define PICKLE 0x80
#define LONGEST_PAUSE 63 /* the most records in a row that go to Python without an attempt */

typedef struct {
    PyObject_HEAD
    PyObject *decode;   /* makes a key of its bytes */
    PyObject *load;     /* makes a value of any key, its bytes and its record, or raises the right error */
    PyObject *unpickle; /* makes a value of an intact record that begins with a pickle */
    PyObject *foreign;  /* what decode returns for a row to leave out */
    PyObject *pages;    /* NULL at the end */
    PyObject *page;     /* NULL between two pages */
    Py_ssize_t at;
    bool is_running; /* a second step within a step would lose rows: it is refused, as a generator refuses it */
    unsigned pause; /* how many records skip the attempt after the next failure */
    unsigned left;  /* how many more records skip the attempt now */
    Texts texts;
} PageItems;

/* --- one row ------------------------------------------------------------------------------------------------------- */

static bool
is_intact_pickle(PyObject *encoded, PyObject *record)
{
    if (!PyBytes_CheckExact(encoded) || !PyBytes_CheckExact(record) || PyBytes_GET_SIZE(record) > LARGEST_COPIED) {
        return false;
    }
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(record);
    return is_intact((const uint8_t *)PyBytes_AS_STRING(encoded), (size_t)PyBytes_GET_SIZE(encoded), bytes,
                     (size_t)PyBytes_GET_SIZE(record))
           && bytes[0] == PICKLE;
}

/* The value of an intact pickle. After attempts in vain the next records go to Python at once, as in either.c. */
static PyObject *
unpickled(PageItems *self, PyObject *record)
{
    if (self->left) {
        self->left--;
    }
    else {
        PyObject *value = plain_loads_sharing(&self->texts, (const uint8_t *)PyBytes_AS_STRING(record),
                                              PyBytes_GET_SIZE(record));
        if (value != NULL || PyErr_Occurred()) {
            self->pause = 0;
            return value;
        }
        self->left = self->pause;
        self->pause = self->pause * 2 + 1 < LONGEST_PAUSE ? self->pause * 2 + 1 : LONGEST_PAUSE;
    }
    return PyObject_CallOneArg(self->unpickle, record);
}

static PyObject *
value_of(PageItems *self, PyObject *key, PyObject *encoded, PyObject *record)
{
    if (is_intact_pickle(encoded, record)) {
        PyObject *value = unpickled(self, record);
        if (value != NULL || !PyErr_ExceptionMatches(PyExc_Exception)) {
            return value;
        }
        PyErr_Clear(); /* load raises the error in the words of coshelf */
    }
    PyObject *arguments[] = {key, encoded, record};
    return PyObject_Vectorcall(self->load, arguments, 3, NULL);
}

/* The item of a row; a new reference to ``foreign`` for a row to leave out. */
static PyObject *
item_of(PageItems *self, PyObject *row)
{
    if (!PyTuple_CheckExact(row) || PyTuple_GET_SIZE(row) != 2) {
        PyErr_SetString(PyExc_TypeError, "a row of a page is a tuple of key and record");
        return NULL;
    }
    PyObject *encoded = PyTuple_GET_ITEM(row, 0), *record = PyTuple_GET_ITEM(row, 1);
    PyObject *key = PyObject_CallOneArg(self->decode, encoded);
    if (key == NULL || key == self->foreign) {
        return key;
    }
    PyObject *value = value_of(self, key, encoded, record);
    PyObject *item = value == NULL ? NULL : PyTuple_New(2);
    if (item == NULL) {
        Py_DECREF(key);
        Py_XDECREF(value);
        return NULL;
    }
    PyTuple_SET_ITEM(item, 0, key);
    PyTuple_SET_ITEM(item, 1, value);
    return item;
}

/* --- the iterator -------------------------------------------------------------------------------------------------- */

/* The next row, a new reference; NULL at the end, or with an error. */
static PyObject *
next_row(PageItems *self)
{
    while (self->page == NULL || self->at >= PyList_GET_SIZE(self->page)) {
        Py_CLEAR(self->page);
        PyObject *page = self->pages == NULL ? NULL : PyIter_Next(self->pages);
        if (page == NULL) {
            return NULL;
        }
        if (!PyList_CheckExact(page)) {
            Py_SETREF(page, PySequence_List(page));
            if (page == NULL) {
                return NULL;
            }
        }
        Py_XSETREF(self->page, page);
        self->at = 0;
    }
    return Py_NewRef(PyList_GET_ITEM(self->page, self->at++));
}

static PyObject *
next_item(PageItems *self)
{
    PyObject *row;
    while ((row = next_row(self)) != NULL) {
        PyObject *item = item_of(self, row);
        Py_DECREF(row);
        if (item != NULL && item != self->foreign) {
            return item;
        }
        if (item == NULL) {
            break;
        }
        Py_DECREF(item);
    }
    PyObject *kind, *error, *traceback; /* the pages may run code when they are freed */
    PyErr_Fetch(&kind, &error, &traceback);
    Py_CLEAR(self->pages);
    Py_CLEAR(self->page);
    PyErr_Restore(kind, error, traceback);
    return NULL;
}

static PyObject *
items_next(PageItems *self)
{
    if (self->is_running) {
        PyErr_SetString(PyExc_ValueError, "these items are in the middle of a step");
        return NULL;
    }
    self->is_running = true;
    PyObject *item = next_item(self);
    self->is_running = false;
    return item;
}

static PyObject *
items_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"decode", "pages", "load", "unpickle", "foreign", NULL};
    PyObject *decode, *pages, *load, *unpickle, *foreign;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOOO:PageItems", names, &decode, &pages, &load, &unpickle,
                                     &foreign)) {
        return NULL;
    }
    PyObject *iterator = PyObject_GetIter(pages);
    if (iterator == NULL) {
        return NULL;
    }
    PageItems *self = (PageItems *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(iterator);
        return NULL;
    }
    self->decode = Py_NewRef(decode);
    self->load = Py_NewRef(load);
    self->unpickle = Py_NewRef(unpickle);
    self->foreign = Py_NewRef(foreign);
    self->pages = iterator;
    return (PyObject *)self;
}

static int
items_traverse(PageItems *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->decode);
    Py_VISIT(self->load);
    Py_VISIT(self->unpickle);
    Py_VISIT(self->foreign);
    Py_VISIT(self->pages);
    Py_VISIT(self->page);
    return 0;
}

static int
items_clear(PageItems *self)
{
    Py_CLEAR(self->decode);
    Py_CLEAR(self->load);
    Py_CLEAR(self->unpickle);
    Py_CLEAR(self->foreign);
    Py_CLEAR(self->pages);
    Py_CLEAR(self->page);
    return 0;
}

static void
items_dealloc(PageItems *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    items_clear(self);
    forget_texts(&self->texts);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

PyDoc_STRVAR(items_doc,
"PageItems(decode, pages, load, unpickle, foreign)\n--\n\n"
"The keys and values of pages of rows. ``load`` and ``unpickle`` load the values that are not plain data.");

static PyType_Slot items_slots[] = {
    {Py_tp_doc, (void *)items_doc},
    {Py_tp_new, items_new},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, items_next},
    {Py_tp_traverse, items_traverse},
    {Py_tp_clear, items_clear},
    {Py_tp_dealloc, items_dealloc},
    {0, NULL},
};

PyType_Spec page_items_spec = {
    .name = "coshelf._native.PageItems",
    .basicsize = sizeof(PageItems),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = items_slots,
};
