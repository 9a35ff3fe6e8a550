/* Adds to an int in the log, in one call of Python: the mutex is all that it needs, unless something is unusual. */

#include "native.h"

#include "log_object.h"

#define ATTEMPTS 8     /* as long as flushes come in between */
#define LONGEST_INT 24 /* bytes of the pickle of an int */

enum { PROTO = 0x80, FRAME = 0x95, BININT1 = 'K', BININT2 = 'M', BININT = 'J', LONG1 = 0x8a, STOP = '.' };
#define FRAMED 4 /* pickle frames this many bytes and more */

/* --- pickles of ints ----------------------------------------------------------------------------------------------- */

static int64_t
number_of(const uint8_t *bytes, size_t size, bool has_sign)
{
    uint64_t number = has_sign && bytes[size - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = size; i > 0; i--) {
        number = number << 8 | bytes[i - 1];
    }
    return (int64_t)number;
}

/* The int of a pickle, if it is one of up to eight bytes. */
static bool
read_int(const uint8_t *pickle, size_t size, int64_t *value)
{
    if (size < 5 || pickle[0] != PROTO || pickle[1] > 5) {
        return false;
    }
    size_t at = 2;
    if (pickle[at] == FRAME) {
        at += 9;
        if (size < at + 3 || (uint64_t)number_of(pickle + 3, 8, false) != size - at) {
            return false;
        }
    }
    uint8_t code = pickle[at++];
    size_t length = code == BININT1 ? 1 : code == BININT2 ? 2 : code == BININT ? 4 : code == LONG1 ? pickle[at++] : 0;
    if (length < 1 || length > 8 || size != at + length + 1 || pickle[size - 1] != STOP) {
        return false;
    }
    *value = number_of(pickle + at, length, code == BININT || code == LONG1);
    return true;
}

/* The same bytes as pickle.dumps(value, 5). Returns their number. */
static size_t
write_int(int64_t value, uint8_t *pickle)
{
    uint8_t opcode[2];
    size_t codes = 1, length;
    if (value >= 0 && value <= 0xffff) {
        opcode[0] = value <= 0xff ? BININT1 : BININT2;
        length = value <= 0xff ? 1 : 2;
    }
    else if (value >= INT32_MIN && value <= INT32_MAX) {
        opcode[0] = BININT;
        length = 4;
    }
    else {
        length = 5;
        while (length < 8 && (value >> (8 * length - 1)) != 0 && (value >> (8 * length - 1)) != -1) {
            length++;
        }
        opcode[0] = LONG1;
        opcode[codes++] = (uint8_t)length;
    }
    uint8_t *at = pickle;
    *at++ = PROTO;
    *at++ = 5;
    uint64_t frame = codes + length + 1;
    if (frame >= FRAMED) {
        *at++ = FRAME;
        for (unsigned i = 0; i < 8; i++) {
            *at++ = (uint8_t)(frame >> 8 * i);
        }
    }
    memcpy(at, opcode, codes);
    at += codes;
    for (size_t i = 0; i < length; i++) {
        *at++ = (uint8_t)((uint64_t)value >> 8 * i);
    }
    *at++ = STOP;
    return (size_t)(at - pickle);
}

/* --- adding -------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject *reader;
    Log *log;
    const uint8_t *key;
    size_t length;
    int64_t by;
    int64_t sum;
} Addition;

/* Compute the sum from the record that the key has now. False if that is not a whole int, or the sum too large. */
static bool
compute(Addition *addition, bool only_in_log)
{
    const uint8_t *record;
    size_t size;
    int64_t value;
    return base_reader_find(addition->reader, addition->key, addition->length, only_in_log, &record, &size)
           && is_intact(addition->key, addition->length, record, size) && size > TRAILER
           && read_int(record, size - TRAILER, &value) && !__builtin_add_overflow(value, addition->by, &addition->sum);
}

