/* Keys as bytes whose order is the order of the keys. src/coshelf/keys.py has the format, and the rare cases.
 *
 * This file does str, bytes, None, bool, integers of up to eight bytes, and tuples of these. It leaves all other keys
 * to Python. It also leaves damaged keys to Python, which raises the error for them.
 */

#include "native.h"

#define TAG_NONE 0x10
#define TAG_ZERO 0x1c
#define TAG_STR 0x30
#define TAG_BYTES 0x38
#define TAG_TUPLE 0x40
#define MOST_NESTED 100
#define SHORT 256 /* bytes of a key that needs no allocation */

/* --- encoding ------------------------------------------------------------------------------------------------------ */

typedef struct {
    uint8_t *data;
    Py_ssize_t size, room;
    uint8_t first[SHORT];
} Output;

static uint8_t *
more(Output *self, Py_ssize_t length)
{
    if (length > self->room - self->size) {
        Py_ssize_t room = (self->size + length) * 2;
        uint8_t *made = self->data == self->first ? PyMem_Malloc((size_t)room)
                                                  : PyMem_Realloc(self->data, (size_t)room);
        if (made == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        if (self->data == self->first) {
            memcpy(made, self->first, (size_t)self->size);
        }
        self->data = made;
        self->room = room;
    }
    uint8_t *at = self->data + self->size;
    self->size += length;
    return at;
}

static int
put_int(Output *self, PyObject *key)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(key, &overflow);
    if (overflow) {
        return -1;
    }
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    int length = 0;
    while (length < 8 && magnitude >> (8 * length)) {
        length++;
    }
    uint8_t *at = more(self, length ? length + 2 : 1);
    if (at == NULL) {
        return -1;
    }
    if (!length) {
        *at = TAG_ZERO;
        return 0;
    }
    uint8_t flip = number < 0 ? 0xff : 0;
    at[0] = (uint8_t)(number < 0 ? TAG_ZERO - 1 - length : TAG_ZERO + 1 + length);
    for (int i = 0; i < length; i++) {
        at[1 + i] = (uint8_t)(magnitude >> (8 * (length - 1 - i))) ^ flip;
    }
    at[1 + length] = flip;
    return 0;
}

/* The bytes of text. ``holder`` becomes the object that holds them, unless the text itself does. */
static const char *
text_of(PyObject *key, Py_ssize_t *length, PyObject **holder)
{
    if (PyUnicode_IS_COMPACT_ASCII(key)) {
        *length = PyUnicode_GET_LENGTH(key);
        return (const char *)PyUnicode_1BYTE_DATA(key);
    }
    *holder = PyUnicode_AsEncodedString(key, "utf-8", "surrogatepass");
    if (*holder == NULL) {
        return NULL;
    }
    *length = PyBytes_GET_SIZE(*holder);
    return PyBytes_AS_STRING(*holder);
}

/* The form within a tuple: 0xFF follows each zero byte of the data, and a zero byte ends them. */
static int
put_delimited(Output *self, uint8_t tag, const char *bytes, Py_ssize_t length)
{
    Py_ssize_t zeros = 0;
    for (const char *zero = bytes; (zero = memchr(zero, 0, (size_t)(bytes + length - zero))) != NULL; zero++) {
        zeros++;
    }
    uint8_t *at = more(self, length + zeros + 2);
    if (at == NULL) {
        return -1;
    }
    *at++ = tag;
    if (!zeros) {
        memcpy(at, bytes, (size_t)length);
        at += length;
    }
    else {
        for (Py_ssize_t i = 0; i < length; i++) {
            *at++ = (uint8_t)bytes[i];
            if (!bytes[i]) {
                *at++ = 0xff;
            }
        }
    }
    *at = 0;
    return 0;
}

static int
put_text(Output *self, PyObject *key, bool delimited)
{
    Py_ssize_t length;
    PyObject *holder = NULL;
    const char *bytes = text_of(key, &length, &holder);
    if (bytes == NULL) {
        return -1;
    }
    int failed;
    if (delimited) {
        failed = put_delimited(self, TAG_STR, bytes, length);
    }
    else {
        uint8_t *at = more(self, length + 1);
        failed = at == NULL ? -1 : 0;
        if (at != NULL) {
            at[0] = TAG_STR;
            memcpy(at + 1, bytes, (size_t)length);
        }
    }
    Py_XDECREF(holder);
    return failed;
}

