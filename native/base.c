/* Reads the base without LMDB: without a lock, without registration as a reader, and without pinning pages.
 *
 * The lock file names the newest transaction. LMDB stores its number there after it has written the header with that
 * number, so the number is neither torn nor ahead of the file. LMDB reuses only pages that were freed before the oldest
 * transaction that may be read, which is at most the one before its own. So the third commit after the one that frees a
 * page is the earliest that can write the page again. Thus a copy of snapshot S is valid if the newest transaction
 * afterwards is at most S + 1. Until that is known, the bytes that are read may be anything: each number is bounded
 * before it is followed. If a record is damaged or large, or cannot be found in this way, LMDB itself is asked.
 */

#include "base_reader.h"

#include "ends.h"
#include "platform.h"
#include "uses.h"

#include <stddef.h>
#include <sys/stat.h>

#define META_MAGIC 0xBEEFC0DEu
#define DATA_VERSION 1
#define MAIN_FLAGS 0x04       /* MDB_DUPSORT: its values have another form */
#define F_BIGDATA 0x01
#define DEEPEST 32            /* CURSOR_STACK of LMDB */
#define LOCK_SIZE 64
#define ATTEMPTS 16
#define FIRST_MAP (64 << 20)
#define LOOK_AGAIN 0.001       /* seconds */
#define ROW_KEY "\0shelf"     /* of the shelf row, which docs/format.md describes */
#define ROW_KEY_LENGTH 6
#define ROW_LENGTH 84
#define ROW_SEQUENCE 48
#define FIRST_KEY 0x10        /* keys of entries begin with this byte or a greater one */

/* --- the size of the file ------------------------------------------------------------------------------------------ */

static bool
look_at_size(BaseReader *self)
{
    struct stat information;
    if (fstat(self->ends, &information) < 0 || (size_t)information.st_size < self->known) {
        return false; /* it shrank: its pages must not be touched */
    }
    size_t size = (size_t)information.st_size, wanted = self->map_size;
    while (wanted < size) {
        wanted *= 2;
    }
    if (wanted > self->map_size) {
        void *map = mmap(NULL, wanted, PROT_READ, MAP_SHARED | MAP_NORESERVE, self->file, 0);
        if (map == MAP_FAILED) {
            return false; /* and the pages that are not mapped stay unknown */
        }
        munmap((void *)self->map, self->map_size);
        self->map = map;
        self->map_size = wanted;
    }
    self->known = size;
    return true;
}

static inline double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Whether the file is as long as it was: touching a page that is gone raises SIGBUS. Asked once a millisecond, since
 * the call takes as long as the rest of a look-up. */
static bool
is_whole(BaseReader *self, double now)
{
    if (now - self->looked < LOOK_AGAIN) {
        return true;
    }
    if (lseek(self->ends, 0, SEEK_END) < (off_t)self->known) {
        return false;
    }
    self->looked = now;
    return true;
}

/* ``count`` pages from a number on; NULL if the file does not have them. */
static const uint8_t *
pages_at(BaseReader *self, uint64_t number, uint64_t count)
{
    uint64_t most = UINT64_MAX / self->page_size / 2;
    if (number >= most || count >= most) {
        return NULL;
    }
    if ((number + count) * self->page_size > self->known
        && (!look_at_size(self) || (number + count) * self->page_size > self->known)) {
        return NULL;
    }
    return self->map + number * self->page_size;
}

/* --- searching ----------------------------------------------------------------------------------------------------- */

static int
compare(Span key, const uint8_t *bytes, size_t length)
{
    int order = memcmp(key.bytes, bytes, key.length < length ? key.length : length);
    return order ? order : (key.length > length) - (key.length < length);
}

/* The node at a place of a page; NULL if it does not lie within the page. */
const uint8_t *
base_node(BaseReader *self, const uint8_t *page, size_t place, size_t *key_length)
{
    size_t offset = two(page + PAGE_HEADER + 2 * place);
    if (offset < PAGE_HEADER || offset + NODE_HEADER > self->page_size) {
        return NULL;
    }
    *key_length = two(page + offset + 6);
    return offset + NODE_HEADER + *key_length > self->page_size ? NULL : page + offset;
}

