/* The table of uses, for the reader of the base. */

#ifndef COSHELF_USES_H
#define COSHELF_USES_H

#include "native.h"

#include <stdatomic.h>

/* One process's view of the table. ``places`` is NULL while there is none. */
typedef struct {
    Py_buffer view;
    _Atomic uint16_t *places;  /* of a key: when it was read, and how often */
    _Atomic uint64_t *counts;  /* of the reads that found an entry, and of the others */
    unsigned bits;             /* there are 2**bits places */
} Uses;

int uses_open(Uses *self, PyObject *table, int bits, Py_ssize_t shard);
void uses_close(Uses *self);
uint32_t uses_place(Uses *self, const uint8_t *key, size_t length);
void uses_note(Uses *self, uint32_t place, uint32_t number);
void uses_note_miss(Uses *self);

#endif