static int
put_element(Output *self, PyObject *key, int depth)
{
    PyTypeObject *type = Py_TYPE(key);
    if (type == &PyUnicode_Type) {
        return put_text(self, key, true);
    }
    if (type == &PyLong_Type || type == &PyBool_Type) {
        return put_int(self, key);
    }
    if (type == &PyBytes_Type) {
        return put_delimited(self, TAG_BYTES, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key));
    }
    if (type == &PyTuple_Type && depth <= MOST_NESTED) {
        uint8_t *tag = more(self, 1);
        if (tag == NULL) {
            return -1;
        }
        *tag = TAG_TUPLE;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
            if (put_element(self, PyTuple_GET_ITEM(key, i), depth + 1) < 0) {
                return -1;
            }
        }
        uint8_t *end = more(self, 1);
        if (end == NULL) {
            return -1;
        }
        *end = 0;
        return 0;
    }
    if (key == Py_None) {
        uint8_t *tag = more(self, 1);
        if (tag == NULL) {
            return -1;
        }
        *tag = TAG_NONE;
        return 0;
    }
    return -1;
}

PyObject *
encode_key(PyObject *key)
{
    Output output;
    output.data = output.first;
    output.size = 0;
    output.room = SHORT;
    int failed = 0;
    if (PyUnicode_CheckExact(key)) {
        failed = put_text(&output, key, false);
    }
    else if (PyBytes_CheckExact(key)) {
        uint8_t *at = more(&output, PyBytes_GET_SIZE(key) + 1);
        failed = at == NULL ? -1 : 0;
        if (at != NULL) {
            at[0] = TAG_BYTES;
            memcpy(at + 1, PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key));
        }
    }
    else if (PyTuple_CheckExact(key)) { /* the outermost one needs no end */
        *more(&output, 1) = TAG_TUPLE;
        for (Py_ssize_t i = 0; !failed && i < PyTuple_GET_SIZE(key); i++) {
            failed = put_element(&output, PyTuple_GET_ITEM(key, i), 1);
        }
    }
    else {
        failed = put_element(&output, key, 0);
    }
    PyObject *made = failed ? NULL : PyBytes_FromStringAndSize((const char *)output.data, output.size);
    if (output.data != output.first) {
        PyMem_Free(output.data);
    }
    return made;
}

PyObject *
encode_key_under(PyObject *start, PyObject *key)
{
    if (!PyUnicode_CheckExact(key)) {
        return NULL;
    }
    Py_ssize_t length, before = PyBytes_GET_SIZE(start);
    PyObject *holder = NULL;
    const char *bytes = text_of(key, &length, &holder);
    PyObject *made = bytes == NULL ? NULL : PyBytes_FromStringAndSize(NULL, before + length);
    if (made != NULL) {
        memcpy(PyBytes_AS_STRING(made), PyBytes_AS_STRING(start), (size_t)before);
        memcpy(PyBytes_AS_STRING(made) + before, bytes, (size_t)length);
    }
    Py_XDECREF(holder);
    return made;
}

/* --- decoding ------------------------------------------------------------------------------------------------------ */

/* The integer after a tag, in the form that coshelf writes; NULL for any other form. */
static PyObject *
int_at(uint8_t tag, const uint8_t **at, const uint8_t *end)
{
    int length = tag > TAG_ZERO ? tag - TAG_ZERO - 1 : TAG_ZERO - 1 - tag;
    uint8_t flip = tag > TAG_ZERO ? 0 : 0xff;
    if (tag == TAG_ZERO) {
        return PyLong_FromLong(0);
    }
    if (length < 1 || length > 8 || end - *at < length + 1 || **at == flip || (*at)[length] != flip) {
        return NULL;
    }
    uint64_t magnitude = 0;
    for (int i = 0; i < length; i++) {
        magnitude = magnitude << 8 | ((*at)[i] ^ flip);
    }
    *at += length + 1;
    if (!flip) {
        return PyLong_FromUnsignedLongLong(magnitude);
    }
    return magnitude > (uint64_t)INT64_MAX ? NULL : PyLong_FromLongLong(-(long long)magnitude);
}