/* How many nodes a page has; SIZE_MAX if the number is impossible. */
static size_t
nodes_of(BaseReader *self, const uint8_t *page)
{
    size_t lower = two(page + 12);
    return lower < PAGE_HEADER || lower > self->page_size ? SIZE_MAX : (lower - PAGE_HEADER) / 2;
}

/* The first node, from ``first`` on, whose key is not less than ``key``; ``equal`` says whether the keys are equal. */
size_t
base_search(BaseReader *self, const uint8_t *page, size_t first, size_t count, Span key, bool *equal)
{
    size_t low = first, high = count;
    *equal = false;
    while (low < high) {
        size_t middle = (low + high) / 2, length;
        const uint8_t *node = base_node(self, page, middle, &length);
        if (node == NULL) {
            return SIZE_MAX;
        }
        int order = compare(key, node + NODE_HEADER, length);
        if (order == 0) {
            *equal = true;
            return middle;
        }
        if (order > 0) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

/* A page, and how many nodes it has; NULL if it is not a page of this kind. */
const uint8_t *
base_page(BaseReader *self, uint64_t number, bool is_leaf, size_t *count)
{
    const uint8_t *page = pages_at(self, number, 1);
    if (page == NULL || eight(page) != number || (two(page + 10) & P_KIND) != (is_leaf ? P_LEAF : P_BRANCH)) {
        return NULL;
    }
    *count = nodes_of(self, page);
    return *count == SIZE_MAX || *count < 1 ? NULL : page;
}

/* The leaf that would have the key; NULL if a page on the way is not valid. */
static const uint8_t *
leaf_for(BaseReader *self, uint64_t root, unsigned depth, Span key, size_t *count)
{
    uint64_t number = root;
    for (unsigned level = 1;; level++) {
        const uint8_t *page = base_page(self, number, level == depth, count);
        if (page == NULL || level == depth) {
            return page;
        }
        bool equal;
        size_t length, place = base_search(self, page, 1, *count, key, &equal);
        if (place == SIZE_MAX) {
            return NULL;
        }
        const uint8_t *node = base_node(self, page, equal ? place : place - 1, &length);
        if (node == NULL) {
            return NULL;
        }
        number = base_child(node);
    }
}

enum found
base_copied(BaseReader *self, const uint8_t *bytes, size_t length)
{
    if (length > self->room || self->copy == NULL) {
        uint8_t *made = PyMem_Realloc(self->copy, length);
        if (made == NULL) {
            return ASK;
        }
        self->copy = made;
        self->room = length;
    }
    memcpy(self->copy, bytes, length);
    return THERE;
}

/* The tree of snapshot ``number``. MISSING if it has no rows, AGAIN if another commit came meanwhile. */
enum found
base_tree(BaseReader *self, uint64_t number, uint64_t *root, unsigned *depth)
{
    const uint8_t *meta = self->map + (number & 1) * self->page_size + PAGE_HEADER;
    const uint8_t *main = meta + 72; /* magic, version, address and map size, then the free pages' tree */
    unsigned flags = two(main + 4);
    *depth = two(main + 6);
    *root = eight(main + 40);
    atomic_thread_fence(memory_order_acquire);
    if (eight(meta + 128) != number || newest(self) != number) {
        return AGAIN;
    }
    if (*root == UINT64_MAX && !*depth) {
        return MISSING;
    }
    return flags & MAIN_FLAGS || *depth < 1 || *depth > DEEPEST ? ASK : THERE;
}

/* Copy the record at a place of a leaf. */
enum found
base_copy_record(BaseReader *self, const uint8_t *leaf, size_t place, size_t *length)
{
    size_t key_length;
    const uint8_t *node = base_node(self, leaf, place, &key_length);
    if (node == NULL) {
        return ASK;
    }
    size_t size = four(node); /* its halves have the order of the machine's bytes */
    unsigned node_flags = two(node + 4);
    const uint8_t *data = node + NODE_HEADER + key_length;
    if (size > LARGEST_COPIED || node_flags & ~(unsigned)F_BIGDATA) {
        return ASK;
    }
    if (node_flags) {
        if (data + 8 > leaf + self->page_size) {
            return ASK;
        }
        const uint8_t *run = pages_at(self, eight(data), (PAGE_HEADER + size + self->page_size - 1) / self->page_size);
        if (run == NULL || (two(run + 10) & P_KIND) != P_OVERFLOW) {
            return ASK;
        }
        data = run + PAGE_HEADER;
    }
    else if (data + size > leaf + self->page_size) {
        return ASK;
    }
    *length = size;
    return base_copied(self, data, size);
}

/* Copy the record that a key has in snapshot ``number``. AGAIN if another commit came meanwhile. */
static enum found
copy_record(BaseReader *self, uint64_t number, Span key, size_t *length)
{
    uint64_t root;
    unsigned depth;
    enum found found = base_tree(self, number, &root, &depth);
    if (found != THERE) {
        return found;
    }
    size_t count;
    const uint8_t *leaf = leaf_for(self, root, depth, key, &count);
    if (leaf == NULL) {
        return ASK;
    }
    bool equal;
    size_t place = base_search(self, leaf, 0, count, key, &equal);
    if (place == SIZE_MAX) {
        return ASK;
    }
    return equal ? base_copy_record(self, leaf, place, length) : MISSING;
}

static enum found
find_in_base(BaseReader *self, Span key, size_t *length)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint64_t number = newest(self);
        enum found found = copy_record(self, number, key, length);
        atomic_thread_fence(memory_order_acquire);
        if (found != AGAIN && newest(self) - number <= 1) {
            return found;
        }
    }
    return ASK;
}

