/* The exclusive lock between processes: a word of the state page, taken by compare-and-swap.
 *
 * The word is zero, or the pid of the holder. Beside it is a number that each change of the holder increments. So a
 * process that has seen a word, and swaps it later, never takes a newer hold for the one that it has seen. The kernel
 * wakes the processes that sleep on the word (futex). The bit SLEEPERS in the word says that there may be some.
 *
 * Death. Each process that has the shelf open keeps the byte with the number of its pid locked in LMDB's lock file
 * (locks/lock_guard.py). If the word stays the same for a while, a waiter asks whether its holder's byte is locked. If
 * it is not, the holder is dead, and the waiter swaps the word for its own. A process that has the pid of a dead
 * holder clears the word when it opens the shelf, before it can take the lock.
 *
 * Waking. A loop in one process would wake a sleeper at each release, and have the lock again before that one runs. So
 * a process wakes at most once in QUIET, and otherwise leaves SLEEPERS in the free word. Sleepers look again by
 * themselves, soon if the lock has changed hands.
 *
 * Turns. A process that releases the lock and wants it again would always be quicker than one that sleeps. So a process
 * that has waited for HUNGRY asks for the next turn: it writes its pid into the word NEXT, which others respect. It may
 * be stopped or killed meanwhile, so they respect it for as long as PATIENCE only.
 *
 * Processes without this module cannot swap. They use the flock of the lock file, as follows. Such a process sets the
 * word FLOCK, which stays set while any process has the shelf open. Then it takes the flock. Then it waits until the
 * lock word is free. A process with the module swaps first, and reads FLOCK second. If FLOCK is set, it gives the word
 * back and uses the flock in the same way. Two processes never hold the lock at once:
 *   - Two by the word: only one swap succeeds.
 *   - Two by the flock: the kernel grants it to one.
 *   - One of each: the first read FLOCK as zero after its swap, so this read came before FLOCK was set. The second
 *     read the word after FLOCK was set. So it read the word after the swap, and it waits. Both sides have a full
 *     barrier between their store and their read.
 */

#include "native.h"

#include "platform.h"

/* Places in the state page: docs/format.md. */
#define CLAIM 64
#define SINCE 72
#define COMMAND 80
#define COMMAND_SIZE 48
#define WORD 192
#define NEXT 200
#define FLOCK 204
#define END 208

#define SLEEPERS 0x80000000u
#define PID 0x7fffffffu

/* Nanoseconds. */
#define HUNGRY 3000000
#define PATIENCE 4000000
#define FIRST_QUESTION 5000000  /* after which a waiter asks whether the holder lives; each time twice as late */
#define LAST_QUESTION 200000000
#define FIRST_NAP 1000000       /* after which a sleeper that no process wakes looks again; each time twice as late */
#define LONGEST_NAP 10000000
#define SHORTEST_NAP 50000
#define QUIET 300000            /* a process that takes the lock again and again wakes no more often */

enum outcome { CLEAN, AFTER_DEATH, BUSY, BY_FLOCK };

typedef struct {
    PyObject_HEAD
    Py_buffer page;
    int file; /* the lock file */
    uint32_t pid;
    char command[COMMAND_SIZE];
    int64_t last_wake;
    bool is_held;
    bool is_confirmed; /* the holder has done its first steps, so that the flag is cleared whoever gives it back */
    bool closed;
    unsigned waiting; /* threads that use the page without the interpreter's lock */
} ProcessLock;

typedef struct {
    uint32_t holder;
    uint32_t number;
} Hold;

/* What one waiter remembers. */
typedef struct {
    int64_t began;
    int64_t unchanged; /* since when the word has been as it was seen */
    int64_t question;  /* how long it must be unchanged before the next question */
    int64_t nap;
    Hold seen;
    bool has_slept;
} Wait;

static inline uint64_t
packed(uint32_t holder, uint32_t number)
{
    Hold hold = {holder, number};
    uint64_t word;
    memcpy(&word, &hold, sizeof(word));
    return word;
}

static inline Hold
unpacked(uint64_t word)
{
    Hold hold;
    memcpy(&hold, &word, sizeof(hold));
    return hold;
}

static inline _Atomic uint64_t *
word_of(ProcessLock *self)
{
    return (_Atomic uint64_t *)((uint8_t *)self->page.buf + WORD);
}

static inline _Atomic uint32_t *
at(ProcessLock *self, size_t place)
{
    return (_Atomic uint32_t *)((uint8_t *)self->page.buf + place);
}

static int64_t
now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* --- the kernel ---------------------------------------------------------------------------------------------------- */

static void
wake(ProcessLock *self, int count)
{
    platform_wake(at(self, WORD), count);
}

