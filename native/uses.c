/* The table of uses of a bounded shelf: a read writes a word there. src/coshelf/engines/lmdb/files/use_table.py has its
 * layout, and does the same. */

#include "uses.h"

#define HEADER 4096
#define FEWEST 16
#define MOST 24
#define MULTIPLIER 0x9E3779B1u
#define EACH 2           /* bytes of a place */
#define TICK_AT 4        /* bits: the lower ones count the reads */
#define MOST_COUNTED 0xf
#define COARSE 13        /* with so many places, each commit is a tick; with twice as many, two are */

/* Use a table with 2**bits places. The counts of this process are ``shard`` bytes from its beginning. */
int
uses_open(Uses *self, PyObject *table, int bits, Py_ssize_t shard)
{
    Py_buffer view;
    if (PyObject_GetBuffer(table, &view, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    if (bits < FEWEST || bits > MOST || view.len < (Py_ssize_t)(HEADER + ((size_t)EACH << bits)) || shard < 0 || shard % 8
        || shard > HEADER - 16 || (uintptr_t)view.buf % 8) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "this is no table of uses");
        return -1;
    }
    uses_close(self);
    self->view = view;
    self->places = (_Atomic uint16_t *)((uint8_t *)view.buf + HEADER);
    self->counts = (_Atomic uint64_t *)((uint8_t *)view.buf + shard);
    self->bits = (unsigned)bits;
    return 0;
}

void
uses_close(Uses *self)
{
    if (self->places != NULL) {
        self->places = NULL;
        Py_buffer view = self->view;
        self->view.obj = NULL; /* releasing may run Python code, which may close this once more */
        PyBuffer_Release(&view);
    }
}

/* One more, unless another thread counts in the same moment. */
static void
count(_Atomic uint64_t *number)
{
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* Where the reads of a key are noted. Its line of the cache is fetched meanwhile: most are in no cache. */
uint32_t
uses_place(Uses *self, const uint8_t *key, size_t length)
{
    uint32_t place = checksum(key, length, 0) * MULTIPLIER >> (32 - self->bits);
    __builtin_prefetch((const void *)(self->places + place), 1);
    return place;
}

void
uses_note(Uses *self, uint32_t place, uint32_t number)
{
    if (place >> self->bits) {
        return; /* another table was given meanwhile */
    }
    _Atomic uint16_t *at = self->places + place;
    uint16_t old = atomic_load_explicit(at, memory_order_relaxed), times = old & MOST_COUNTED;
    uint16_t new = (uint16_t)(number >> (self->bits - COARSE) << TICK_AT | (times < MOST_COUNTED ? times + 1u : times));
    if (new != old) { /* so that processes which read one entry do not take its line of the cache from each other */
        atomic_store_explicit(at, new, memory_order_relaxed);
    }
    count(self->counts);
}

void
uses_note_miss(Uses *self)
{
    count(self->counts + 1);
}