/* The number up to which the base has every commit; false if LMDB has to be asked. */
bool
base_read_sequence(BaseReader *self, uint64_t *sequence)
{
    uint64_t number = newest(self);
    if (number != self->row_of) {
        uint8_t *record = self->copy;
        size_t room = self->room, length;
        self->copy = NULL;
        self->room = 0;
        enum found found = find_in_base(self, (Span){(const uint8_t *)ROW_KEY, ROW_KEY_LENGTH}, &length);
        bool there = found == THERE && length == ROW_LENGTH && newest(self) == number
                     && checksum(self->copy, ROW_LENGTH - 4, 0) == four(self->copy + ROW_LENGTH - 4);
        if (there) {
            self->sequence = eight(self->copy + ROW_SEQUENCE);
            self->row_of = number;
        }
        PyMem_Free(self->copy);
        self->copy = record;
        self->room = room;
        if (!there) {
            return false;
        }
    }
    *sequence = self->sequence;
    return true;
}

/* Whether no process has flushed for so long that a reader has to see to it. */
static bool
is_neglected(BaseReader *self, double now)
{
    double last;
    memcpy(&last, (const uint8_t *)self->state.buf + self->last_flush, sizeof(last));
    return !(now - last <= self->patience);
}

/* Look in the log. AGAIN: the base has the newest record of the key, if there is one. */
static enum found
find_in_log(BaseReader *self, Span key, double now, size_t *length)
{
    Log *log = (Log *)self->log;
    uint64_t sequence;
    if (log == NULL || log->closed
        || atomic_load_explicit(log->log.generation, memory_order_acquire) != log->log.mine || is_neglected(self, now)) {
        return ASK;
    }
    int found = log_copy(log, key.bytes, key.length, &self->copy, &self->room, length);
    if (found == 0) {
        return AGAIN;
    }
    if (found < 0 || *length > LARGEST_COPIED || !base_read_sequence(self, &sequence)) {
        return ASK;
    }
    if (log_number_of(self->copy, *length) <= sequence) {
        return AGAIN;
    }
    return *length == TRAILER ? MISSING : THERE;
}

static inline uint32_t
state_word(BaseReader *self, Py_ssize_t place)
{
    return atomic_load_explicit((const _Atomic uint32_t *)((const uint8_t *)self->state.buf + place),
                                memory_order_acquire);
}

/* Where reads of the key are noted, if the shelf is bounded. */
static inline uint32_t
use_place(BaseReader *self, Span key)
{
    return self->uses.places == NULL ? 0 : uses_place(&self->uses, key.bytes, key.length);
}

/* Note that a key was read, if the shelf is bounded. */
static inline void
note_use(BaseReader *self, Span key, uint32_t place, enum found found)
{
    if (self->uses.places == NULL || key.length == 0 || key.bytes[0] < FIRST_KEY) {
        return;
    }
    if (found == THERE) {
        uses_note(&self->uses, place, state_word(self, self->bell));
    }
    else if (found == MISSING) {
        uses_note_miss(&self->uses);
    }
}

