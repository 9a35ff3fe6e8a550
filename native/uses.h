/* The table of uses, for the reader of the base. */

#ifndef COSHELF_USES_H
#define COSHELF_USES_H

#include "native.h"

#include <stdatomic.h>

/* One process's view of the table. ``words`` is NULL while there is none. */
typedef struct {
    Py_buffer view;
    _Atomic uint32_t *words;   /* at the place of a key: the last commit when it was read, and how often */
    _Atomic uint64_t *counts;  /* of the reads that found an entry, and of the others */
    unsigned shift;
} Uses;

int uses_open(Uses *self, PyObject *table, int bits, Py_ssize_t shard);
void uses_close(Uses *self);
void uses_note(Uses *self, const uint8_t *key, size_t length, uint32_t number);
void uses_note_miss(Uses *self);

#endif
