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

#define TRAILER 12 /* bytes of a record after its body: the number of its commit, and a checksum */

uint32_t checksum(const uint8_t *bytes, size_t length, uint32_t start);
bool is_intact(const uint8_t *key, size_t key_length, const uint8_t *record, size_t length);

extern PyType_Spec base_reader_spec;
extern PyType_Spec log_spec;
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

/* Short texts of earlier values. The next values take the same objects, so that each text is made once. */
#define TEXTS 256
typedef struct {
    PyObject *known[TEXTS];
    uint64_t taken_in[TEXTS]; /* the value that took a text last: within one value pickle makes each text anew */
    uint64_t values; /* how many values have begun */
} Texts;

PyObject *plain_loads_sharing(Texts *texts, const uint8_t *data, Py_ssize_t size);
void forget_texts(Texts *texts);

extern PyType_Spec page_items_spec;

/* Keys of a namespace: what the bytes of each text begin with, then its UTF-8. They return NULL as those above do. */
typedef PyObject *(*AttemptUnder)(PyObject *start, PyObject *);
PyObject *encode_key_under(PyObject *start, PyObject *key);
PyObject *decode_key_under(PyObject *start, PyObject *data);
PyObject *make_either_under(PyTypeObject *type, AttemptUnder attempt, PyObject *start, PyObject *fallback);
PyObject *native_gather(PyObject *module, PyObject *arguments);
PyObject *native_in_order(PyObject *module, PyObject *table);
PyObject *native_sealed(PyObject *module, PyObject *arguments);
PyObject *native_page_checksums(PyObject *module, PyObject *arguments);
PyObject *native_checksum_of_pages(PyObject *module, PyObject *arguments);

/* The lock between processes, for hold.c. The caller has tested that the object is one. */
bool is_process_lock(PyObject *object);
bool process_lock_is_of_this_process(PyObject *lock);
bool process_lock_take_at_once(PyObject *lock);
void process_lock_confirm(PyObject *lock);
void process_lock_give_back(PyObject *lock);
extern PyType_Spec hold_spec;
extern PyType_Spec sealed_pages_spec;
extern PyType_Spec lines_spec;
extern PyType_Spec line_place_spec;
PyObject *lines_mutex_kind(void);
PyObject *native_make_lines(PyObject *module, PyObject *arguments);
PyObject *native_add_puts(PyObject *module, PyObject *arguments);
PyObject *native_put_plain(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