/* Copy the record of a key. Returns MISSING if there is none, and ASK if LMDB has to be asked. */
static enum found
find_record(BaseReader *self, Span key, size_t *length)
{
    if (self->closed) {
        return ASK;
    }
    double now = seconds();
    if (!is_whole(self, now) || (self->uses_word >= 0 && state_word(self, self->uses_word) != self->known_uses)) {
        return ASK;
    }
    if (self->dirty >= 0 && state_word(self, self->dirty)) {
        enum found found = find_in_log(self, key, now, length);
        if (found != AGAIN) {
            return found;
        }
    }
    return find_in_base(self, key, length);
}

/* The value of the record in the reader, of which the caller knows that it is intact. As plain_loads().
 *
 * Loading may start a garbage collection, which may run any code, which may read with this object. So the copy is taken
 * out of the object meanwhile. */
PyObject *
base_loaded(BaseReader *self, size_t length)
{
    uint8_t *record = self->copy;
    size_t room = self->room;
    self->copy = NULL;
    self->room = 0;
    PyObject *value = plain_loads(record, (Py_ssize_t)length);
    if (self->copy == NULL && !self->closed) {
        self->copy = record;
        self->room = room;
    }
    else {
        PyMem_Free(record);
    }
    return value;
}

/* --- for other files ----------------------------------------------------------------------------------------------- */

bool
base_is_readable(BaseReader *self)
{
    Log *log = (Log *)self->log;
    double now = seconds();
    return !self->closed && log != NULL && !log->closed && self->dirty >= 0
           && atomic_load_explicit(log->log.generation, memory_order_acquire) == log->log.mine && is_whole(self, now)
           && !(state_word(self, self->dirty) && is_neglected(self, now));
}

Log *
base_reader_log(PyObject *reader)
{
    BaseReader *self = (BaseReader *)reader;
    return self->closed ? NULL : (Log *)self->log;
}

bool
base_reader_find(PyObject *reader, const uint8_t *key, size_t length, bool only_in_log, const uint8_t **record,
                 size_t *size)
{
    BaseReader *self = (BaseReader *)reader;
    Span span = {key, length};
    enum found found = only_in_log && !self->closed ? find_in_log(self, span, seconds(), size)
                                                    : find_record(self, span, size);
    *record = self->copy;
    return found == THERE;
}

enum found
base_find_record(BaseReader *self, Span key, size_t *length)
{
    return find_record(self, key, length);
}

/* --- the object ---------------------------------------------------------------------------------------------------- */

static void
close_reader(BaseReader *self)
{
    if (self->map != NULL) {
        munmap((void *)self->map, self->map_size);
        self->map = NULL;
    }
    if (self->lock != NULL) {
        munmap((void *)self->lock, LOCK_SIZE);
        self->lock = NULL;
    }
    Py_CLEAR(self->log);
    ends_forget(self);
    PyMem_Free(self->copy);
    self->copy = NULL;
    self->room = 0;
    self->closed = true;
    uses_close(&self->uses);
    Py_buffer state = self->state;
    self->state.obj = NULL; /* releasing may run Python code, which may close this reader */
    PyBuffer_Release(&state);
}

/* Whether the headers and the lock file have the forms that this code knows. */
static bool
is_understood(BaseReader *self)
{
    const uint8_t *meta = self->map + PAGE_HEADER;
    self->page_size = four(meta + 24);
    if (four(meta) != META_MAGIC || four(meta + 4) != DATA_VERSION || self->page_size < 512
        || self->page_size > 65536 || self->page_size & (self->page_size - 1) || self->known < 2 * self->page_size) {
        return false;
    }
    const uint8_t *other = meta + self->page_size;
    uint64_t last = newest(self);
    return four(other) == META_MAGIC && four(self->lock) == META_MAGIC
           && (eight(meta + 128) == last || eight(other + 128) == last);
}

