/* Input: an encoded key. Where decode_key() gives a key, Python's functions decode it to the same and encode it so. */

#include "harness.h"

static PyObject *encode, *decode;

void
prepare(void)
{
    encode = function_of("coshelf.keys", "encode");
    decode = function_of("coshelf.keys", "decode");
}

static bool
same_text(PyObject *one, PyObject *other)
{
    PyObject *first = needed(PyObject_Repr(one), "a key has no text");
    PyObject *second = needed(PyObject_Repr(other), "a key has no text");
    bool same = PyUnicode_Compare(first, second) == 0;
    Py_DECREF(first);
    Py_DECREF(second);
    return same;
}

static void
must_be(PyObject *encoded, const uint8_t *data, size_t size, const char *what)
{
    if ((size_t)PyBytes_GET_SIZE(encoded) != size || memcmp(PyBytes_AS_STRING(encoded), data, size)) {
        finding(what);
    }
}

void
try_input(const uint8_t *data, size_t size)
{
    PyObject *found = decode_key(data, (Py_ssize_t)size);
    if (found == NULL) {
        return;
    }
    PyObject *expected = needed(PyObject_CallFunction(decode, "y#", (const char *)data, (Py_ssize_t)size),
                                "Python refuses an encoded key that C takes");
    if (!same_text(found, expected)) {
        finding("C decodes another key than Python");
    }
    PyObject *by_python = needed(PyObject_CallOneArg(encode, found), "Python cannot encode a key that C decoded");
    PyObject *by_c = encode_key(found);
    must_be(by_python, data, size, "Python encodes a key in another way than it was");
    if (by_c != NULL) {
        must_be(by_c, data, size, "C encodes a key in another way than it was");
        Py_DECREF(by_c);
    }
    Py_DECREF(by_python);
    Py_DECREF(expected);
    Py_DECREF(found);
}
