/* coshelf._native.Lines and LinePlace: the table of turns for Python.
 *
 * What happens at once is done here. Where a caller has to wait, or something is unusual, a function of Python goes on:
 * it watches the processes that are ahead, gives a forked child a row of its own, and raises the errors.
 */

#include "native.h"

#include "lines.h"
#include "platform.h"

#define SPINS 100           /* attempts to take the mutex before a wait */
#define SLICE 5000000L      /* nanoseconds of one wait for the mutex. A sleeper that is not woken wakes by itself */
#define SLICES 10           /* after which signals are looked for */
#define LONGEST 250000000L  /* nanoseconds of one sleep: a signal may have come just before it began */

/* Functions of Python. */
enum {
    UNUSUAL, /* joins a line where join() does not: in a forked child, for a barrier, if the table is full */
    WATCH,   /* watches processes that are ahead of a place */
    WAIT,    /* waits at a place */
    TELL,    /* has a function called when a place is called */
    HOOKS
};

typedef struct {
    PyObject_HEAD
    Py_buffer memory;
    LinesTable *table;
    uint32_t row;
    uint32_t number;     /* of the use of the row */
    uint32_t forks;      /* the process's count of forks when this was made */
    uint32_t waiting;    /* places that have been seen to wait, and nothing else since then */
    bool closed;
    PyTypeObject *place; /* LinePlace */
    PyObject *hooks[HOOKS];
    uint32_t watched[LINES_ROWS]; /* the uses of rows whose processes are watched */
} Lines;

typedef struct {
    PyObject_HEAD
    Lines *lines;
    LinesUse use;
    uint64_t token;  /* 0 until it has been read */
    bool is_waiting; /* counted in lines->waiting */
} Place;

/* --- forks --------------------------------------------------------------------------------------------------------- */

static _Atomic uint32_t forks; /* how many forks lie between the first process and this one */
static pthread_once_t counted = PTHREAD_ONCE_INIT;

static void
count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void
count_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

static inline bool
is_usable(const Lines *self)
{
    return !self->closed && atomic_load_explicit(&forks, memory_order_relaxed) == self->forks;
}

/* --- steps under the mutex ----------------------------------------------------------------------------------------- */

typedef enum lines_result (*Step)(LinesTable *, void *);

static enum lines_result
in_slices(LinesTable *table, Step step, void *argument)
{
    enum lines_result result = LINES_BUSY;
    for (int slice = 0; slice < SLICES && result == LINES_BUSY; slice++) {
        result = lines_lock_until(table, SLICE);
    }
    if (result == LINES_DONE) {
        result = step(table, argument);
        lines_unlock(table);
    }
    return result;
}

/* Do a step while the mutex is held. Nothing of Python runs meanwhile. With ``raises``, a signal handler may end the wait
 * for the mutex. Sets an error for LINES_FAILED and, after such a signal, for LINES_BUSY. */
static enum lines_result
do_step(LinesTable *table, Step step, void *argument, bool raises)
{
    enum lines_result result = lines_lock(table, SPINS);
    if (result == LINES_DONE) {
        result = step(table, argument);
        lines_unlock(table);
    }
    while (result == LINES_BUSY) {
        Py_BEGIN_ALLOW_THREADS
        result = in_slices(table, step, argument);
        Py_END_ALLOW_THREADS
        if (result == LINES_BUSY && raises && PyErr_CheckSignals() < 0) {
            return LINES_BUSY;
        }
    }
    if (result == LINES_FAILED) {
        PyErr_SetString(PyExc_OSError, "the lock of the table of turns cannot be used any more");
    }
    return result;
}

typedef struct {
    LinesRequest request;
    LinesUse use;
    const uint32_t *watched;
    uint32_t ahead[LINES_ROWS]; /* rows of places ahead that are not watched */
    uint32_t numbers[LINES_ROWS];
    uint32_t count;
} Joining;

static enum lines_result
join_step(LinesTable *table, void *argument)
{
    Joining *joining = argument;
    enum lines_result result = lines_join(table, &joining->request, &joining->use);
    if (result == LINES_DONE) {
        joining->count = lines_unwatched(table, joining->use, joining->watched, joining->ahead, joining->numbers);
    }
    return result;
}