static int
open_reader(BaseReader *self, int file, int lock)
{
    struct stat information;
    if (fstat(file, &information) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->known = (size_t)information.st_size;
    self->map_size = FIRST_MAP;
    while (self->map_size < self->known) {
        self->map_size *= 2;
    }
    void *map = mmap(NULL, self->map_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (map == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->map = map;
    map = mmap(NULL, LOCK_SIZE, PROT_READ, MAP_SHARED, lock, 0);
    if (map == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->lock = map;
    if (fstat(lock, &information) < 0 || information.st_size < LOCK_SIZE || self->known < PAGE_HEADER + 136
        || !is_understood(self)) {
        PyErr_SetString(PyExc_ValueError, "these are not the files of an LMDB that can be read without it");
        return -1;
    }
    return 0;
}

static PyObject *
reader_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"file", "ends", "lock", "state", "dirty", NULL};
    int file, ends, lock;
    PyObject *state = Py_None;
    Py_ssize_t dirty = -1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "iii|On:BaseReader", names, &file, &ends, &lock, &state, &dirty)) {
        return NULL;
    }
    BaseReader *self = (BaseReader *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->file = file;
    self->ends = ends;
    self->dirty = -1;
    self->uses_word = -1;
    if (open_reader(self, file, lock) < 0
        || (state != Py_None && PyObject_GetBuffer(state, &self->state, PyBUF_SIMPLE) < 0)) {
        Py_DECREF(self);
        return NULL;
    }
    if (state != Py_None) {
        if (dirty < 0 || dirty > self->state.len - 4 || ((uintptr_t)self->state.buf + (size_t)dirty) % 4) {
            PyErr_SetString(PyExc_ValueError, "dirty is no place of a word in the state page");
            Py_DECREF(self);
            return NULL;
        }
        self->dirty = dirty;
    }
    return (PyObject *)self;
}

static void
reader_dealloc(BaseReader *self)
{
    PyTypeObject *type = Py_TYPE(self);
    close_reader(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

PyDoc_STRVAR(reader_get_doc,
"get(key, /)\n--\n\n"
"The record of an encoded key, None if there is none; ``NotImplemented`` where LMDB has to be asked.");

static PyObject *
reader_get(BaseReader *self, PyObject *key)
{
    if (!PyBytes_CheckExact(key)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    size_t length;
    Span span = {(const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key)};
    uint32_t place = use_place(self, span);
    enum found found = find_record(self, span, &length);
    note_use(self, span, place, found);
    switch (found) {
    case THERE: return PyBytes_FromStringAndSize((const char *)self->copy, (Py_ssize_t)length);
    case MISSING: Py_RETURN_NONE;
    default: Py_RETURN_NOTIMPLEMENTED;
    }
}

PyDoc_STRVAR(reader_load_doc,
"load(key, start=None, /)\n--\n\n"
"The value of a key, if it is plain data and its record is intact; ``NotImplemented`` otherwise.\n\n"
"``start`` is what the bytes of a text begin with in the key's namespace, unless that is the whole shelf.");

static PyObject *
reader_load(BaseReader *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 1 && (count != 2 || (arguments[1] != Py_None && !PyBytes_CheckExact(arguments[1])))) {
        PyErr_SetString(PyExc_TypeError, "load() takes a key, and the bytes before it or None");
        return NULL;
    }
    PyObject *encoded = count == 1 || arguments[1] == Py_None ? encode_key(arguments[0])
                                                               : encode_key_under(arguments[1], arguments[0]);
    PyObject *value = NULL;
    if (encoded == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_NotImplemented);
    }
    size_t length;
    Span span = {(const uint8_t *)PyBytes_AS_STRING(encoded), (size_t)PyBytes_GET_SIZE(encoded)};
    uint32_t place = use_place(self, span);
    if (find_record(self, span, &length) == THERE && is_intact(span.bytes, span.length, self->copy, length)) {
        value = base_loaded(self, length);
        if (value != NULL && !self->closed) {
            note_use(self, span, place, THERE);
        }
    }
    Py_DECREF(encoded);
    if (value == NULL && !PyErr_Occurred()) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return value;
}

PyDoc_STRVAR(reader_attach_doc,
"attach(log, last_flush, patience, /)\n--\n\n"
"Look in this log while the delta is dirty. ``last_flush`` is the place in the state page with the time of the last\n"
"flush. LMDB is asked if that was more than ``patience`` seconds ago.");

static PyObject *
reader_attach(BaseReader *self, PyObject *arguments)
{
    PyObject *log;
    Py_ssize_t last_flush;
    double patience;
    if (!PyArg_ParseTuple(arguments, "Ond:attach", &log, &last_flush, &patience)) {
        return NULL;
    }
    if (Py_TYPE(log)->tp_dealloc != (destructor)log_dealloc) {
        PyErr_SetString(PyExc_TypeError, "this is no log");
        return NULL;
    }
    if (self->closed || last_flush < 0 || last_flush + 8 > self->state.len) {
        PyErr_SetString(PyExc_ValueError, "the reader is closed, or has no such place in its state page");
        return NULL;
    }
    self->last_flush = last_flush;
    self->patience = patience;
    ends_forget(self);
    Py_XSETREF(self->log, Py_NewRef(log));
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reader_note_uses_doc,
"note_uses(table, bits, shard, word, known, bell, /)\n--\n\n"
"Note reads in a table of uses with 2**bits places, or nowhere if ``table`` is None. The counts are ``shard`` bytes\n"
"from its beginning. LMDB is asked when the word of the state page at ``word`` is not ``known``. The number of the last\n"
"commit is at ``bell``.");

static PyObject *
reader_note_uses(BaseReader *self, PyObject *arguments)
{
    PyObject *table;
    int bits;
    Py_ssize_t shard, word, bell;
    unsigned known;
    if (!PyArg_ParseTuple(arguments, "OinnIn:note_uses", &table, &bits, &shard, &word, &known, &bell)) {
        return NULL;
    }
    if (self->closed || word < 0 || word % 4 || word > self->state.len - 4 || bell < 0 || bell % 4
        || bell > self->state.len - 4 || (uintptr_t)self->state.buf % 4) {
        PyErr_SetString(PyExc_ValueError, "the reader is closed, or has no such places in its state page");
        return NULL;
    }
    if (table == Py_None) {
        uses_close(&self->uses);
    }
    else if (uses_open(&self->uses, table, bits, shard) < 0) {
        return NULL;
    }
    self->bell = bell;
    self->known_uses = known;
    self->uses_word = word;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reader_close_doc,
"close()\n--\n\n"
"Give up the maps. The descriptors stay open.");

static PyObject *
reader_close(BaseReader *self, PyObject *Py_UNUSED(nothing))
{
    close_reader(self);
    Py_RETURN_NONE;
}

static PyMethodDef reader_methods[] = {
    {"get", (PyCFunction)reader_get, METH_O, reader_get_doc},
    {"load", (PyCFunction)(void (*)(void))reader_load, METH_FASTCALL, reader_load_doc},
    {"attach", (PyCFunction)reader_attach, METH_VARARGS, reader_attach_doc},
    {"note_uses", (PyCFunction)reader_note_uses, METH_VARARGS, reader_note_uses_doc},
    {"add", (PyCFunction)(void (*)(void))reader_add, METH_FASTCALL, reader_add_doc},
    {"pop", (PyCFunction)(void (*)(void))reader_pop, METH_FASTCALL, reader_pop_doc},
    {"setdefault", (PyCFunction)(void (*)(void))reader_setdefault, METH_FASTCALL, reader_setdefault_doc},
    {"popitem", (PyCFunction)(void (*)(void))reader_popitem, METH_FASTCALL, reader_popitem_doc},
    {"first", (PyCFunction)(void (*)(void))reader_first, METH_FASTCALL, reader_first_doc},
    {"take", (PyCFunction)(void (*)(void))reader_take, METH_FASTCALL, reader_take_doc},
    {"commit", (PyCFunction)reader_commit, METH_VARARGS, reader_commit_doc},
    {"close", (PyCFunction)reader_close, METH_NOARGS, reader_close_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(reader_doc,
"BaseReader(file, ends, lock, state=None, dirty=-1)\n--\n\n"
"Reads records of an LMDB file by descriptors, which stay the caller's: of the file, one of the file whose position\n"
"may be moved, and one of the lock file.\n\n"
"``state`` is a buffer whose word at ``dirty`` says, unless it is 0, that LMDB has to be asked.");

static PyType_Slot reader_slots[] = {
    {Py_tp_doc, (void *)reader_doc},
    {Py_tp_new, reader_new},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_methods, reader_methods},
    {0, NULL},
};

PyType_Spec base_reader_spec = {
    .name = "coshelf._native.BaseReader",
    .basicsize = sizeof(BaseReader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = reader_slots,
};
