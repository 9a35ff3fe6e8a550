/* Input: a byte of flags, a byte, and patches of a small base and of its lock file.
 *
 * get() gives bytes of bounded length, None or NotImplemented. load() gives the right value, None or NotImplemented: the
 * checksum of no damaged record is right. Neither raises an error.
 */

#include "harness.h"
#include "patches.h"

#include <stdlib.h>
#include <unistd.h>

#define KEYS 60
#define OPEN_ANEW 0x21 /* both bits, since it takes long: the reader is opened after the patches */
#define CUT 0x1a       /* all three: the file is cut while the reader is open */
#define LOCK_FILE 4    /* the first patch is one of the lock file */

static Image base, lock;
static PyObject *reader_type, *reader;
static PyObject *names[KEYS], *keys[KEYS], *sound[KEYS];

static PyObject *
opened(void)
{
    return PyObject_CallFunction(reader_type, "iii", base.file, base.file, lock.file);
}

void
prepare(void)
{
    char path[4096];
    const char *directory = getenv("COSHELF_FUZZ_FILES");
    snprintf(path, sizeof(path), "%s/base", directory);
    base = open_image(path);
    snprintf(path, sizeof(path), "%s/base-lock", directory);
    lock = open_image(path);
    reader_type = function_of("_native", "BaseReader");
    reader = needed(opened(), "the sound base cannot be opened");
    for (int number = 0; number < KEYS; number++) {
        names[number] = needed(PyUnicode_FromFormat("key %d", number), "no name");
        keys[number] = needed(encode_key(names[number]), "no key");
        PyObject *value = needed(PyObject_CallMethod(reader, "load", "O", names[number]), "no value");
        sound[number] = value == Py_NotImplemented ? value : needed(plain_dumps(value), "no pickle");
    }
}

static void
try_key(PyObject *used, int number)
{
    PyObject *record = needed(PyObject_CallMethod(used, "get", "O", keys[number]), "get() raises an error");
    if (record != Py_None && record != Py_NotImplemented
        && (!PyBytes_CheckExact(record) || PyBytes_GET_SIZE(record) > LARGEST_COPIED)) {
        finding("get() gives what is no record");
    }
    Py_DECREF(record);
    PyObject *value = needed(PyObject_CallMethod(used, "load", "O", names[number]), "load() raises an error");
    if (value != Py_NotImplemented) {
        PyObject *written = needed(plain_dumps(value), "load() gives what is not plain");
        if (PyObject_RichCompareBool(written, sound[number], Py_EQ) != 1) {
            finding("load() gives a wrong value");
        }
        Py_DECREF(written);
    }
    Py_DECREF(value);
}

static void
try_keys(unsigned flags, unsigned from)
{
    PyObject *used = (flags & OPEN_ANEW) == OPEN_ANEW ? opened() : Py_NewRef(reader);
    if (used == NULL) {
        PyErr_Clear(); /* it is no base that can be read without LMDB */
        return;
    }
    if ((flags & CUT) == CUT && ftruncate(base.file, (off_t)(from % (base.size / PATCHED_PAGE) * PATCHED_PAGE)) < 0) {
        finding("the file cannot be cut");
    }
    if ((flags & CUT) == CUT) {
        usleep(1100); /* the reader looks at the length of the file once a millisecond */
    }
    for (unsigned step = 0; step < 3; step++) {
        try_key(used, (int)((from + step * 11) % KEYS));
    }
    Py_DECREF(used);
}

static void
mend_cut(void)
{
    if (ftruncate(base.file, (off_t)base.size) < 0) {
        finding("the file cannot be lengthened");
    }
    memcpy(base.bytes, base.sound, base.size);
}

void
try_input(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return;
    }
    size_t count = (size - 2) / PATCH_SIZE;
    Image *first = data[0] & LOCK_FILE ? &lock : &base;
    for (size_t number = 0; number < count; number++) {
        apply_patch(number ? &base : first, data + 2 + number * PATCH_SIZE);
    }
    try_keys(data[0], data[1]);
    if ((data[0] & CUT) == CUT) {
        mend_cut();
    }
    for (size_t number = 0; number < count; number++) {
        undo_patch(number ? &base : first, data + 2 + number * PATCH_SIZE);
    }
}