static enum lines_result
leave_step(LinesTable *table, void *argument)
{
    lines_leave(table, *(LinesUse *)argument);
    return LINES_DONE;
}

typedef struct {
    LinesUse use;
    bool is_to_come;
} Telling;

static enum lines_result
tell_step(LinesTable *table, void *argument)
{
    Telling *telling = argument;
    telling->is_to_come = lines_tell_row(table, telling->use);
    return LINES_DONE;
}

typedef struct {
    uint32_t row;
    uint32_t number; /* of the use of the row */
    bool is_done;
} Reaping;

static enum lines_result
reap_step(LinesTable *table, void *argument)
{
    Reaping *reaping = argument;
    LinesRow *row = &table->rows[reaping->row];
    reaping->is_done = row->number == reaping->number && atomic_load(&row->state) == ROW_USED;
    if (reaping->is_done) {
        lines_leave_all(table, reaping->row);
    }
    return LINES_DONE;
}

typedef struct {
    LinesRow process;
    uint32_t row;
    uint32_t number;
    bool is_done;
} Taking;

static enum lines_result
take_row_step(LinesTable *table, void *argument)
{
    Taking *taking = argument;
    taking->is_done = lines_take_row(table, taking->row, &taking->process);
    taking->number = table->rows[taking->row].number;
    return LINES_DONE;
}

typedef struct {
    uint8_t *to; /* with space for all of the table */
    uint32_t used;
} Copying;

static enum lines_result
copy_step(LinesTable *table, void *argument)
{
    Copying *copying = argument;
    copying->used = table->header.used < LINES_PLACES ? table->header.used : LINES_PLACES;
    memcpy(copying->to, table, offsetof(LinesTable, places) + copying->used * sizeof(LinesPlace));
    return LINES_DONE;
}

typedef struct {
    uint32_t bell;
    bool comes;
} Attending;

static enum lines_result
attend_step(LinesTable *table, void *argument)
{
    Attending *attending = argument;
    _Atomic uint32_t *waiting = &table->bells[attending->bell].waiting;
    if (attending->comes) {
        atomic_fetch_add(waiting, 1);
    }
    else if (atomic_load(waiting)) {
        atomic_fetch_sub(waiting, 1);
    }
    return LINES_DONE;
}

/* --- places -------------------------------------------------------------------------------------------------------- */

static inline LinesPlace *
place_of(const Place *self)
{
    return &self->lines->table->places[self->use.index];
}

/* What the word of a place says. In a forked child all inherited places are over. */
static uint32_t
word_of(const Place *self)
{
    if (!is_usable(self->lines)) {
        return WORD_OVER;
    }
    LinesPlace *place = place_of(self);
    uint32_t word = atomic_load(&place->word);
    return atomic_load(&place->number) == self->use.number ? word : WORD_OVER;
}

/* The place does not wait any more, as far as is known here. */
static inline void
end_wait(Place *self)
{
    if (self->is_waiting) {
        self->is_waiting = false;
        self->lines->waiting--;
    }
}

static PyObject *
call_hook(Lines *self, int hook, PyObject *first, PyObject *second)
{
    if (self->hooks[hook] == NULL) {
        PyErr_SetString(PyExc_ValueError, "the lines have been closed");
        return NULL;
    }
    return PyObject_CallFunctionObjArgs(self->hooks[hook], first, second, NULL);
}

static PyObject *
place_token(Place *self, void *Py_UNUSED(closure))
{
    if (!self->token) {
        if (word_of(self) != WORD_CALLED) {
            Py_RETURN_NONE;
        }
        uint64_t token = place_of(self)->token;
        if (word_of(self) != WORD_CALLED) {
            Py_RETURN_NONE;
        }
        self->token = token;
        end_wait(self);
    }
    return PyLong_FromUnsignedLongLong(self->token);
}

static PyObject *
place_is_lost(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Py_RETURN_FALSE;
}

static PyObject *
place_is_over(Place *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(word_of(self) == WORD_OVER);
}

