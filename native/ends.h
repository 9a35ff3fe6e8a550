/* The least or greatest entries of a shelf. base_ends.c finds those of the base, ends.c those of the base and the log;
 * popitem.c takes them out. */

#ifndef COSHELF_ENDS_H
#define COSHELF_ENDS_H

#include "base_reader.h"

#define LONGEST_PAGE_KEY 511 /* LMDB's */

/* Where a search of the base goes on. */
typedef struct {
    uint8_t bytes[LONGEST_PAGE_KEY];
    size_t length;
    bool inclusive; /* whether the key itself is still to be looked at */
} Edge;

bool edge_set(Edge *edge, Span key, bool inclusive);
const uint8_t *base_leaf_beyond(BaseReader *self, uint64_t root, unsigned depth, bool last, const Edge *edge,
                                size_t *count, size_t *place, Edge *next, bool *has_next);

#define ENDS_ATTEMPTS 64 /* as long as other processes take entries, or flush */

/* Keys from start to before stop. */
typedef struct {
    const uint8_t *start;
    size_t start_length;
    const uint8_t *stop;
    size_t stop_length;
} Range;

/* What is to be taken. */
typedef struct {
    uint8_t key[LONGEST_PAGE_KEY];
    size_t length;
    size_t record_length; /* the record lies in the reader */
    int range;
} Candidate;

/* A key of the log, by its record. */
typedef struct {
    uint32_t segment;
    uint32_t place; /* divided by 8 */
} Place;

static inline bool
range_has(const Range *range, Span key)
{
    return log_compare(key.bytes, key.length, range->start, range->start_length) >= 0
           && log_compare(key.bytes, key.length, range->stop, range->stop_length) < 0;
}

/* Whether a key comes before another one, as seen from an end. */
static inline bool
comes_before(bool last, Span left, Span right)
{
    int order = log_compare(left.bytes, left.length, right.bytes, right.length);
    return last ? order > 0 : order < 0;
}

/* Called for a record of the log. */
typedef bool (*Visit)(void *to, const LogMap *log, Place place, const LogRecord *record, uint32_t key_length,
                      uint32_t record_length);

bool ends_each_record(const LogMap *log, unsigned segment, uint64_t at, uint64_t head, Visit visit, void *to);
enum found ends_first(BaseReader *self, const Range *ranges, int count, bool last, LogStamp *stamp,
                      Candidate *candidate);
enum log_result ends_commit(Log *self, const Range *ranges, int count, bool last, const LogStamp *stamp,
                            const Candidate *candidate, const LogRow *rows, size_t row_count, uint64_t *number);
LogRow ends_deletion(const Candidate *candidate);
void ends_forget(BaseReader *self);
PyObject *reader_popitem(PyObject *reader, PyObject *const *arguments, Py_ssize_t count);
PyObject *reader_first(PyObject *reader, PyObject *const *arguments, Py_ssize_t count);
PyObject *reader_take(PyObject *reader, PyObject *const *arguments, Py_ssize_t count);
extern const char reader_popitem_doc[], reader_first_doc[], reader_take_doc[];

#endif