/* Sleep while the word is ``value``: until woken, a signal, or ``limit``. Return whether there was a signal. */
static bool
sleep_while(ProcessLock *self, uint32_t value, int64_t limit)
{
    enum platform_sleep slept = platform_sleep_while(at(self, WORD), value, limit);
    if (slept != PLATFORM_CANNOT_SLEEP) {
        return slept == PLATFORM_SIGNALLED;
    }
    struct timespec time = {0, SHORTEST_NAP};
    return nanosleep(&time, NULL) < 0;
}

/* Whether a process has the shelf open. If that cannot be asked, it counts as alive. */
static bool
lives(ProcessLock *self, uint32_t pid)
{
#ifdef F_OFD_GETLK
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = pid, .l_len = 1};
    return fcntl(self->file, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
#else
    (void)self, (void)pid;
    return true;
#endif
}

/* --- taking and giving back ---------------------------------------------------------------------------------------- */

/* Whether sleepers are left asleep. Otherwise they are to be woken now. */
static bool
stays_quiet(ProcessLock *self)
{
    uint32_t next = atomic_load(at(self, NEXT));
    int64_t time = now(CLOCK_MONOTONIC);
    if ((!next || next == self->pid) && time - self->last_wake < QUIET) {
        return true;
    }
    self->last_wake = time;
    return false;
}

/* Change the word to no holder, if it is a hold of this process, and wake those that sleep. */
static void
free_word(ProcessLock *self, bool may_stay_quiet)
{
    uint64_t word = atomic_load(word_of(self));
    Hold hold = unpacked(word);
    if ((hold.holder & PID) != self->pid) {
        return;
    }
    bool is_quiet = may_stay_quiet && hold.holder & SLEEPERS && stays_quiet(self);
    do { /* another process may set SLEEPERS meanwhile, and nothing else */
        hold = unpacked(word);
    } while (!atomic_compare_exchange_weak(word_of(self), &word, packed(is_quiet ? SLEEPERS : 0, hold.number)));
    if (hold.holder & SLEEPERS && !is_quiet) {
        wake(self, atomic_load(at(self, NEXT)) ? INT32_MAX : 1);
    }
}

/* After the word was taken: look at FLOCK, then set the flag and name this process as the holder. */
static enum outcome
settled(ProcessLock *self, bool after_death)
{
    if (atomic_load(at(self, FLOCK))) { /* with a full barrier after the swap, since both are sequentially consistent */
        free_word(self, false);
        return BY_FLOCK;
    }
    self->is_held = true;
    after_death |= atomic_load(at(self, CLAIM)) != 0;
    uint8_t *page = self->page.buf;
    double since = (double)now(CLOCK_REALTIME) / 1e9;
    memcpy(page + CLAIM + 4, &self->pid, sizeof(self->pid));
    memcpy(page + SINCE, &since, sizeof(since));
    memcpy(page + COMMAND, self->command, COMMAND_SIZE);
    atomic_store(at(self, CLAIM), 1); /* with a full barrier after it: the caller looks for commits under way */
    uint32_t next = self->pid;
    if (atomic_load_explicit(at(self, NEXT), memory_order_relaxed) == next) {
        atomic_compare_exchange_strong(at(self, NEXT), &next, 0);
    }
    return after_death ? AFTER_DEATH : CLEAN;
}

