/* coshelf._native: the hot paths of coshelf in C. src/coshelf/native.py describes the module and gives access to it. */

#include "native.h"

#include "platform.h"

typedef struct {
    PyTypeObject *either;
} State;

static PyObject *
with_bytes(PyObject *data, PyObject *(*function)(const uint8_t *, Py_ssize_t))
{
    if (PyBytes_CheckExact(data)) {
        return function((const uint8_t *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        if (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_BufferError)) {
            PyErr_Clear(); /* the function in Python raises the error */
        }
        return NULL;
    }
    PyObject *result = function(view.buf, view.len);
    PyBuffer_Release(&view);
    return result;
}

static PyObject *
loads_of(PyObject *data)
{
    return with_bytes(data, plain_loads);
}

static PyObject *
decode_key_of(PyObject *data)
{
    return with_bytes(data, decode_key);
}

/* --- functions with one in Python behind them ---------------------------------------------------------------------- */

static const struct {
    const char *name;
    Attempt attempt;
} attempts[] = {
    {"dumps", plain_dumps},
    {"loads", loads_of},
    {"encode_key", encode_key},
    {"decode_key", decode_key_of},
};

PyDoc_STRVAR(either_doc,
"either(name, fallback, /)\n--\n\n"
"A function that does what ``fallback`` does, most of it in C. ``name`` is dumps, loads, encode_key or decode_key.");

static PyObject *
native_either(PyObject *module, PyObject *arguments)
{
    const char *name;
    PyObject *fallback;
    if (!PyArg_ParseTuple(arguments, "sO:either", &name, &fallback)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        if (strcmp(name, attempts[i].name) == 0) {
            return make_either(((State *)PyModule_GetState(module))->either, attempts[i].attempt, fallback);
        }
    }
    PyErr_Format(PyExc_ValueError, "unknown function %s", name);
    return NULL;
}

PyDoc_STRVAR(either_under_doc,
"either_under(name, start, fallback, /)\n--\n\n"
"As either(), for keys of a namespace. ``start`` is what the bytes of its texts begin with.");

static PyObject *
native_either_under(PyObject *module, PyObject *arguments)
{
    const char *name;
    PyObject *start, *fallback;
    if (!PyArg_ParseTuple(arguments, "sSO:either_under", &name, &start, &fallback)) {
        return NULL;
    }
    bool encodes = strcmp(name, "encode_key") == 0;
    if (!encodes && strcmp(name, "decode_key") != 0) {
        PyErr_Format(PyExc_ValueError, "unknown function %s", name);
        return NULL;
    }
    return make_either_under(((State *)PyModule_GetState(module))->either,
                             encodes ? encode_key_under : decode_key_under, start, fallback);
}

/* --- records ------------------------------------------------------------------------------------------------------- */

static int
two_buffers(PyObject *const *arguments, Py_ssize_t count, const char *name, Py_buffer *first, Py_buffer *second)
{
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "%s() takes 2 arguments, not %zd", name, count);
        return -1;
    }
    if (PyObject_GetBuffer(arguments[0], first, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    if (PyObject_GetBuffer(arguments[1], second, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(first);
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(checksum_doc, "checksum(key, body, /)\n--\n\nAs :func:`coshelf.records.checksum`.");

static PyObject *
native_checksum(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    Py_buffer key, body;
    if (two_buffers(arguments, count, "checksum", &key, &body) < 0) {
        return NULL;
    }
    PyThreadState *others = body.len > LARGEST_COPIED ? PyEval_SaveThread() : NULL;
    uint32_t found = checksum(body.buf, (size_t)body.len, checksum(key.buf, (size_t)key.len, 0));
    if (others != NULL) {
        PyEval_RestoreThread(others);
    }
    PyBuffer_Release(&key);
    PyBuffer_Release(&body);
    return PyLong_FromUnsignedLong(found);
}

PyDoc_STRVAR(is_intact_doc, "is_intact(key, record, /)\n--\n\nAs :func:`coshelf.records.is_intact`.");

static PyObject *
native_is_intact(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    Py_buffer key, record;
    if (two_buffers(arguments, count, "is_intact", &key, &record) < 0) {
        return NULL;
    }
    PyThreadState *others = record.len > LARGEST_COPIED ? PyEval_SaveThread() : NULL;
    bool found = is_intact(key.buf, (size_t)key.len, record.buf, (size_t)record.len);
    if (others != NULL) {
        PyEval_RestoreThread(others);
    }
    PyBuffer_Release(&key);
    PyBuffer_Release(&record);
    return PyBool_FromLong(found);
}

/* --- batches ------------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(gather_doc,
"gather(into, items, store, most, /)\n--\n\n"
"As the loop of :func:`coshelf.mapping.gathering.gathered`. ``store`` stores the items that are not plain data.");

PyDoc_STRVAR(in_order_doc, "in_order(puts, /)\n--\n\nAs :func:`coshelf.engines.lmdb.spooled.in_order`.");

PyDoc_STRVAR(add_puts_doc, "add_puts(into, puts, /)\n--\n\nAs :func:`coshelf.engines.lmdb.spooled.add_puts`.");

PyDoc_STRVAR(put_plain_doc,
"put_plain(into, key, value, /)\n--\n\n"
"Encode and pickle an entry of plain data, and add it to a dict. Returns whether it is plain data.");

PyDoc_STRVAR(sealed_doc, "sealed(rows, sequence, /)\n--\n\nAs :func:`coshelf.records.sealed`.");

PyDoc_STRVAR(page_checksums_doc,
"page_checksums(pages, size, /)\n--\n\nAs :func:`coshelf.engines.lmdb.pages.closing_stamp.page_checksums`.");

PyDoc_STRVAR(checksum_of_pages_doc,
"checksum_of_pages(descriptor, numbers, size, kind, start, /)\n--\n\n"
"As :func:`coshelf.engines.lmdb.pages.inner_pages.checksum_of_pages`.");

PyDoc_STRVAR(make_lines_doc,
"make_lines(memory, boot, token, /)\n--\n\n"
"Make an empty table of turns in zeros. ``token`` is less than that of its first turn.");

/* --- the module ---------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"either", native_either, METH_VARARGS, either_doc},
    {"checksum", (PyCFunction)(void (*)(void))native_checksum, METH_FASTCALL, checksum_doc},
    {"is_intact", (PyCFunction)(void (*)(void))native_is_intact, METH_FASTCALL, is_intact_doc},
    {"either_under", native_either_under, METH_VARARGS, either_under_doc},
    {"gather", native_gather, METH_VARARGS, gather_doc},
    {"in_order", native_in_order, METH_O, in_order_doc},
    {"sealed", native_sealed, METH_VARARGS, sealed_doc},
    {"page_checksums", native_page_checksums, METH_VARARGS, page_checksums_doc},
    {"add_puts", native_add_puts, METH_VARARGS, add_puts_doc},
    {"put_plain", (PyCFunction)(void (*)(void))native_put_plain, METH_FASTCALL, put_plain_doc},
    {"checksum_of_pages", native_checksum_of_pages, METH_VARARGS, checksum_of_pages_doc},
    {"make_lines", native_make_lines, METH_VARARGS, make_lines_doc},
    {NULL, NULL, 0, NULL},
};

/* The classes that Python finds in the module. */
static const struct {
    const char *name;
    PyType_Spec *spec;
} classes[] = {
    {"BaseReader", &base_reader_spec},
    {"Log", &log_spec},
    {"PageItems", &page_items_spec},
    {"ProcessLock", &process_lock_spec},
    {"Hold", &hold_spec},
    {"SealedPages", &sealed_pages_spec},
    {"Lines", &lines_spec},
    {"LinePlace", &line_place_spec},
};

static int
fill(PyObject *module)
{
    checksum((const uint8_t *)"", 0, 0); /* its table is made before another thread can fork in the middle of it */
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        PyObject *class = PyType_FromModuleAndSpec(module, classes[i].spec, NULL);
        int failed = class == NULL ? -1 : PyModule_AddObjectRef(module, classes[i].name, class);
        Py_XDECREF(class);
        if (failed < 0) {
            return -1;
        }
    }
    PyObject *kind = lines_mutex_kind();
    int failed = kind == NULL ? -1 : PyModule_AddObjectRef(module, "mutex_kind", kind);
    Py_XDECREF(kind);
    if (failed < 0 || PyModule_AddStringConstant(module, "lacks", platform_lacks()) < 0) {
        return -1;
    }
    State *state = PyModule_GetState(module);
    state->either = (PyTypeObject *)PyType_FromModuleAndSpec(module, &either_spec, NULL);
    return state->either == NULL ? -1 : 0;
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(((State *)PyModule_GetState(module))->either);
    return 0;
}

static int
clear(PyObject *module)
{
    Py_CLEAR(((State *)PyModule_GetState(module))->either);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, fill},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "coshelf._native",
    .m_doc = "What the hot paths of coshelf do in C.",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
