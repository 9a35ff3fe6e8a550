/* Pickles plain data, byte for byte as pickle.dumps(value, protocol=5) does.
 *
 * The steps have the order of CPython's _pickle.c, because the order decides the bytes. The memo is asked before a
 * container is written. A frame of 64 KiB or more ends before the next object. Lists, dicts and sets are written in
 * batches of a thousand. No Python code runs while a value is written, so nothing changes meanwhile: garbage collections,
 * which would run finalizers, wait.
 */

#include "native.h"

#define FRAME_TARGET (64 * 1024)
#define FRAME_LEAST 4
#define FRAME_HEADER 9
#define BATCH 1000
#define ON_STACK 1024 /* bytes of output that need no allocation */

/* A hash table from an object's address to its number: open addressing; the number of places is a power of two. */
typedef struct {
    PyObject *object;
    Py_ssize_t number;
} Noted;

typedef struct {
    char *data;
    Py_ssize_t size;
    Py_ssize_t room;
    PyObject *bytes;         /* the object that holds data, once it does not fit onto the stack */
    Py_ssize_t frame;        /* where the current frame begins; -1 if there is none */
    bool framing;
    Noted *notes;
    size_t places;
    size_t used;
    Py_ssize_t count;        /* memoized objects, including those that are not in the table */
    int depth;
    bool not_plain;
    char first[ON_STACK];
    Noted first_notes[32];
} Pickler;

/* --- output -------------------------------------------------------------------------------------------------------- */

static int
grow(Pickler *self, Py_ssize_t more)
{
    if (more > PY_SSIZE_T_MAX / 4 - self->size) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t room = (self->size + more) * 3 / 2;
    if (self->bytes == NULL) {
        self->bytes = PyBytes_FromStringAndSize(NULL, room);
        if (self->bytes == NULL) {
            return -1;
        }
        memcpy(PyBytes_AS_STRING(self->bytes), self->data, (size_t)self->size);
    }
    else if (_PyBytes_Resize(&self->bytes, room) < 0) {
        return -1;
    }
    self->data = PyBytes_AS_STRING(self->bytes);
    self->room = room;
    return 0;
}

static inline char *
reserve(Pickler *self, Py_ssize_t length)
{
    Py_ssize_t needed = length + (self->framing && self->frame < 0 ? FRAME_HEADER : 0);
    if (needed > self->room - self->size && grow(self, needed) < 0) {
        return NULL;
    }
    if (self->framing && self->frame < 0) {
        self->frame = self->size;
        self->size += FRAME_HEADER;
    }
    char *at = self->data + self->size;
    self->size += length;
    return at;
}

static int
put(Pickler *self, const void *bytes, Py_ssize_t length)
{
    char *at = reserve(self, length);
    if (at == NULL) {
        return -1;
    }
    memcpy(at, bytes, (size_t)length);
    return 0;
}

static inline int
put_code(Pickler *self, char code)
{
    char *at = reserve(self, 1);
    if (at == NULL) {
        return -1;
    }
    *at = code;
    return 0;
}

static inline void
write_number(char *at, uint64_t number, int width)
{
    for (int i = 0; i < width; i++) {
        at[i] = (char)(number >> (8 * i));
    }
}

static void
end_frame(Pickler *self)
{
    if (!self->framing || self->frame < 0) {
        return;
    }
    char *start = self->data + self->frame;
    Py_ssize_t length = self->size - self->frame - FRAME_HEADER;
    if (length >= FRAME_LEAST) {
        start[0] = '\x95';
        write_number(start + 1, (uint64_t)length, 8);
    }
    else {
        memmove(start, start + FRAME_HEADER, (size_t)length);
        self->size -= FRAME_HEADER;
    }
    self->frame = -1;
}

/* Write an opcode and its payload. If the payload is large, the frame ends before, and both lie outside of frames. */
static int
put_payload(Pickler *self, const char *opcode, Py_ssize_t opcode_length, const char *bytes, Py_ssize_t length)
{
    bool framing = self->framing;
    if (length >= FRAME_TARGET) {
        end_frame(self);
        self->framing = false;
    }
    int failed = put(self, opcode, opcode_length) < 0 || put(self, bytes, length) < 0;
    self->framing = framing;
    return failed ? -1 : 0;
}

/* --- memo ---------------------------------------------------------------------------------------------------------- */

static inline Noted *
place_of(Noted *notes, size_t places, PyObject *object)
{
    size_t mask = places - 1;
    size_t at = ((uintptr_t)object >> 4) & mask;
    for (size_t step = 1; notes[at].object != NULL && notes[at].object != object; step++) {
        at = (at + step) & mask;
    }
    return &notes[at];
}

