/* Commits a small batch that checks the version of one key, in one call of Python. */

#include "base_reader.h"

#define ATTEMPTS 8   /* as long as other processes change the key, or flush */
#define MOST_ROWS 4  /* of a batch */
#define TIMES 0x04   /* what rows of the index by time begin with: Python notes in the state page that there are some */

typedef struct {
    LogRow rows[MOST_ROWS];
    size_t count;
    LogRow checked;
    uint64_t version; /* that the checked key must have; 0: it must not exist */
} Batch;

/* False if a row is not for this code. The caller keeps the tuple. */
static bool
read_rows(PyObject *given, Batch *batch)
{
    batch->count = (size_t)PyTuple_GET_SIZE(given);
    bool right = batch->count >= 1 && batch->count <= MOST_ROWS;
    for (size_t i = 0; right && i < batch->count; i++) {
        PyObject *row = PyTuple_GET_ITEM(given, (Py_ssize_t)i);
        right = PyTuple_CheckExact(row) && PyTuple_GET_SIZE(row) == 2 && PyBytes_CheckExact(PyTuple_GET_ITEM(row, 0))
                && PyBytes_CheckExact(PyTuple_GET_ITEM(row, 1));
        if (right) {
            PyObject *key = PyTuple_GET_ITEM(row, 0), *body = PyTuple_GET_ITEM(row, 1);
            right = PyBytes_GET_SIZE(key) >= 1 && PyBytes_GET_SIZE(key) <= LARGEST_COPIED
                    && PyBytes_GET_SIZE(body) <= LARGEST_COPIED && PyBytes_AS_STRING(key)[0] != TIMES;
            batch->rows[i] = (LogRow){
                .key = (const uint8_t *)PyBytes_AS_STRING(key),
                .key_length = (uint32_t)PyBytes_GET_SIZE(key),
                .body = (const uint8_t *)PyBytes_AS_STRING(body),
                .body_length = (uint32_t)PyBytes_GET_SIZE(body),
            };
        }
    }
    for (size_t i = 0; right && i < batch->count; i++) {
        LogRow *row = &batch->rows[i];
        row->partial = checksum(row->body, row->body_length, checksum(row->key, row->key_length, 0));
    }
    return right;
}

/* Whether the checked key has the version. */
static bool
has_version(BaseReader *reader, const Batch *batch)
{
    size_t length;
    Span key = {batch->checked.key, batch->checked.key_length};
    switch (base_find_record(reader, key, &length)) {
    case THERE: return length >= TRAILER && batch->version && log_number_of(reader->copy, length) == batch->version;
    case MISSING: return !batch->version;
    default: return false;
    }
}

/* False: nothing was committed, or an error is set. */
static bool
is_committed(BaseReader *reader, Log *log, const Batch *batch, uint64_t *number)
{
    for (int attempt = 0; attempt < ATTEMPTS;) {
        LogStamp stamp;
        if (!log_stores_at_once(log) || reader->closed || (Log *)reader->log != log) {
            return false;
        }
        log_stamp(&log->log, &stamp);
        if (!has_version(reader, batch)) {
            return false;
        }
        Commit commit = {
            .rows = batch->rows,
            .count = batch->count,
            .stamp = &stamp,
            .checked = &batch->checked,
            .checks = 1,
        };
        enum log_result result = log_lock(&log->log, LOG_SPINS);
        if (result == LOG_DONE) {
            result = log_commit_locked(&log->log, &commit);
            log_unlock(&log->log);
        }
        if (result == LOG_DONE) {
            *number = commit.number;
            return true;
        }
        if (result == LOG_BUSY ? !log_wait_for_mutex(log) : result != LOG_CHANGED) {
            return false;
        }
        attempt += result == LOG_CHANGED;
    }
    return false;
}

const char reader_commit_doc[] = PyDoc_STR(
    "commit(rows, key, version, /)\n--\n\n"
"Commit a tuple of up to four rows (key, body), if ``key`` has the version; 0: if it does not exist. An empty body\n"
"deletes the key.\n\n"
"Returns the number of the commit, and whether more is to be done, as Log.store says. Returns ``NotImplemented`` if\n"
"nothing was committed, for whatever reason, so that it has to be done in Python.");

PyObject *
reader_commit(PyObject *self, PyObject *arguments)
{
    PyObject *rows, *key;
    unsigned long long version;
    if (!PyArg_ParseTuple(arguments, "O!SK:commit", &PyTuple_Type, &rows, &key, &version)) {
        return NULL;
    }
    Batch batch = {
        .checked = {.key = (const uint8_t *)PyBytes_AS_STRING(key), .key_length = (uint32_t)PyBytes_GET_SIZE(key)},
        .version = version,
    };
    Log *log = base_reader_log(self);
    if (log == NULL || PyBytes_GET_SIZE(key) > LONGEST_ROW || !read_rows(rows, &batch)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    Py_INCREF(log); /* other threads may give the reader another one during a wait */
    uint64_t number;
    PyObject *answer = NULL;
    if (is_committed((BaseReader *)self, log, &batch, &number)) {
        log_ring(log, number);
        answer = Py_BuildValue("(KO)", (unsigned long long)number, log_notice(log) ? Py_True : Py_False);
    }
    else if (!PyErr_Occurred()) {
        answer = Py_NewRef(Py_NotImplemented);
    }
    Py_DECREF(log);
    return answer;
}