/* Commit the sum. The caller holds the mutex, and has computed the sum from what the key had at the stamp. */
static enum log_result
commit_sum(Addition *addition, const LogStamp *stamp, uint64_t *number)
{
    LogMap *map = &addition->log->log;
    enum log_result result = log_may_commit(map, false);
    if (result == LOG_DONE) {
        result = log_unchanged(map, stamp, false, addition->key, addition->length);
    }
    if (result == LOG_CHANGED && compute(addition, true)) {
        result = LOG_DONE; /* no other process commits now, so the log has what counts */
    }
    if (result != LOG_DONE) {
        return result;
    }
    uint8_t body[LONGEST_INT];
    LogRow row = {
        .key = addition->key,
        .key_length = (uint32_t)addition->length,
        .body = body,
        .body_length = (uint32_t)write_int(addition->sum, body),
    };
    row.partial = checksum(row.body, row.body_length, checksum(row.key, row.key_length, 0));
    Commit commit = {.rows = &row, .count = 1};
    result = log_commit_locked(map, &commit);
    *number = commit.number;
    return result;
}

/* LOG_BUSY: an error is set. */
static enum log_result
add_patiently(Addition *addition, uint64_t *number)
{
    LogMap *map = &addition->log->log;
    for (int attempt = 0; attempt < ATTEMPTS;) {
        LogStamp stamp;
        if (!log_stores_at_once(addition->log)) {
            return LOG_FAILED;
        }
        log_stamp(map, &stamp);
        if (!compute(addition, false)) {
            return LOG_FAILED;
        }
        enum log_result result = log_lock(map, LOG_SPINS);
        if (result == LOG_BUSY) {
            if (!log_wait_for_mutex(addition->log)) {
                return LOG_BUSY;
            }
            continue;
        }
        if (result == LOG_DONE) {
            result = commit_sum(addition, &stamp, number);
            log_unlock(map);
        }
        if (result != LOG_CHANGED) {
            return result;
        }
        attempt++;
    }
    return LOG_FAILED;
}

const char reader_add_doc[] = PyDoc_STR(
    "add(key, by, start=None, /)\n--\n\n"
"Add an int to the int of a key, and commit the sum. ``start`` is that of :meth:`load`.\n\n"
"Returns the sum, and whether more is to be done, as Log.store says. Returns ``NotImplemented`` if nothing was\n"
"committed, so that it has to be done in Python.");

PyObject *
reader_add(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *start = count == 3 ? arguments[2] : Py_None;
    if ((count != 2 && count != 3) || (start != Py_None && !PyBytes_CheckExact(start))) {
        PyErr_SetString(PyExc_TypeError, "add() takes a key, an int, and the bytes before the key or None");
        return NULL;
    }
    Log *log = base_reader_log(self);
    if (log == NULL || !PyLong_CheckExact(arguments[1])) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    int overflow;
    int64_t by = PyLong_AsLongLongAndOverflow(arguments[1], &overflow);
    PyObject *key = overflow                 ? NULL
                    : start == Py_None ? encode_key(arguments[0])
                                       : encode_key_under(start, arguments[0]);
    if (key == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_NotImplemented);
    }
    Addition addition = {
        .reader = self,
        .log = log,
        .key = (const uint8_t *)PyBytes_AS_STRING(key),
        .length = (size_t)PyBytes_GET_SIZE(key),
        .by = by,
    };
    Py_INCREF(log); /* other threads may give the reader another one during a wait */
    uint64_t number;
    enum log_result result = addition.length > LARGEST_COPIED ? LOG_FAILED : add_patiently(&addition, &number);
    PyObject *answer = NULL;
    if (result == LOG_DONE) {
        log_ring(log, number);
        answer = Py_BuildValue("(LO)", (long long)addition.sum, log_notice(log) ? Py_True : Py_False);
    }
    else if (result != LOG_BUSY) {
        answer = Py_NewRef(Py_NotImplemented);
    }
    Py_DECREF(log);
    Py_DECREF(key);
    return answer;
}