static PyObject *
place_key(Place *self, void *Py_UNUSED(closure))
{
    return Py_BuildValue("II", self->use.index, self->use.number);
}

PyDoc_STRVAR(wait_doc, "wait(timeout, /)\n--\n\nAs :meth:`coshelf.contract.Place.wait`.");

static PyObject *
place_wait(Place *self, PyObject *timeout)
{
    if (word_of(self) == WORD_CALLED) {
        end_wait(self);
        Py_RETURN_TRUE;
    }
    return call_hook(self->lines, WAIT, (PyObject *)self, timeout);
}

PyDoc_STRVAR(when_called_doc, "when_called(call, /)\n--\n\nAs :meth:`coshelf.contract.Place.when_called`.");

static PyObject *
place_when_called(Place *self, PyObject *call)
{
    return call_hook(self->lines, TELL, (PyObject *)self, call);
}

static int64_t
monotonic(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

PyDoc_STRVAR(sleep_doc,
"sleep(limit, /)\n--\n\n"
"Sleep until the place has the turn or is over, for up to ``limit`` seconds. Returns whether it has the turn.");

static PyObject *
place_sleep(Place *self, PyObject *argument)
{
    double limit = PyFloat_AsDouble(argument);
    if (limit == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    int64_t end = monotonic() + (limit < 1e9 ? (int64_t)(limit * 1e9) : (int64_t)1e18), left;
    uint32_t word;
    while ((word = word_of(self)) == WORD_WAITING && (left = end - monotonic()) > 0) {
        _Atomic uint32_t *at = &place_of(self)->word;
        Py_BEGIN_ALLOW_THREADS
        lines_sleep(at, WORD_WAITING, left < LONGEST ? left : LONGEST);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
    if (word != WORD_WAITING) {
        end_wait(self);
    }
    return PyBool_FromLong(word == WORD_CALLED);
}

static bool
leave(Place *self)
{
    end_wait(self);
    return !is_usable(self->lines) || word_of(self) == WORD_OVER
           || do_step(self->lines->table, leave_step, &self->use, false) == LINES_DONE;
}

PyDoc_STRVAR(leave_doc, "leave()\n--\n\nAs :meth:`coshelf.contract.Place.leave`.");

static PyObject *
place_leave(Place *self, PyObject *Py_UNUSED(ignored))
{
    if (!leave(self)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(tell_doc,
"tell()\n--\n\n"
"Have the word of the row change, too, when the place is called. Returns whether that is still to come.");

static PyObject *
place_tell(Place *self, PyObject *Py_UNUSED(ignored))
{
    Telling telling = {.use = self->use};
    if (word_of(self) == WORD_WAITING && do_step(self->lines->table, tell_step, &telling, true) != LINES_DONE) {
        return NULL;
    }
    return PyBool_FromLong(telling.is_to_come);
}

static void
place_dealloc(Place *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->lines != NULL) {
        PyObject *kind, *error, *traceback;
        PyErr_Fetch(&kind, &error, &traceback);
        if (!leave(self)) {
            PyErr_WriteUnraisable(NULL);
        }
        PyErr_Restore(kind, error, traceback);
    }
    Py_XDECREF(self->lines);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyGetSetDef place_properties[] = {
    {"token", (getter)place_token, NULL, NULL, NULL},
    {"is_lost", place_is_lost, NULL, NULL, NULL},
    {"is_over", (getter)place_is_over, NULL, NULL, NULL},
    {"key", (getter)place_key, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef place_methods[] = {
    {"wait", (PyCFunction)place_wait, METH_O, wait_doc},
    {"when_called", (PyCFunction)place_when_called, METH_O, when_called_doc},
    {"sleep", (PyCFunction)place_sleep, METH_O, sleep_doc},
    {"leave", (PyCFunction)place_leave, METH_NOARGS, leave_doc},
    {"tell", (PyCFunction)place_tell, METH_NOARGS, tell_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot place_slots[] = {
    {Py_tp_dealloc, place_dealloc},
    {Py_tp_getset, place_properties},
    {Py_tp_methods, place_methods},
    {0, NULL},
};

PyType_Spec line_place_spec = {
    .name = "coshelf._native.LinePlace",
    .basicsize = sizeof(Place),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = place_slots,
};

/* --- joining ------------------------------------------------------------------------------------------------------- */

/* Reads an argument that is a number. */
static bool
number_of(PyObject *object, uint32_t *number)
{
    unsigned long value = PyLong_AsUnsignedLong(object);
    if (value == (unsigned long)-1 && PyErr_Occurred()) {
        return false;
    }
    if (value > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "the number of turns of a line is less than 2^32");
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

/* Where a named argument of join() belongs; -1 with an error set. */
static int
position_of(PyObject *name)
{
    static const char *const names[] = {"name", "most", "parties", "task"};
    for (int at = 0; at < 4; at++) {
        if (PyUnicode_CompareWithASCIIString(name, names[at]) == 0) {
            return at;
        }
    }
    PyErr_Format(PyExc_TypeError, "join() has no argument %R", name);
    return -1;
}

static bool
request_of(PyObject *const *arguments, Py_ssize_t count, PyObject *keywords, LinesRequest *request)
{
    PyObject *given[4] = {NULL};
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
    if (count > 4) {
        PyErr_Format(PyExc_TypeError, "join() takes up to 4 arguments, not %zd", count);
        return false;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        given[at] = arguments[at];
    }
    for (Py_ssize_t at = 0; at < named; at++) {
        int position = position_of(PyTuple_GET_ITEM(keywords, at));
        if (position < 0) {
            return false;
        }
        given[position] = arguments[count + at];
    }
    if (given[0] == NULL || !PyBytes_Check(given[0])) {
        PyErr_SetString(PyExc_TypeError, "the name of a line is bytes");
        return false;
    }
    request->name = (const uint8_t *)PyBytes_AS_STRING(given[0]);
    request->name_length = (size_t)PyBytes_GET_SIZE(given[0]);
    request->most = 1;
    if ((given[1] != NULL && !number_of(given[1], &request->most))
        || (given[2] != NULL && !number_of(given[2], &request->parties))) {
        return false;
    }
    if (given[3] != NULL) {
        Py_ssize_t length;
        request->task = PyUnicode_AsUTF8AndSize(given[3], &length);
        if (request->task == NULL) {
            return false;
        }
        request->task_length = length < LINES_TASK ? (size_t)length : LINES_TASK;
    }
    return true;
}

/* The rows of the processes to watch, for Python. */
static PyObject *
list_of(const Lines *self, const Joining *joining)
{
    PyObject *list = PyList_New(joining->count);
    for (uint32_t at = 0; list != NULL && at < joining->count; at++) {
        const LinesRow *row = &self->table->rows[joining->ahead[at]];
        PyObject *item = Py_BuildValue("IIIKK", joining->ahead[at], joining->numbers[at], row->pid,
                                       (unsigned long long)row->start, (unsigned long long)row->namespace);
        if (item == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, at, item);
        }
    }
    return list;
}

/* After a place has joined and waits: have the processes ahead watched that are not watched yet. */
static bool
is_watched(Lines *self, Place *place, const Joining *joining)
{
    PyObject *rows = joining->count ? list_of(self, joining) : Py_NewRef(Py_None);
    if (rows == NULL) {
        return false;
    }
    PyObject *done = joining->count ? call_hook(self, WATCH, (PyObject *)place, rows) : Py_NewRef(Py_None);
    Py_DECREF(rows);
    Py_XDECREF(done);
    return done != NULL;
}

static PyObject *
joined(Lines *self, Joining *joining)
{
    joining->watched = self->watched;
    joining->request.row = self->row;
    Place *place = (Place *)self->place->tp_alloc(self->place, 0);
    if (place == NULL) {
        return NULL;
    }
    self->waiting++; /* before the step looks at who is watched */
    enum lines_result result = do_step(self->table, join_step, joining, true);
    if (result != LINES_DONE) {
        self->waiting--;
        Py_DECREF(place);
        if (result == LINES_FULL) {
            PyErr_NoMemory();
        }
        return NULL;
    }
    place->lines = (Lines *)Py_NewRef(self);
    place->use = joining->use;
    place->is_waiting = true;
    if (word_of(place) != WORD_WAITING) {
        end_wait(place);
    }
    else if (!is_watched(self, place, joining)) {
        Py_CLEAR(place);
    }
    return (PyObject *)place;
}

PyDoc_STRVAR(join_doc, "join(name, most=1, parties=0, task='')\n--\n\nAs :meth:`coshelf.contract.Turns.join`.");

static PyObject *
lines_object_join(Lines *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    Joining joining;
    joining.request = (LinesRequest){.task = ""};
    if (!request_of(arguments, count, keywords, &joining.request)) {
        return NULL;
    }
    PyObject *place = NULL;
    if (is_usable(self) && joining.request.name_length <= LINES_NAME && joining.request.most != LINES_BARRIER) {
        place = joined(self, &joining);
        if (place != NULL || !PyErr_ExceptionMatches(PyExc_MemoryError)) {
            return place;
        }
        PyErr_Clear();
    }
    if (self->hooks[UNUSUAL] == NULL) {
        PyErr_SetString(PyExc_ValueError, "the lines have been closed");
        return NULL;
    }
    return PyObject_Vectorcall(self->hooks[UNUSUAL], arguments, (size_t)count, keywords);
}

PyDoc_STRVAR(join_now_doc,
"join_now(name, most, parties, task, /)\n--\n\n"
"As join(), for a barrier, too. MemoryError: every place is in use.");

static PyObject *
lines_join_now(Lines *self, PyObject *const *arguments, Py_ssize_t count)
{
    Joining joining;
    joining.request = (LinesRequest){.task = ""};
    if (!request_of(arguments, count, NULL, &joining.request)) {
        return NULL;
    }
    if (!is_usable(self) || joining.request.name_length > LINES_NAME) {
        PyErr_SetString(PyExc_ValueError, "the lines have been closed, or the name is too long");
        return NULL;
    }
    return joined(self, &joining);
}

/* --- the rest ------------------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(reap_doc,
"reap(row, number, /)\n--\n\n"
"End all places of an open shelf, and free its row, unless the row has another use by now.");

static PyObject *
lines_reap(Lines *self, PyObject *arguments)
{
    Reaping reaping = {0};
    if (!PyArg_ParseTuple(arguments, "II:reap", &reaping.row, &reaping.number)) {
        return NULL;
    }
    if (reaping.row >= LINES_ROWS) {
        PyErr_SetString(PyExc_ValueError, "there is no such row");
        return NULL;
    }
    if (do_step(self->table, reap_step, &reaping, true) != LINES_DONE) {
        return NULL;
    }
    return PyBool_FromLong(reaping.is_done);
}

PyDoc_STRVAR(take_row_doc,
"take_row(row, pid, start, namespace, host, program, /)\n--\n\n"
"Take a row for this open shelf. Returns whether it was free.");

static PyObject *
lines_take_row_of(Lines *self, PyObject *arguments)
{
    Taking taking = {0};
    unsigned long long start, namespace;
    Py_buffer host, program;
    if (!PyArg_ParseTuple(arguments, "IIKKy*y*:take_row", &taking.row, &taking.process.pid, &start, &namespace, &host,
                          &program)) {
        return NULL;
    }
    taking.process.start = start;
    taking.process.namespace = namespace;
    memcpy(taking.process.host, host.buf, (size_t)host.len < sizeof(taking.process.host) ? (size_t)host.len : sizeof(taking.process.host));
    memcpy(taking.process.program, program.buf, (size_t)program.len < sizeof(taking.process.program) ? (size_t)program.len : sizeof(taking.process.program));
    PyBuffer_Release(&host);
    PyBuffer_Release(&program);
    if (taking.row >= LINES_ROWS) {
        PyErr_SetString(PyExc_ValueError, "there is no such row");
        return NULL;
    }
    if (do_step(self->table, take_row_step, &taking, true) != LINES_DONE) {
        return NULL;
    }
    if (taking.is_done) {
        self->row = taking.row;
        self->number = taking.number;
        self->closed = false;
    }
    return PyBool_FromLong(taking.is_done);
}

PyDoc_STRVAR(check_doc, "check()\n--\n\nDo what a process that died in the middle of a step has left undone.");

static PyObject *
lines_check(Lines *self, PyObject *Py_UNUSED(ignored))
{
    if (lines_lock(self->table, 0) == LINES_DONE) { /* otherwise another one does it */
        lines_unlock(self->table);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(copy_doc, "copy()\n--\n\nThe bytes of the table up to the end of the places in use, of one instant.");

static PyObject *
lines_copy(Lines *self, PyObject *Py_UNUSED(ignored))
{
    Copying copying = {.to = PyMem_Malloc(sizeof(LinesTable))};
    if (copying.to == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *copy = NULL;
    if (do_step(self->table, copy_step, &copying, true) == LINES_DONE) {
        copy = PyBytes_FromStringAndSize((const char *)copying.to, (Py_ssize_t)(offsetof(LinesTable, places) + copying.used * sizeof(LinesPlace)));
    }
    PyMem_Free(copying.to);
    return copy;
}

static bool
bell_of(PyObject *object, uint32_t *bell)
{
    if (!number_of(object, bell)) {
        return false;
    }
    *bell %= LINES_BELLS;
    return true;
}

PyDoc_STRVAR(ring_doc, "ring(bell, /)\n--\n\nChange the word of a bell, and wake those that wait at it.");

static PyObject *
lines_ring_bell(Lines *self, PyObject *object)
{
    uint32_t bell;
    if (!bell_of(object, &bell)) {
        return NULL;
    }
    lines_ring(self->table, bell);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(attend_doc, "attend(bell, comes, /)\n--\n\nCount a caller who is about to wait at a bell, or has waited.");

static PyObject *
lines_attend(Lines *self, PyObject *arguments)
{
    Attending attending;
    int comes;
    if (!PyArg_ParseTuple(arguments, "Ip:attend", &attending.bell, &comes)) {
        return NULL;
    }
    attending.bell %= LINES_BELLS;
    attending.comes = comes;
    if (do_step(self->table, attend_step, &attending, true) != LINES_DONE) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nEnd all places of this open shelf, and free its row.");

/* False with an error set. */
static bool
end_all(Lines *self)
{
    if (!is_usable(self)) {
        return true;
    }
    Reaping reaping = {self->row, self->number, false};
    self->closed = true;
    return do_step(self->table, reap_step, &reaping, false) == LINES_DONE;
}

static PyObject *
lines_close(Lines *self, PyObject *Py_UNUSED(ignored))
{
    if (!end_all(self)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The size of a mutex, and which C library makes it. */
PyObject *
lines_mutex_kind(void)
{
    return Py_BuildValue("nI", (Py_ssize_t)sizeof(pthread_mutex_t), PLATFORM_LIBRARY);
}

PyObject *
native_make_lines(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer memory, boot;
    unsigned long long token;
    if (!PyArg_ParseTuple(arguments, "w*y*K:make_lines", &memory, &boot, &token)) {
        return NULL;
    }
    bool fits = memory.len == sizeof(LinesTable) && boot.len == 16 && (uintptr_t)memory.buf % 64 == 0;
    if (fits) {
        lines_make(memory.buf, boot.buf, token);
    }
    PyBuffer_Release(&memory);
    PyBuffer_Release(&boot);
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "this is no place for a table of turns");
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(watched_doc, "watched(row, number, /)\n--\n\nNote that the process with this use of a row is watched.");

static PyObject *
lines_watched(Lines *self, PyObject *arguments)
{
    unsigned row, number;
    if (!PyArg_ParseTuple(arguments, "II:watched", &row, &number)) {
        return NULL;
    }
    self->watched[row % LINES_ROWS] = number;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(needs_doc,
"needs()\n--\n\n"
"Whether processes have to be watched: a place waits. If not, no process counts as watched from here on.");

static PyObject *
lines_needs(Lines *self, PyObject *Py_UNUSED(ignored))
{
    if (!self->waiting) {
        memset(self->watched, 0, sizeof(self->watched));
    }
    return PyBool_FromLong(self->waiting != 0);
}

PyDoc_STRVAR(waits_doc, "waits(index, number, /)\n--\n\nWhether a use of a place still waits.");

static PyObject *
lines_waits(Lines *self, PyObject *arguments)
{
    LinesUse use;
    if (!PyArg_ParseTuple(arguments, "II:waits", &use.index, &use.number)) {
        return NULL;
    }
    LinesPlace *place = &self->table->places[use.index % LINES_PLACES];
    bool waits = is_usable(self) && atomic_load(&place->word) == WORD_WAITING;
    return PyBool_FromLong(waits && atomic_load(&place->number) == use.number);
}

static PyObject *
lines_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyObject *memory, *place, *hooks[HOOKS];
    if (!PyArg_ParseTuple(arguments, "OO!OOOO:Lines", &memory, &PyType_Type, &place, &hooks[0], &hooks[1], &hooks[2],
                          &hooks[3])) {
        return NULL;
    }
    pthread_once(&counted, count_forks);
    Lines *self = (Lines *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->closed = true; /* until it has a row */
    self->place = (PyTypeObject *)Py_NewRef(place);
    for (int hook = 0; hook < HOOKS; hook++) {
        self->hooks[hook] = Py_NewRef(hooks[hook]);
    }
    self->forks = atomic_load(&forks);
    if (PyObject_GetBuffer(memory, &self->memory, PyBUF_WRITABLE) < 0) {
        Py_CLEAR(self);
        return NULL;
    }
    self->table = self->memory.buf;
    if (self->memory.len != sizeof(LinesTable) || (uintptr_t)self->memory.buf % 64 || !lines_fits(self->table)) {
        PyErr_SetString(PyExc_ValueError, "this is not a table of turns, or one of another C library");
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
lines_traverse(Lines *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->place);
    for (int hook = 0; hook < HOOKS; hook++) {
        Py_VISIT(self->hooks[hook]);
    }
    return 0;
}

static int
lines_clear(Lines *self)
{
    for (int hook = 0; hook < HOOKS; hook++) {
        Py_CLEAR(self->hooks[hook]);
    }
    return 0;
}

static void
lines_dealloc(Lines *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (!end_all(self)) {
        PyErr_WriteUnraisable(NULL);
    }
    PyBuffer_Release(&self->memory);
    lines_clear(self);
    Py_XDECREF(self->place);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef lines_methods[] = {
    {"join", (PyCFunction)(void (*)(void))lines_object_join, METH_FASTCALL | METH_KEYWORDS, join_doc},
    {"join_now", (PyCFunction)(void (*)(void))lines_join_now, METH_FASTCALL, join_now_doc},
    {"watched", (PyCFunction)lines_watched, METH_VARARGS, watched_doc},
    {"needs", (PyCFunction)lines_needs, METH_NOARGS, needs_doc},
    {"waits", (PyCFunction)lines_waits, METH_VARARGS, waits_doc},
    {"reap", (PyCFunction)lines_reap, METH_VARARGS, reap_doc},
    {"take_row", (PyCFunction)lines_take_row_of, METH_VARARGS, take_row_doc},
    {"check", (PyCFunction)lines_check, METH_NOARGS, check_doc},
    {"copy", (PyCFunction)lines_copy, METH_NOARGS, copy_doc},
    {"ring", (PyCFunction)lines_ring_bell, METH_O, ring_doc},
    {"attend", (PyCFunction)lines_attend, METH_VARARGS, attend_doc},
    {"close", (PyCFunction)lines_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lines_slots[] = {
    {Py_tp_new, lines_new},
    {Py_tp_dealloc, lines_dealloc},
    {Py_tp_traverse, lines_traverse},
    {Py_tp_clear, lines_clear},
    {Py_tp_methods, lines_methods},
    {0, NULL},
};

PyType_Spec lines_spec = {
    .name = "coshelf._native.Lines",
    .basicsize = sizeof(Lines),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = lines_slots,
};
