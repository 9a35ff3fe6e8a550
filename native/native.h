/* The declarations that the files of the module share. */

#ifndef COSHELF_NATIVE_H
#define COSHELF_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The deepest nesting that is done in C. Deeper data is left to Python, which counts its own recursion. */
#define MOST_LEVELS 500

/* Larger records are read within a transaction of LMDB, and only check() verifies them. */
#define LARGEST_COPIED (64 * 1024)

uint32_t checksum(const uint8_t *bytes, size_t length, uint32_t start);
bool is_intact(const uint8_t *key, size_t key_length, const uint8_t *record, size_t length);

extern PyType_Spec base_reader_spec;
extern PyType_Spec process_lock_spec;

/* A function in C of one argument, like those below. */
typedef PyObject *(*Attempt)(PyObject *);

PyObject *make_either(PyTypeObject *type, Attempt attempt, PyObject *fallback);
extern PyType_Spec either_spec;

/* Each returns a new reference, NULL with an error set, or NULL without an error if its argument is not for it. */
PyObject *plain_dumps(PyObject *value);
PyObject *plain_loads(const uint8_t *data, Py_ssize_t size);
PyObject *encode_key(PyObject *key);
PyObject *decode_key(const uint8_t *data, Py_ssize_t size);

#endif