static int
enlarge_notes(Pickler *self)
{
    size_t places = self->places * 4;
    Noted *notes = PyMem_Calloc(places, sizeof(Noted));
    if (notes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < self->places; i++) {
        if (self->notes[i].object != NULL) {
            *place_of(notes, places, self->notes[i].object) = self->notes[i];
        }
    }
    if (self->notes != self->first_notes) {
        PyMem_Free(self->notes);
    }
    self->notes = notes;
    self->places = places;
    return 0;
}

/* An object with a single reference is held only by its container, so it cannot occur again. */
static inline bool
may_recur(PyObject *object)
{
    return Py_REFCNT(object) > 1;
}

static int
memoize(Pickler *self, PyObject *object)
{
    if (may_recur(object)) {
        if (self->used * 2 >= self->places && enlarge_notes(self) < 0) {
            return -1;
        }
        Noted *note = place_of(self->notes, self->places, object);
        note->object = object;
        note->number = self->count;
        self->used++;
    }
    self->count++;
    return put_code(self, '\x94');
}

/* Write a reference to a memoized object. Returns 1, or 0 if the object was not memoized. */
static int
put_known(Pickler *self, PyObject *object)
{
    if (!self->used || !may_recur(object)) {
        return 0;
    }
    Noted *note = place_of(self->notes, self->places, object);
    if (note->object == NULL) {
        return 0;
    }
    char opcode[5];
    if (note->number < 256) {
        opcode[0] = 'h';
        opcode[1] = (char)note->number;
        return put(self, opcode, 2) < 0 ? -1 : 1;
    }
    if ((uint64_t)note->number > UINT32_MAX) {
        self->not_plain = true;
        return -1;
    }
    opcode[0] = 'j';
    write_number(opcode + 1, (uint64_t)note->number, 4);
    return put(self, opcode, 5) < 0 ? -1 : 1;
}

/* --- scalars ------------------------------------------------------------------------------------------------------- */

static int save(Pickler *self, PyObject *object);

static int
save_large_int(Pickler *self, PyObject *object)
{
    static const char *const width_of = "bit_length";
    PyObject *bits = PyObject_CallMethod(object, width_of, NULL);
    if (bits == NULL) {
        return -1;
    }
    Py_ssize_t length = PyLong_AsSsize_t(bits) / 8 + 1;
    Py_DECREF(bits);
    PyObject *method = PyObject_GetAttrString(object, "to_bytes");
    PyObject *arguments = Py_BuildValue("(ns)", length, "little");
    PyObject *names = Py_BuildValue("{sO}", "signed", Py_True);
    PyObject *bytes = NULL;
    if (method != NULL && arguments != NULL && names != NULL) {
        bytes = PyObject_Call(method, arguments, names);
    }
    Py_XDECREF(method);
    Py_XDECREF(arguments);
    Py_XDECREF(names);
    if (bytes == NULL) {
        return -1;
    }
    const unsigned char *digits = (const unsigned char *)PyBytes_AS_STRING(bytes);
    if (length > 1 && digits[length - 1] == 0xff && digits[length - 2] & 0x80) {
        length--; /* a negative number that fits without an extra byte for the sign */
    }
    char opcode[5] = {length < 256 ? '\x8a' : '\x8b'};
    int width = length < 256 ? 1 : 4;
    write_number(opcode + 1, (uint64_t)length, width);
    int failed = length > INT32_MAX || put(self, opcode, 1 + width) < 0
                 || put(self, (const char *)digits, length) < 0;
    self->not_plain = self->not_plain || length > INT32_MAX;
    Py_DECREF(bytes);
    return failed ? -1 : 0;
}

static int
save_int(Pickler *self, PyObject *object)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow || number > INT32_MAX || number < INT32_MIN) {
        return save_large_int(self, object);
    }
    char opcode[5];
    int width = number < 0 || number > 0xffff ? 4 : number > 0xff ? 2 : 1;
    opcode[0] = width == 4 ? 'J' : width == 2 ? 'M' : 'K';
    write_number(opcode + 1, (uint64_t)number, width);
    return put(self, opcode, 1 + width);
}

static int
save_float(Pickler *self, PyObject *object)
{
    char opcode[9] = {'G'};
    if (PyFloat_Pack8(PyFloat_AS_DOUBLE(object), opcode + 1, 0) < 0) {
        return -1;
    }
    return put(self, opcode, 9);
}

