/* Loads pickles of plain data without Python's unpickler.
 *
 * This code looks up no class and calls nothing. It leaves any pickle that it does not understand (rare, damaged or
 * hostile) to its caller, which gives the pickle to the pickle module or to the gate. So each error has one source.
 * Each value has beside it what the survey of the gate notes (src/coshelf/trust/gate/bounds.py): how deep it nests, and
 * what hashing it costs.
 */

#include "native.h"

#define FIRST_VALUES 64
#define FIRST_MEMO 64
#define FIRST_MARKS 16
#define FIRST_LEVELS 16
#define FEWEST_HASHES 2000000 /* parts of keys: a tenth of a second */
#define HASHES_PER_BYTE 16
#define LONGEST_SHARED 32 /* bytes of a text that values may share */
#define PART_OF_INT 64 /* hashing so many bytes of an int takes as long as hashing one part */

typedef struct {
    PyObject *object;
    uint64_t parts;   /* what hashing it costs beyond one */
    uint32_t depth;   /* if it cannot be filled any more */
    uint32_t level;   /* if it can be filled: where its depth is noted; otherwise 0 */
} Value;

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    Value *values;
    size_t count, room;
    Value *memo;
    size_t noted, memo_room;
    size_t *marks;
    size_t marked, marks_room;
    uint32_t *levels;
    size_t levels_used, levels_room;
    uint64_t size;
    int64_t hashes;
    Texts *texts;   /* NULL if there are none */
    uint64_t value; /* the number of this value for them */
    Value first_values[FIRST_VALUES];
    Value first_memo[FIRST_MEMO];
    size_t first_marks[FIRST_MARKS];
    uint32_t first_levels[FIRST_LEVELS];
} Unpickler;

/* --- growing arrays ------------------------------------------------------------------------------------------------ */