/* One attempt to take the free word. ``bits`` is SLEEPERS if others may sleep. */
static enum outcome
attempt(ProcessLock *self, uint32_t bits)
{
    if (atomic_load_explicit(at(self, FLOCK), memory_order_relaxed)) {
        return BY_FLOCK; /* this only saves the swap: settled() decides */
    }
    uint64_t word = atomic_load(word_of(self));
    Hold hold = unpacked(word);
    uint32_t next = atomic_load_explicit(at(self, NEXT), memory_order_relaxed);
    bits |= hold.holder & SLEEPERS;
    if (hold.holder & PID || (next && next != self->pid)
        || !atomic_compare_exchange_strong(word_of(self), &word, packed(self->pid | bits, hold.number + 1))) {
        return BUSY;
    }
    return settled(self, false);
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

/* Ask for the next turn, and end the turn of a process that does not take it. */
static void
take_turn(ProcessLock *self, Wait *wait, int64_t time)
{
    uint32_t next = atomic_load(at(self, NEXT));
    if (next && next != self->pid && !(wait->seen.holder & PID) && time - wait->unchanged > PATIENCE) {
        atomic_compare_exchange_strong(at(self, NEXT), &next, 0);
    }
    next = 0;
    if (time - wait->began > HUNGRY) {
        atomic_compare_exchange_strong(at(self, NEXT), &next, self->pid);
    }
}

static void
give_up_turn(ProcessLock *self)
{
    uint32_t next = self->pid;
    if (atomic_compare_exchange_strong(at(self, NEXT), &next, 0) && !(unpacked(atomic_load(word_of(self))).holder & PID)) {
        wake(self, 1);
    }
}

/* Look at the word. Take it over if its holder is dead. */
static enum outcome
look(ProcessLock *self, Wait *wait, int64_t time)
{
    uint64_t word = atomic_load(word_of(self));
    Hold hold = unpacked(word);
    if (hold.number != wait->seen.number || (hold.holder & PID) != (wait->seen.holder & PID)) {
        wait->unchanged = time;
        wait->question = FIRST_QUESTION;
        wait->nap = FIRST_NAP;
    }
    wait->seen = hold;
    if (hold.holder & PID && time - wait->unchanged > wait->question) {
        if (wait->question < LAST_QUESTION) {
            wait->question *= 2;
        }
        if (!lives(self, hold.holder & PID)
            && atomic_compare_exchange_strong(word_of(self), &word, packed(self->pid | SLEEPERS, hold.number + 1))) {
            return settled(self, true);
        }
    }
    return BUSY;
}

/* Note in the word that there are sleepers, and sleep. Return whether there was a signal. */
static bool
sleep_a_while(ProcessLock *self, Wait *wait, int64_t time, int64_t end)
{
    uint32_t holder = wait->seen.holder;
    if (holder & PID && !(holder & SLEEPERS)) {
        uint64_t word = packed(holder, wait->seen.number);
        holder |= SLEEPERS;
        if (!atomic_compare_exchange_strong(word_of(self), &word, packed(holder, wait->seen.number))) {
            return false;
        }
    }
    if (!(holder & PID) && !atomic_load(at(self, NEXT))) {
        return false; /* it is free */
    }
    int64_t limit = wait->nap < end - time ? wait->nap : end - time;
    wait->nap = wait->nap < LONGEST_NAP ? 2 * wait->nap : LONGEST_NAP;
    wait->has_slept = true;
    return sleep_while(self, holder, limit > SHORTEST_NAP ? limit : SHORTEST_NAP);
}

/* Wait for the word, without the interpreter's lock, until it is taken, the time is over, or there is a signal. */
static enum outcome
wait_until(ProcessLock *self, Wait *wait, int64_t end, bool *is_interrupted)
{
    while (!*is_interrupted) {
        enum outcome outcome = attempt(self, wait->has_slept ? SLEEPERS : 0);
        int64_t time = now(CLOCK_MONOTONIC);
        if (outcome == BUSY) {
            outcome = look(self, wait, time);
        }
        if (outcome != BUSY || time >= end) {
            return outcome;
        }
        take_turn(self, wait, time);
        *is_interrupted = sleep_a_while(self, wait, time, end);
    }
    return BUSY;
}

/* --- the object ---------------------------------------------------------------------------------------------------- */

static void
release_page(ProcessLock *self)
{
    if (self->closed && !self->waiting && self->page.obj != NULL) {
        PyBuffer_Release(&self->page);
    }
}

static bool
is_refused(ProcessLock *self)
{
    if (self->closed) {
        PyErr_SetString(PyExc_ValueError, "the lock is closed");
    }
    return self->closed;
}

static PyObject *
lock_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"page", "file", "command", NULL};
    PyObject *page;
    int file;
    Py_buffer command;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Oiy*:ProcessLock", names, &page, &file, &command)) {
        return NULL;
    }
    ProcessLock *self = (ProcessLock *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->file = file;
        self->pid = (uint32_t)getpid();
        memcpy(self->command, command.buf, (size_t)(command.len < COMMAND_SIZE ? command.len : COMMAND_SIZE));
    }
    PyBuffer_Release(&command);
    if (self != NULL && PyObject_GetBuffer(page, &self->page, PyBUF_WRITABLE) < 0) {
        Py_CLEAR(self);
    }
    if (self != NULL && (self->page.len < END || (uintptr_t)self->page.buf % sizeof(uint64_t))) {
        PyErr_SetString(PyExc_ValueError, "this is not a state page");
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
lock_dealloc(ProcessLock *self)
{
    PyTypeObject *type = Py_TYPE(self);
    self->closed = true;
    release_page(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
wait_for_word(ProcessLock *self, double limit)
{
    int64_t time = now(CLOCK_MONOTONIC);
    int64_t end = time + (limit < 1e6 ? (int64_t)(limit * 1e9) : (int64_t)1e15);
    Wait wait = {.began = time, .unchanged = time, .question = FIRST_QUESTION, .nap = FIRST_NAP};
    enum outcome outcome = BUSY;
    bool failed = false;
    self->waiting++;
    do {
        bool is_interrupted = false;
        Py_BEGIN_ALLOW_THREADS
        outcome = wait_until(self, &wait, end, &is_interrupted);
        if (outcome == BUSY && !is_interrupted) {
            time = end;
        }
        Py_END_ALLOW_THREADS
        failed = PyErr_CheckSignals() < 0;
    } while (outcome == BUSY && !failed && time < end);
    if (outcome == BUSY) {
        give_up_turn(self);
    }
    self->waiting--;
    release_page(self);
    return failed ? NULL : PyLong_FromLong(outcome);
}

PyDoc_STRVAR(take_doc,
"take(limit, /)\n--\n\n"
"Take the lock, and wait for it for up to ``limit`` seconds. A signal handler that raises ends the wait.\n\n"
"Returns 0 if it was taken, 1 if it was taken after the death of a holder, 2 if it was not taken, and 3 if the flock\n"
"must be used, because a process without the module uses it.");

static PyObject *
lock_take(ProcessLock *self, PyObject *argument)
{
    double limit = PyFloat_AsDouble(argument);
    if ((limit == -1.0 && PyErr_Occurred()) || is_refused(self)) {
        return NULL;
    }
    enum outcome outcome = attempt(self, 0);
    if (outcome != BUSY || !(limit > 0)) {
        return PyLong_FromLong(outcome);
    }
    return wait_for_word(self, limit);
}

static bool
is_given_back(ProcessLock *self, bool clears)
{
    if (!self->is_held || self->closed) {
        return false;
    }
    clears |= self->is_confirmed;
    self->is_held = self->is_confirmed = false;
    if (clears) {
        atomic_store_explicit(at(self, CLAIM), 0, memory_order_release);
    }
    free_word(self, true);
    return true;
}

PyDoc_STRVAR(give_back_doc,
"give_back(clear, /)\n--\n\n"
"Release the lock, and return whether this object had it. Without ``clear`` the flag stays set, as if this process\n"
"had died.");

static PyObject *
lock_give_back(ProcessLock *self, PyObject *clear)
{
    int clears = PyObject_IsTrue(clear);
    if (clears < 0) {
        return NULL;
    }
    return PyBool_FromLong(is_given_back(self, clears));
}

PyDoc_STRVAR(forget_namesake_doc,
"forget_namesake()\n--\n\n"
"Clear the word if a dead process with the pid of this one left it. Only before this process first takes the lock.");

static PyObject *
lock_forget_namesake(ProcessLock *self, PyObject *Py_UNUSED(ignored))
{
    if (is_refused(self)) {
        return NULL;
    }
    free_word(self, false);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nGive up the page. The lock stays as it is.");

static PyObject *
lock_close(ProcessLock *self, PyObject *Py_UNUSED(ignored))
{
    self->closed = true;
    release_page(self);
    Py_RETURN_NONE;
}

/* --- for hold.c ---------------------------------------------------------------------------------------------------- */

bool
is_process_lock(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == (destructor)lock_dealloc;
}

bool
process_lock_is_of_this_process(PyObject *lock)
{
    return ((ProcessLock *)lock)->pid == (uint32_t)getpid();
}

/* Take the lock if it is free, and no holder died with it. */
bool
process_lock_take_at_once(PyObject *lock)
{
    ProcessLock *self = (ProcessLock *)lock;
    if (self->closed || self->is_held) {
        return false;
    }
    enum outcome outcome = attempt(self, 0);
    if (outcome == AFTER_DEATH) {
        is_given_back(self, false); /* the flag stays for the next holder */
    }
    return outcome == CLEAN;
}

void
process_lock_confirm(PyObject *lock)
{
    ((ProcessLock *)lock)->is_confirmed = true;
}

void
process_lock_give_back(PyObject *lock)
{
    is_given_back((ProcessLock *)lock, true);
}

static PyMethodDef lock_methods[] = {
    {"take", (PyCFunction)lock_take, METH_O, take_doc},
    {"give_back", (PyCFunction)lock_give_back, METH_O, give_back_doc},
    {"forget_namesake", (PyCFunction)lock_forget_namesake, METH_NOARGS, forget_namesake_doc},
    {"close", (PyCFunction)lock_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(lock_doc,
"ProcessLock(page, file, command)\n--\n\n"
"The exclusive lock between processes, by a word of the state page. ``file`` is the descriptor of the lock file, and\n"
"``command`` the command line that names this process in errors.");

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, (void *)lock_doc},
    {Py_tp_new, lock_new},
    {Py_tp_dealloc, lock_dealloc},
    {Py_tp_methods, lock_methods},
    {0, NULL},
};

PyType_Spec process_lock_spec = {
    .name = "coshelf._native.ProcessLock",
    .basicsize = sizeof(ProcessLock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = lock_slots,
};