/* Write text or bytes. The three opcodes have lengths of one, four and eight bytes. */
static int
save_counted(Pickler *self, PyObject *object, const char *opcodes, const char *bytes, Py_ssize_t length)
{
    char opcode[9];
    int which = length <= 0xff ? 0 : (uint64_t)length <= UINT32_MAX ? 1 : 2;
    int width = which == 0 ? 1 : which == 1 ? 4 : 8;
    opcode[0] = opcodes[which];
    write_number(opcode + 1, (uint64_t)length, width);
    if (put_payload(self, opcode, 1 + width, bytes, length) < 0) {
        return -1;
    }
    return memoize(self, object);
}

static int
save_str(Pickler *self, PyObject *object)
{
    static const char opcodes[] = {'\x8c', 'X', '\x8d'};
    if (PyUnicode_IS_COMPACT_ASCII(object)) {
        return save_counted(self, object, opcodes, (const char *)PyUnicode_1BYTE_DATA(object),
                            PyUnicode_GET_LENGTH(object));
    }
    Py_ssize_t length;
    const char *bytes = PyUnicode_AsUTF8AndSize(object, &length);
    if (bytes != NULL) {
        return save_counted(self, object, opcodes, bytes, length);
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        return -1;
    }
    PyErr_Clear(); /* half of a surrogate pair */
    PyObject *encoded = PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass");
    if (encoded == NULL) {
        return -1;
    }
    int result = save_counted(self, object, opcodes, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    Py_DECREF(encoded);
    return result;
}

static int
save_bytearray(Pickler *self, PyObject *object)
{
    char opcode[9] = {'\x96'};
    Py_ssize_t length = PyByteArray_GET_SIZE(object);
    write_number(opcode + 1, (uint64_t)length, 8);
    if (put_payload(self, opcode, 9, PyByteArray_AS_STRING(object), length) < 0) {
        return -1;
    }
    return memoize(self, object);
}

/* --- containers ---------------------------------------------------------------------------------------------------- */

static int
save_tuple(Pickler *self, PyObject *object)
{
    static const char opcodes[] = {')', '\x85', '\x86', '\x87'};
    Py_ssize_t length = PyTuple_GET_SIZE(object);
    if (length == 0) {
        return put_code(self, ')');
    }
    if (length > 3 && put_code(self, '(') < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        if (save(self, PyTuple_GET_ITEM(object, i)) < 0) {
            return -1;
        }
    }
    /* A tuple that holds itself, through a list, was memoized meanwhile. */
    if (may_recur(object) && self->used && place_of(self->notes, self->places, object)->object != NULL) {
        self->not_plain = true;
        return -1;
    }
    if (put_code(self, length > 3 ? 't' : opcodes[length]) < 0) {
        return -1;
    }
    return memoize(self, object);
}

static int
save_list(Pickler *self, PyObject *object)
{
    if (put_code(self, ']') < 0 || memoize(self, object) < 0) {
        return -1;
    }
    Py_ssize_t length = PyList_GET_SIZE(object);
    if (length == 1) {
        return save(self, PyList_GET_ITEM(object, 0)) < 0 ? -1 : put_code(self, 'a');
    }
    for (Py_ssize_t i = 0; i < length;) {
        Py_ssize_t stop = length - i > BATCH ? i + BATCH : length;
        if (put_code(self, '(') < 0) {
            return -1;
        }
        for (; i < stop; i++) {
            if (save(self, PyList_GET_ITEM(object, i)) < 0) {
                return -1;
            }
        }
        if (put_code(self, 'e') < 0) {
            return -1;
        }
    }
    return 0;
}

/* The dicts of the instances of a class share their keys with a single reference to each, which may_recur() must not
 * take for a key that occurs once. */
static int
save_key(Pickler *self, PyObject *key)
{
    Py_INCREF(key);
    int failed = save(self, key);
    Py_DECREF(key);
    return failed;
}

static int
save_dict(Pickler *self, PyObject *object)
{
    if (put_code(self, '}') < 0 || memoize(self, object) < 0) {
        return -1;
    }
    PyObject *key, *value;
    Py_ssize_t at = 0;
    if (PyDict_GET_SIZE(object) == 0) {
        return 0;
    }
    if (PyDict_GET_SIZE(object) == 1) {
        PyDict_Next(object, &at, &key, &value);
        return save_key(self, key) < 0 || save(self, value) < 0 ? -1 : put_code(self, 's');
    }
    int written;
    do { /* another batch follows a full one, even if it is empty */
        written = 0;
        if (put_code(self, '(') < 0) {
            return -1;
        }
        while (PyDict_Next(object, &at, &key, &value)) {
            if (save_key(self, key) < 0 || save(self, value) < 0) {
                return -1;
            }
            if (++written == BATCH) {
                break;
            }
        }
        if (put_code(self, 'u') < 0) {
            return -1;
        }
    } while (written == BATCH);
    return 0;
}

static int
save_set(Pickler *self, PyObject *object)
{
    if (put_code(self, '\x8f') < 0 || memoize(self, object) < 0) {
        return -1;
    }
    if (PySet_GET_SIZE(object) == 0) {
        return 0;
    }
    PyObject *iterator = PyObject_GetIter(object);
    if (iterator == NULL) {
        return -1;
    }
    int written, failed = 0;
    do {
        PyObject *item;
        written = 0;
        failed = put_code(self, '(') < 0;
        while (!failed && written < BATCH && (item = PyIter_Next(iterator)) != NULL) {
            failed = save(self, item) < 0;
            Py_DECREF(item);
            written++;
        }
        failed = failed || PyErr_Occurred() || put_code(self, '\x90') < 0;
    } while (!failed && written == BATCH);
    Py_DECREF(iterator);
    return failed ? -1 : 0;
}

static int
save_frozenset(Pickler *self, PyObject *object)
{
    if (put_code(self, '(') < 0) {
        return -1;
    }
    PyObject *iterator = PyObject_GetIter(object), *item;
    if (iterator == NULL) {
        return -1;
    }
    int failed = 0;
    while (!failed && (item = PyIter_Next(iterator)) != NULL) {
        failed = save(self, item) < 0;
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    if (failed || PyErr_Occurred() || put_code(self, '\x91') < 0) {
        return -1;
    }
    return memoize(self, object);
}

static int
save(Pickler *self, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (self->frame >= 0 && self->size - self->frame - FRAME_HEADER >= FRAME_TARGET) {
        end_frame(self);
    }
    if (object == Py_None) {
        return put_code(self, 'N');
    }
    if (type == &PyBool_Type) {
        return put_code(self, object == Py_True ? '\x88' : '\x89');
    }
    if (type == &PyLong_Type) {
        return save_int(self, object);
    }
    if (type == &PyFloat_Type) {
        return save_float(self, object);
    }
    int known = put_known(self, object);
    if (known) {
        return known < 0 ? -1 : 0;
    }
    if (type == &PyUnicode_Type) {
        return save_str(self, object);
    }
    if (type == &PyBytes_Type) {
        static const char opcodes[] = {'C', 'B', '\x8e'};
        return save_counted(self, object, opcodes, PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object));
    }
    if (type == &PyByteArray_Type) {
        return save_bytearray(self, object);
    }
    if (++self->depth > MOST_LEVELS) {
        self->not_plain = true;
        return -1;
    }
    int result;
    if (type == &PyDict_Type) {
        result = save_dict(self, object);
    }
    else if (type == &PyList_Type) {
        result = save_list(self, object);
    }
    else if (type == &PyTuple_Type) {
        result = save_tuple(self, object);
    }
    else if (type == &PySet_Type) {
        result = save_set(self, object);
    }
    else if (type == &PyFrozenSet_Type) {
        result = save_frozenset(self, object);
    }
    else {
        self->not_plain = true;
        result = -1;
    }
    self->depth--;
    return result;
}

PyObject *
plain_dumps(PyObject *value)
{
    Pickler self;
    self.data = self.first;
    self.size = 0;
    self.room = ON_STACK;
    self.bytes = NULL;
    self.frame = -1;
    self.framing = false;
    self.notes = self.first_notes;
    self.places = sizeof(self.first_notes) / sizeof(Noted);
    self.used = 0;
    self.count = 0;
    self.depth = 0;
    self.not_plain = false;
    memset(self.first_notes, 0, sizeof(self.first_notes));

    PyObject *result = NULL;
    int collecting = PyGC_Disable();
    int failed = put(&self, "\x80\x05", 2) < 0;
    self.framing = true;
    if (!failed && save(&self, value) == 0 && put_code(&self, '.') == 0) {
        end_frame(&self);
        if (self.bytes == NULL) {
            result = PyBytes_FromStringAndSize(self.data, self.size);
        }
        else if (_PyBytes_Resize(&self.bytes, self.size) == 0) {
            result = self.bytes;
            self.bytes = NULL;
        }
    }
    Py_XDECREF(self.bytes);
    if (self.notes != self.first_notes) {
        PyMem_Free(self.notes);
    }
    if (collecting) {
        PyGC_Enable();
    }
    return result;
}
