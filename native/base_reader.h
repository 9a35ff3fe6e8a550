/* The reader of the base, for the files that search its pages. base.c has most of it. */

#ifndef COSHELF_BASE_READER_H
#define COSHELF_BASE_READER_H

#include "native.h"

#include "log_object.h"
#include "uses.h"

#include <stdatomic.h>

#define PAGE_HEADER 16
#define P_BRANCH 0x01
#define P_LEAF 0x02
#define P_OVERFLOW 0x04
#define P_KIND (0xff & ~0x10) /* all but P_DIRTY */
#define NODE_HEADER 8
#define LONGEST_ROW 493       /* bytes of a key that lies in one row: docs/format.md, "Long keys" */
#define LOCK_NEWEST 48        /* after magic, format and a mutex of 40 bytes */

enum found { THERE, MISSING, AGAIN, ASK };

typedef struct Ends Ends;

typedef struct {
    PyObject_HEAD
    int file;                 /* a descriptor that may be mapped; LMDB opens the other one for writing only */
    int ends;                 /* a descriptor whose position is moved, to find the end of the file */
    const uint8_t *map;
    size_t map_size;
    size_t known;             /* bytes that the file is known to have */
    double looked;            /* when the length of the file was looked at last */
    size_t page_size;
    const uint8_t *lock;
    Py_buffer state;          /* the state page */
    Py_ssize_t dirty;         /* the place in it that says whether the delta is dirty; -1: none */
    uint8_t *copy;            /* of one record */
    size_t room;
    PyObject *log;            /* the delta, if it is a log; otherwise NULL */
    Py_ssize_t last_flush;    /* the place in the state page of the time of the last flush */
    double patience;          /* seconds after which commits in the delta seem to be neglected */
    uint64_t row_of;          /* the transaction whose shelf row was read last */
    uint64_t sequence;        /* the number of the last commit that it has */
    Ends *queues;             /* for ends.c; NULL before the first use */
    Uses uses;                /* of a bounded shelf */
    Py_ssize_t uses_word;     /* the place in the state page that says whether there is a table of uses; -1: unknown */
    Py_ssize_t bell;          /* the place of the number of the last commit */
    uint32_t known_uses;      /* what the word said when the table was given */
    bool closed;
} BaseReader;

typedef struct {
    const uint8_t *bytes;
    size_t length;
} Span;

/* --- numbers of the file, which may change while they are read ----------------------------------------------------- */

/* The compiler must not read a number a second time: after it was bounded, the file may have another. */
#define READ_ONCE(number) __asm__ volatile("" : "+r"(number))

static inline uint16_t
two(const uint8_t *at)
{
    uint16_t found;
    memcpy(&found, at, sizeof(found));
    READ_ONCE(found);
    return found;
}

static inline uint32_t
four(const uint8_t *at)
{
    uint32_t found;
    memcpy(&found, at, sizeof(found));
    READ_ONCE(found);
    return found;
}

static inline uint64_t
eight(const uint8_t *at)
{
    uint64_t found;
    memcpy(&found, at, sizeof(found));
    READ_ONCE(found);
    return found;
}

static inline uint64_t
newest(BaseReader *self)
{
    return atomic_load_explicit((const _Atomic uint64_t *)(self->lock + LOCK_NEWEST), memory_order_acquire);
}

/* --- pages --------------------------------------------------------------------------------------------------------- */

/* The page to which a node of a branch leads. */
static inline uint64_t
base_child(const uint8_t *node)
{
    return (uint64_t)four(node) | (uint64_t)two(node + 4) << 32;
}

const uint8_t *base_page(BaseReader *self, uint64_t number, bool is_leaf, size_t *count);
const uint8_t *base_node(BaseReader *self, const uint8_t *page, size_t place, size_t *key_length);
size_t base_search(BaseReader *self, const uint8_t *page, size_t first, size_t count, Span key, bool *equal);
enum found base_tree(BaseReader *self, uint64_t number, uint64_t *root, unsigned *depth);
enum found base_copy_record(BaseReader *self, const uint8_t *leaf, size_t place, size_t *length);
enum found base_copied(BaseReader *self, const uint8_t *bytes, size_t length);

enum found base_find_record(BaseReader *self, Span key, size_t *length);
PyObject *base_loaded(BaseReader *self, size_t length);

/* Whether the base and the log can be read now without LMDB. */
bool base_is_readable(BaseReader *self);
bool base_read_sequence(BaseReader *self, uint64_t *sequence);

#endif
