/* Reads the commits of a log in their order: every record that is there, and not only the newest of each key. */

#include "native.h"

#include "log_object.h"

/* Up to where a reader has read a segment. */
typedef struct {
    uint64_t epoch; /* of the segment when it was read */
    uint64_t at;    /* where the first record lies that was not read */
} Place;

/* One attempt to read, and what the segments were like when it began. */
typedef struct {
    unsigned active;
    uint64_t epochs[LOG_SEGMENTS];
    uint64_t heads[LOG_SEGMENTS];
    uint64_t after;    /* commits up to this number are left out */
    size_t left;       /* bytes that may still be read */
    uint64_t last;     /* the number of the commit that was read last */
    PyObject *records;
} Reading;

enum read_result { READ_ALL, READ_ENOUGH, READ_DAMAGED, READ_FAILED };

static bool
append_record(Reading *reading, const LogRecord *record, uint32_t key_length, uint32_t record_length, uint64_t number)
{
    PyObject *row = Py_BuildValue("(Ky#y#)", (unsigned long long)number, (const char *)record->bytes,
                                  (Py_ssize_t)key_length, (const char *)record->bytes + key_length,
                                  (Py_ssize_t)record_length);
    bool done = row != NULL && PyList_Append(reading->records, row) == 0;
    Py_XDECREF(row);
    return done;
}

/* Read the records of a segment from a place on. It stops between two commits, never inside one. */
static enum read_result
read_segment(const LogMap *log, unsigned segment, Reading *reading, uint64_t *at)
{
    uint64_t head = reading->heads[segment];
    while (*at < head) {
        uint32_t key_length, record_length;
        const LogRecord *record = log_record(log, segment, *at, &key_length, &record_length);
        uint64_t total = record == NULL ? 0 : *(const volatile uint32_t *)&record->total;
        if (total & 7 || total > head - *at || total < sizeof(LogRecord) + key_length + (uint64_t)record_length) {
            return READ_DAMAGED;
        }
        uint64_t number = log_number_of(record->bytes + key_length, record_length);
        if (number > reading->after) {
            if (!reading->left && number != reading->last) {
                return READ_ENOUGH;
            }
            if (!append_record(reading, record, key_length, record_length, number)) {
                return READ_FAILED;
            }
            reading->left -= total < reading->left ? total : reading->left;
            reading->last = number;
        }
        *at += total;
    }
    return READ_ALL;
}

/* Read both segments, the older commits first. */
static enum read_result
read_commits(const LogMap *log, Reading *reading, Place *places)
{
    reading->active = atomic_load_explicit(&log->header->active, memory_order_acquire) & 1;
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        reading->epochs[segment] = log_epoch(log, segment);
        reading->heads[segment] = atomic_load_explicit(&log->header->segments[segment].head, memory_order_acquire);
    }
    for (unsigned i = LOG_SEGMENTS; i-- > 0;) {
        unsigned segment = reading->active ^ i;
        Place *place = &places[segment];
        if (reading->epochs[segment] & 1 || reading->heads[segment] <= LOG_FIRST) {
            continue;
        }
        if (place->epoch != reading->epochs[segment] || place->at < LOG_FIRST || place->at > reading->heads[segment]) {
            *place = (Place){.epoch = reading->epochs[segment], .at = LOG_FIRST};
        }
        enum read_result result = read_segment(log, segment, reading, &place->at);
        if (result != READ_ALL) {
            return result;
        }
    }
    return READ_ALL;
}

/* Whether no segment was emptied or exchanged meanwhile. What was copied is valid then, and in order. */
static bool
is_still(const LogMap *log, const Reading *reading)
{
    atomic_thread_fence(memory_order_acquire);
    bool still = (atomic_load_explicit(&log->header->active, memory_order_relaxed) & 1) == reading->active;
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        still = still && log_is_still(log, segment, reading->epochs[segment]);
    }
    return still;
}

const char log_changes_doc[] = PyDoc_STR(
    "changes(after, places, most, /)\n--\n\n"
"The records of the commits with numbers above ``after``, in the order of the commits, as (number, key, record).\n\n"
"Deletions are among them. They are whole commits, in about ``most`` bytes. ``places`` is what the call before has\n"
"returned, or four zeros: what that call has passed is not read again. Returns the records and the new places.");

PyObject *
log_changes(Log *self, PyObject *arguments)
{
    unsigned long long after;
    Place known[LOG_SEGMENTS];
    Py_ssize_t most;
    if (!PyArg_ParseTuple(arguments, "K(KKKK)n:changes", &after, &known[0].epoch, &known[0].at, &known[1].epoch,
                          &known[1].at, &most)) {
        return NULL;
    }
    while (log_is_usable(self)) {
        Place places[LOG_SEGMENTS] = {known[0], known[1]};
        Reading reading = {.after = after, .left = most > 0 ? (size_t)most : 0, .records = PyList_New(0)};
        if (reading.records == NULL) {
            return NULL;
        }
        log_enter(self); /* making objects may run a finalizer, which may close the log */
        enum read_result result = read_commits(&self->log, &reading, places);
        bool still = result != READ_FAILED && is_still(&self->log, &reading);
        log_leave(self);
        if (still && result != READ_DAMAGED) {
            return Py_BuildValue("(N(KKKK))", reading.records, (unsigned long long)places[0].epoch,
                                 (unsigned long long)places[0].at, (unsigned long long)places[1].epoch,
                                 (unsigned long long)places[1].at);
        }
        Py_DECREF(reading.records);
        if (still) {
            PyErr_SetString(PyExc_ValueError, "the log has records that no commit wrote");
        }
        if (still || result == READ_FAILED || PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
    return NULL;
}

const char log_last_doc[] = PyDoc_STR("last()\n--\n\nThe number of the last commit that readers see; 0 if there was none.");

PyObject *
log_last(Log *self, PyObject *Py_UNUSED(nothing))
{
    if (!log_is_usable(self) || !log_take(self)) {
        return NULL;
    }
    uint64_t last = 0; /* under the mutex no commit has its number and is not published */
    for (unsigned segment = 0; segment < LOG_SEGMENTS; segment++) {
        uint64_t found = atomic_load_explicit(&self->log.header->segments[segment].last, memory_order_relaxed);
        last = found > last ? found : last;
    }
    log_unlock(&self->log);
    return PyLong_FromUnsignedLongLong(last);
}