/* ``array`` is where the pointer to the array is, which has the same form for items of any type. */
static int
enlarge(void *array, void *first, size_t *room, size_t item)
{
    void *old, *made;
    memcpy(&old, array, sizeof(old));
    size_t wanted = *room * 4;
    made = old == first ? PyMem_Malloc(wanted * item) : PyMem_Realloc(old, wanted * item);
    if (made == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (old == first) {
        memcpy(made, first, *room * item);
    }
    memcpy(array, &made, sizeof(made));
    *room = wanted;
    return 0;
}

/* Takes over the reference to the object, even if it fails. */
static inline int
push(Unpickler *self, PyObject *object, uint32_t depth, uint64_t parts, uint32_t level)
{
    if (object == NULL) {
        return -1;
    }
    if (self->count == self->room
        && enlarge(&self->values, self->first_values, &self->room, sizeof(Value)) < 0) {
        Py_DECREF(object);
        return -1;
    }
    self->values[self->count++] = (Value){object, parts, depth, level};
    return 0;
}

static inline int
push_scalar(Unpickler *self, PyObject *object)
{
    return push(self, object, 0, 0, 0);
}

static int
push_container(Unpickler *self, PyObject *object)
{
    if (self->levels_used == self->levels_room
        && enlarge(&self->levels, self->first_levels, &self->levels_room, sizeof(uint32_t)) < 0) {
        Py_XDECREF(object);
        return -1;
    }
    self->levels[self->levels_used] = 1;
    return push(self, object, 0, 0, (uint32_t)self->levels_used++);
}

/* How many values lie before the last mark. No instruction but the mark's own reaches them. */
static inline size_t
before_mark(Unpickler *self)
{
    return self->marked ? self->marks[self->marked - 1] : 0;
}

static int
memoize(Unpickler *self)
{
    if (self->count == before_mark(self)) {
        return -1;
    }
    if (self->noted == self->memo_room
        && enlarge(&self->memo, self->first_memo, &self->memo_room, sizeof(Value)) < 0) {
        return -1;
    }
    Value value = self->values[self->count - 1];
    Py_INCREF(value.object);
    self->memo[self->noted++] = value;
    return 0;
}

static int
push_known(Unpickler *self, uint64_t number)
{
    if (number >= self->noted) {
        return -1;
    }
    Value *known = &self->memo[number];
    uint32_t depth = known->level ? self->levels[known->level] : known->depth;
    Py_INCREF(known->object);
    return push(self, known->object, depth, known->parts, 0);
}

static int
mark(Unpickler *self)
{
    if (self->marked == self->marks_room
        && enlarge(&self->marks, self->first_marks, &self->marks_room, sizeof(size_t)) < 0) {
        return -1;
    }
    self->marks[self->marked++] = self->count;
    return 0;
}

/* --- bounds -------------------------------------------------------------------------------------------------------- */

/* The depth of a container of these values; 0 if it is too deep. */
static uint32_t
depth_over(Unpickler *self, const Value *values, size_t count)
{
    uint32_t deepest = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t depth = values[i].level ? self->levels[values[i].level] : values[i].depth;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest < MOST_LEVELS ? deepest + 1 : 0;
}

static uint64_t
parts_of(const Value *values, size_t count)
{
    uint64_t parts = count;
    for (size_t i = 0; i < count; i++) {
        parts += values[i].parts;
    }
    return parts < (uint64_t)1 << 40 ? parts : (uint64_t)1 << 40;
}

static inline int
pay_for_hash(Unpickler *self, const Value *key)
{
    self->hashes -= 1 + (int64_t)key->parts;
    return self->hashes < 0 ? -1 : 0;
}

/* The container below these values on the stack; NULL if it cannot be filled with them. */
static Value *
target_below(Unpickler *self, size_t first)
{
    if (first <= before_mark(self) || !self->values[first - 1].level) {
        return NULL;
    }
    Value *target = &self->values[first - 1];
    uint32_t depth = depth_over(self, self->values + first, self->count - first);
    if (depth == 0) {
        return NULL;
    }
    uint32_t *level = &self->levels[target->level];
    *level = depth > *level ? depth : *level;
    return target;
}

static void
drop_from(Unpickler *self, size_t first)
{
    while (self->count > first) {
        Py_DECREF(self->values[--self->count].object);
    }
}

/* Remove the last mark. Returns where the values after it begin; -1 if there is no mark. */
static Py_ssize_t
since_mark(Unpickler *self)
{
    return self->marked ? (Py_ssize_t)self->marks[--self->marked] : -1;
}

static Py_ssize_t
last(Unpickler *self, size_t count)
{
    return self->count >= before_mark(self) + count ? (Py_ssize_t)(self->count - count) : -1;
}

/* --- filling and making containers --------------------------------------------------------------------------------- */

static int
append(Unpickler *self, Py_ssize_t first)
{
    Value *target = first < 0 ? NULL : target_below(self, (size_t)first);
    if (target == NULL || !PyList_CheckExact(target->object)) {
        return -1;
    }
    for (size_t i = (size_t)first; i < self->count; i++) {
        if (PyList_Append(target->object, self->values[i].object) < 0) {
            return -1;
        }
    }
    drop_from(self, (size_t)first);
    return 0;
}

static int
set_items(Unpickler *self, Py_ssize_t first)
{
    Value *target = first < 0 ? NULL : target_below(self, (size_t)first);
    if (target == NULL || !PyDict_CheckExact(target->object) || (self->count - (size_t)first) % 2) {
        return -1;
    }
    for (size_t i = (size_t)first; i < self->count; i += 2) {
        if (pay_for_hash(self, &self->values[i]) < 0
            || PyDict_SetItem(target->object, self->values[i].object, self->values[i + 1].object) < 0) {
            return -1;
        }
    }
    drop_from(self, (size_t)first);
    return 0;
}

static int
add_items(Unpickler *self, Py_ssize_t first)
{
    Value *target = first < 0 ? NULL : target_below(self, (size_t)first);
    if (target == NULL || !PySet_CheckExact(target->object)) {
        return -1;
    }
    for (size_t i = (size_t)first; i < self->count; i++) {
        if (pay_for_hash(self, &self->values[i]) < 0 || PySet_Add(target->object, self->values[i].object) < 0) {
            return -1;
        }
    }
    drop_from(self, (size_t)first);
    return 0;
}

/* A tuple of the values from ``first`` on. They leave the stack, and the tuple takes over their references. */
static PyObject *
tuple_from(Unpickler *self, size_t first)
{
    size_t length = self->count - first;
    PyObject *made = PyTuple_New((Py_ssize_t)length);
    if (made == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        PyTuple_SET_ITEM(made, (Py_ssize_t)i, self->values[first + i].object);
    }
    self->count = first;
    return made;
}

static int
make_tuple(Unpickler *self, Py_ssize_t first)
{
    if (first < 0) {
        return -1;
    }
    uint32_t depth = depth_over(self, self->values + first, self->count - (size_t)first);
    uint64_t parts = parts_of(self->values + first, self->count - (size_t)first);
    if (depth == 0) {
        return -1;
    }
    return push(self, tuple_from(self, (size_t)first), depth, parts, 0);
}

static int
make_frozenset(Unpickler *self, Py_ssize_t first)
{
    if (first < 0) {
        return -1;
    }
    uint32_t depth = depth_over(self, self->values + first, self->count - (size_t)first);
    if (depth == 0) {
        return -1;
    }
    for (size_t i = (size_t)first; i < self->count; i++) {
        if (pay_for_hash(self, &self->values[i]) < 0) {
            return -1;
        }
    }
    PyObject *items = tuple_from(self, (size_t)first);
    PyObject *made = items == NULL ? NULL : PyFrozenSet_New(items);
    Py_XDECREF(items);
    return push(self, made, depth, 0, 0);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

/* Read a little-endian number of ``width`` bytes. Returns -1 if the data ends too early. */
static inline int
number(Unpickler *self, int width, uint64_t *found)
{
    if (self->end - self->at < width) {
        return -1;
    }
    *found = 0;
    for (int i = 0; i < width; i++) {
        *found |= (uint64_t)self->at[i] << (8 * i);
    }
    self->at += width;
    return 0;
}

/* Bytes after their length, which has ``width`` bytes; NULL if the data ends too early. */
static inline const uint8_t *
counted(Unpickler *self, int width, Py_ssize_t *length)
{
    uint64_t found;
    if (number(self, width, &found) < 0 || found > (uint64_t)(self->end - self->at)) {
        return NULL;
    }
    const uint8_t *bytes = self->at;
    *length = (Py_ssize_t)found;
    self->at += found;
    return bytes;
}

/* A short text, which may be the object of an earlier value. */
static PyObject *
shared_text(Texts *texts, uint64_t value, const uint8_t *bytes, Py_ssize_t length)
{
    uint64_t first = 0, last = 0;
    memcpy(&first, bytes, length < 8 ? (size_t)length : 8);
    memcpy(&last, bytes + (length < 8 ? 0 : length - 8), length < 8 ? (size_t)length : 8);
    size_t place = (size_t)((first * 31 + last + (uint64_t)length) * 0x9E3779B97F4A7C15u >> 56) % TEXTS;
    PyObject *known = texts->known[place];
    if (known != NULL && PyUnicode_GET_LENGTH(known) == length
        && memcmp(PyUnicode_1BYTE_DATA(known), bytes, (size_t)length) == 0) {
        if (texts->taken_in[place] < value) {
            texts->taken_in[place] = value;
            return Py_NewRef(known);
        }
        return PyUnicode_DecodeUTF8((const char *)bytes, length, "surrogatepass");
    }
    PyObject *made = PyUnicode_DecodeUTF8((const char *)bytes, length, "surrogatepass");
    if (made != NULL && PyUnicode_IS_COMPACT_ASCII(made)) {
        Py_XSETREF(texts->known[place], Py_NewRef(made));
        texts->taken_in[place] = value;
    }
    return made;
}

void
forget_texts(Texts *texts)
{
    for (int place = 0; place < TEXTS; place++) {
        Py_CLEAR(texts->known[place]);
    }
}

static int
load_str(Unpickler *self, int width)
{
    Py_ssize_t length;
    const uint8_t *bytes = counted(self, width, &length);
    if (bytes == NULL) {
        return -1;
    }
    if (self->texts != NULL && length > 1 && length <= LONGEST_SHARED) {
        return push_scalar(self, shared_text(self->texts, self->value, bytes, length));
    }
    return push_scalar(self, PyUnicode_DecodeUTF8((const char *)bytes, length, "surrogatepass"));
}

static int
load_bytes(Unpickler *self, int width)
{
    Py_ssize_t length;
    const uint8_t *bytes = counted(self, width, &length);
    /* As pickle does: PyBytes_FromStringAndSize() with the data would return a shared object for one byte. */
    PyObject *made = bytes == NULL ? NULL : PyBytes_FromStringAndSize(NULL, length);
    if (made != NULL) {
        memcpy(PyBytes_AS_STRING(made), bytes, (size_t)length);
    }
    return push_scalar(self, made);
}

static int
load_bytearray(Unpickler *self)
{
    Py_ssize_t length;
    const uint8_t *bytes = counted(self, 8, &length);
    return bytes == NULL ? -1 : push_scalar(self, PyByteArray_FromStringAndSize((const char *)bytes, length));
}

static int
load_int(Unpickler *self, int width)
{
    uint64_t found;
    if (number(self, width, &found) < 0) {
        return -1;
    }
    return push_scalar(self, PyLong_FromLong(width == 4 ? (long)(int32_t)(uint32_t)found : (long)found));
}

static int
load_large_int(Unpickler *self, int width)
{
    Py_ssize_t length;
    const uint8_t *bytes = counted(self, width, &length);
    if (bytes == NULL || (width == 4 && length > INT32_MAX)) {
        return -1;
    }
    PyObject *made;
    if (length <= 8) {
        uint64_t bits = length && bytes[length - 1] & 0x80 ? UINT64_MAX : 0;
        for (Py_ssize_t i = 0; i < length; i++) {
            bits = (bits & ~((uint64_t)0xff << (8 * i))) | (uint64_t)bytes[i] << (8 * i);
        }
        made = PyLong_FromLongLong((long long)bits);
    }
    else {
        made = PyObject_CallMethod((PyObject *)&PyLong_Type, "from_bytes", "y#s", (const char *)bytes, length,
                                   "little");
        if (made != NULL && bytes[length - 1] & 0x80) { /* negative: two to the power of its bits is subtracted */
            PyObject *one = PyLong_FromLong(1), *bits = PyLong_FromSsize_t(8 * length);
            PyObject *power = one == NULL || bits == NULL ? NULL : PyNumber_Lshift(one, bits);
            Py_SETREF(made, power == NULL ? NULL : PyNumber_Subtract(made, power));
            Py_XDECREF(one);
            Py_XDECREF(bits);
            Py_XDECREF(power);
        }
    }
    return push(self, made, 0, (uint64_t)length / PART_OF_INT, 0);
}

static int
load_float(Unpickler *self)
{
    if (self->end - self->at < 8) {
        return -1;
    }
    double found = PyFloat_Unpack8((const char *)self->at, 0);
    self->at += 8;
    if (found == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    return push_scalar(self, PyFloat_FromDouble(found));
}

static int
skip_frame(Unpickler *self)
{
    uint64_t length;
    return number(self, 8, &length) < 0 || length > (uint64_t)(self->end - self->at) ? -1 : 0;
}

static int
load_known(Unpickler *self, int width)
{
    uint64_t which;
    return number(self, width, &which) < 0 ? -1 : push_known(self, which);
}

/* Python's pickler numbers memoized values from 0 on. A pickle with other numbers is left to Python. */
static int
load_noted(Unpickler *self, int width)
{
    uint64_t which;
    return number(self, width, &which) < 0 || which != self->noted ? -1 : memoize(self);
}

static inline int
push_same(Unpickler *self, PyObject *object)
{
    Py_INCREF(object);
    return push_scalar(self, object);
}

/* Follow one instruction. Returns 1 at the end, 0 to continue, and -1 if it failed or is left to Python. */
static inline int
step(Unpickler *self)
{
    if (self->at == self->end) {
        return -1;
    }
    switch (*self->at++) {
    case 0x8c: return load_str(self, 1);
    case 0x94: return memoize(self);
    case 'K': return load_int(self, 1);
    case 'h': return load_known(self, 1);
    case 'M': return load_int(self, 2);
    case 'J': return load_int(self, 4);
    case 'G': return load_float(self);
    case 'N': return push_same(self, Py_None);
    case 0x88: return push_same(self, Py_True);
    case 0x89: return push_same(self, Py_False);
    case '(': return mark(self);
    case '}': return push_container(self, PyDict_New());
    case 'u': return set_items(self, since_mark(self));
    case 's': return set_items(self, last(self, 2));
    case ']': return push_container(self, PyList_New(0));
    case 'e': return append(self, since_mark(self));
    case 'a': return append(self, last(self, 1));
    case 0x85: return make_tuple(self, last(self, 1));
    case 0x86: return make_tuple(self, last(self, 2));
    case 0x87: return make_tuple(self, last(self, 3));
    case 't': return make_tuple(self, since_mark(self));
    case ')': return push(self, PyTuple_New(0), 1, 0, 0);
    case 0x8f: return push_container(self, PySet_New(NULL));
    case 0x90: return add_items(self, since_mark(self));
    case 0x91: return make_frozenset(self, since_mark(self));
    case 'X': return load_str(self, 4);
    case 0x8d: return load_str(self, 8);
    case 'C': return load_bytes(self, 1);
    case 'B': return load_bytes(self, 4);
    case 0x8e: return load_bytes(self, 8);
    case 0x96: return load_bytearray(self);
    case 0x8a: return load_large_int(self, 1);
    case 0x8b: return load_large_int(self, 4);
    case 'j': return load_known(self, 4);
    case 'q': return load_noted(self, 1);
    case 'r': return load_noted(self, 4);
    case 0x95: return skip_frame(self);
    case '.': return 1;
    default: return -1;
    }
}

static void
release(Unpickler *self)
{
    drop_from(self, 0);
    while (self->noted) {
        Py_DECREF(self->memo[--self->noted].object);
    }
    if (self->values != self->first_values) {
        PyMem_Free(self->values);
    }
    if (self->memo != self->first_memo) {
        PyMem_Free(self->memo);
    }
    if (self->marks != self->first_marks) {
        PyMem_Free(self->marks);
    }
    if (self->levels != self->first_levels) {
        PyMem_Free(self->levels);
    }
}

PyObject *
plain_loads(const uint8_t *data, Py_ssize_t size)
{
    return plain_loads_sharing(NULL, data, size);
}

PyObject *
plain_loads_sharing(Texts *texts, const uint8_t *data, Py_ssize_t size)
{
    if (size < 2 || data[0] != 0x80 || data[1] < 2 || data[1] > 5) {
        return NULL;
    }
    Unpickler self;
    self.at = data + 2;
    self.end = data + size;
    self.values = self.first_values;
    self.count = 0;
    self.room = FIRST_VALUES;
    self.memo = self.first_memo;
    self.noted = 0;
    self.memo_room = FIRST_MEMO;
    self.marks = self.first_marks;
    self.marked = 0;
    self.marks_room = FIRST_MARKS;
    self.levels = self.first_levels;
    self.levels_used = 1;
    self.levels_room = FIRST_LEVELS;
    self.hashes = FEWEST_HASHES + HASHES_PER_BYTE * (int64_t)size;
    self.texts = texts;
    self.value = texts == NULL ? 0 : ++texts->values;

    int ended;
    do {
        ended = step(&self);
    } while (ended == 0);
    PyObject *result = NULL;
    if (ended == 1 && self.count == 1 && self.marked == 0) {
        result = self.values[0].object;
        self.count = 0;
    }
    release(&self);
    if (result == NULL && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear(); /* a key that cannot be hashed, or text that is not UTF-8: pickle raises its own error */
    }
    return result;
}
