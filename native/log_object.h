/* The type of Python that gives access to a log. */

#ifndef COSHELF_LOG_OBJECT_H
#define COSHELF_LOG_OBJECT_H

#include "native.h"

#include "log_order.h"

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

void log_dealloc(Log *self);
int log_copy(Log *self, const uint8_t *key, size_t length, uint8_t **copy, size_t *room, size_t *found_length);

#endif