/* Bytes or text within a tuple, after the tag; NULL if they have no end, or have escaped zero bytes. */
static PyObject *
undelimited(uint8_t tag, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *start = *at, *stop = start;
    bool escaped = false;
    while ((stop = memchr(stop, 0, (size_t)(end - stop))) != NULL) {
        if (stop + 1 == end || stop[1] != 0xff) {
            break;
        }
        escaped = true;
        stop += 2;
    }
    if (stop == NULL || escaped) {
        return NULL;
    }
    *at = stop + 1;
    return tag == TAG_STR ? PyUnicode_DecodeUTF8((const char *)start, stop - start, "surrogatepass")
                          : PyBytes_FromStringAndSize((const char *)start, stop - start);
}

static PyObject *elements_at(const uint8_t **at, const uint8_t *end, int depth);

static PyObject *
element_at(const uint8_t **at, const uint8_t *end, int depth)
{
    uint8_t tag = *(*at)++;
    if (tag == TAG_STR || tag == TAG_BYTES) {
        return undelimited(tag, at, end);
    }
    if (tag == TAG_NONE) {
        return Py_NewRef(Py_None);
    }
    if (tag == TAG_TUPLE) {
        return depth < MOST_NESTED ? elements_at(at, end, depth + 1) : NULL;
    }
    return int_at(tag, at, end);
}

/* The elements of a tuple. The outermost tuple ends with the key, any other tuple ends with a zero byte. */
static PyObject *
elements_at(const uint8_t **at, const uint8_t *end, int depth)
{
    PyObject *found[8], *list = NULL;
    Py_ssize_t count = 0;
    bool whole = true;
    while (whole && (depth ? *at < end && **at : *at < end)) {
        PyObject *element = element_at(at, end, depth);
        whole = element != NULL;
        if (whole && count == 8 && list == NULL) {
            list = PyList_New(0);
            for (Py_ssize_t i = 0; list != NULL && i < 8; i++) {
                whole = whole && PyList_Append(list, found[i]) == 0;
            }
            whole = whole && list != NULL;
        }
        if (!whole) {
            Py_XDECREF(element);
        }
        else if (list != NULL) {
            whole = PyList_Append(list, element) == 0;
            Py_DECREF(element);
        }
        else {
            found[count++] = element;
        }
    }
    if (depth && whole) {
        whole = *at < end;
        *at += whole;
    }
    PyObject *made = NULL;
    if (whole && list != NULL) {
        made = PyList_AsTuple(list);
    }
    else if (whole && (made = PyTuple_New(count)) != NULL) {
        for (Py_ssize_t i = 0; i < count; i++) {
            PyTuple_SET_ITEM(made, i, Py_NewRef(found[i]));
        }
    }
    while (count) {
        Py_DECREF(found[--count]);
    }
    Py_XDECREF(list);
    return made;
}

PyObject *
decode_key(const uint8_t *data, Py_ssize_t size)
{
    if (size == 0) {
        return NULL;
    }
    const uint8_t *at = data + 1, *end = data + size;
    PyObject *made;
    switch (data[0]) {
    case TAG_STR:
        made = PyUnicode_DecodeUTF8((const char *)at, size - 1, "surrogatepass");
        break;
    case TAG_BYTES:
        made = PyBytes_FromStringAndSize((const char *)at, size - 1);
        break;
    case TAG_TUPLE:
        made = elements_at(&at, end, 0);
        break;
    default:
        at = data;
        made = element_at(&at, end, 0);
        if (made != NULL && at != end) {
            Py_CLEAR(made);
        }
    }
    if (made == NULL && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear(); /* the function in Python raises the right error */
    }
    return made;
}

PyObject *
decode_key_under(PyObject *start, PyObject *data)
{
    Py_ssize_t before = PyBytes_GET_SIZE(start);
    if (!PyBytes_CheckExact(data) || PyBytes_GET_SIZE(data) < before
        || memcmp(PyBytes_AS_STRING(data), PyBytes_AS_STRING(start), (size_t)before)) {
        return NULL;
    }
    PyObject *made = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(data) + before, PyBytes_GET_SIZE(data) - before,
                                          "surrogatepass");
    if (made == NULL && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear(); /* the function in Python raises the right error */
    }
    return made;
}
