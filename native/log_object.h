/* The type of Python that gives access to a log. */

#ifndef COSHELF_LOG_OBJECT_H
#define COSHELF_LOG_OBJECT_H

#include "native.h"

#include "log_order.h"

#define LOG_SPINS 200 /* attempts to take the mutex before a wait */

typedef struct {
    PyObject_HEAD
    LogMap log;
    Py_buffer state;                   /* the state page */
    LogOrder orders[LOG_SEGMENTS];
    PyObject *noticed;                 /* a list that gets one element for each commit by store() */
    PyObject *flusher;
    PyObject *name;
    PyObject *thread_attribute;
    PyObject *gone_attribute;
    unsigned long holder;              /* the thread that holds the mutex while it calls Python; 0: none */
    unsigned inside;                   /* calls that wait without the interpreter's lock */
    unsigned pause;                    /* how many values are left to Python after the next attempt in vain */
    unsigned left;                     /* how many are left to it now */
    bool closed;
} Log;

typedef struct {
    const LogRow *rows;
    size_t count;
    bool holding;
    const LogStamp *stamp;    /* of what was checked; NULL if nothing was */
    const LogRow *checked;
    size_t checks;
    PyObject *before;         /* is called before the commit is published; NULL: nothing is */
    Log *self;
    uint64_t number;
} Commit;

/* A key that bounds a range; no bytes: there is no end. */
typedef struct {
    const uint8_t *bytes;
    size_t length;
} Bound;

/* Calls that run Python code, or let other threads run, are between these two, so that the map stays. */
void log_enter(Log *self);
void log_leave(Log *self);
void log_unmap(Log *self);
bool log_is_usable(Log *self);
bool log_is_nested(Log *self);
void log_raise_failed(void);
bool log_take(Log *self);
enum log_result log_lock_for_a_slice(LogMap *map);
enum log_result log_commit_locked(LogMap *map, Commit *commit);
void log_ring(Log *self, uint64_t number);
PyObject *log_gathered(Log *self, unsigned wanted, Bound start, Bound stop, uint64_t flushed, bool only_count);

bool log_stores_at_once(Log *self);
bool log_notice(Log *self);
bool log_wait_for_mutex(Log *self);

/* The reader of the base, for counting.c. The record lies in the reader, and is valid until other code runs. */
Log *base_reader_log(PyObject *reader);
bool base_reader_find(PyObject *reader, const uint8_t *key, size_t length, bool only_in_log, const uint8_t **record,
                      size_t *size);
PyObject *reader_add(PyObject *reader, PyObject *const *arguments, Py_ssize_t count);
PyObject *reader_pop(PyObject *reader, PyObject *const *arguments, Py_ssize_t count);
PyObject *reader_setdefault(PyObject *reader, PyObject *const *arguments, Py_ssize_t count);
PyObject *reader_commit(PyObject *reader, PyObject *arguments);
extern const char reader_commit_doc[];
extern const char reader_add_doc[], reader_pop_doc[], reader_setdefault_doc[];

/* Methods. */
PyObject *log_put(Log *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *log_commit(Log *self, PyObject *arguments);
PyObject *log_stamp_of(Log *self, PyObject *nothing);
PyObject *log_take_number_of(Log *self, PyObject *nothing);
PyObject *log_barrier(Log *self, PyObject *nothing);
PyObject *log_store(Log *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *log_notice_by(Log *self, PyObject *arguments);
PyObject *log_rows(Log *self, PyObject *arguments);
PyObject *log_count(Log *self, PyObject *arguments);
PyObject *log_changes(Log *self, PyObject *arguments);
PyObject *log_last(Log *self, PyObject *nothing);
extern const char log_put_doc[], log_commit_doc[], log_stamp_doc[], log_take_number_doc[], log_barrier_doc[],
    log_store_doc[], log_notices_doc[], log_rows_doc[], log_count_doc[], log_changes_doc[],
    log_last_doc[];

void log_dealloc(Log *self);
int log_copy(Log *self, const uint8_t *key, size_t length, uint8_t **copy, size_t *room, size_t *found_length);

#endif
