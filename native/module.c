/* coshelf._native: what the hot paths of coshelf do in C. Each function has a twin in Python. */

#include "native.h"

static PyObject *
not_plain(PyObject *result)
{
    if (result == NULL && !PyErr_Occurred()) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return result;
}

PyDoc_STRVAR(dumps_doc,
"dumps(value, /)\n--\n\n"
"What ``pickle.dumps(value, 5)`` gives for plain data; ``NotImplemented`` for everything else.");

static PyObject *
native_dumps(PyObject *module, PyObject *value)
{
    (void)module;
    return not_plain(plain_dumps(value));
}

PyDoc_STRVAR(encode_key_doc,
"encode_key(key, /)\n--\n\n"
"What ``coshelf.keys.encode`` gives, for most keys; ``NotImplemented`` for others, and for what is no key.");

static PyObject *
native_encode_key(PyObject *module, PyObject *key)
{
    (void)module;
    return not_plain(encode_key(key));
}

PyDoc_STRVAR(loads_doc,
"loads(data, /)\n--\n\n"
"The value of a pickle of plain data; ``NotImplemented`` for everything else, and for what is damaged.");

/* Call a function with the bytes of an object. */
static PyObject *
with_bytes(PyObject *data, PyObject *(*function)(const uint8_t *, Py_ssize_t))
{
    if (PyBytes_CheckExact(data)) {
        return not_plain(function((const uint8_t *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)));
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *result = not_plain(function(view.buf, view.len));
    PyBuffer_Release(&view);
    return result;
}

static PyObject *
native_loads(PyObject *module, PyObject *data)
{
    (void)module;
    return with_bytes(data, plain_loads);
}

PyDoc_STRVAR(decode_key_doc,
"decode_key(data, /)\n--\n\n"
"What ``coshelf.keys.decode`` gives, for most keys; ``NotImplemented`` for others, and for what is damaged.");

static PyObject *
native_decode_key(PyObject *module, PyObject *data)
{
    (void)module;
    return with_bytes(data, decode_key);
}

static PyMethodDef methods[] = {
    {"dumps", native_dumps, METH_O, dumps_doc},
    {"encode_key", native_encode_key, METH_O, encode_key_doc},
    {"decode_key", native_decode_key, METH_O, decode_key_doc},
    {"loads", native_loads, METH_O, loads_doc},
    {NULL, NULL, 0, NULL},
};

static int
add_types(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &base_reader_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int failed = PyModule_AddObjectRef(module, "BaseReader", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_types},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "coshelf._native",
    .m_doc = "What the hot paths of coshelf do in C.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
