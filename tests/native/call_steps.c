/* Makes calls of Python instruction by instruction, and ends the process within them: call_steps.py loads this.
 *
 * What other processes find after a death depends on the shared memory, and on the list that tells the system which
 * mutexes the dead thread held. So it is enough to die after each instruction that changes one of these.
 */

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "log.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRAP_FLAG 0x100  /* the processor sends SIGTRAP after each instruction */
#define PAGE 4096        /* of the file that has the word of the exclusive lock */
#define RECORDS 2048     /* bytes of each segment in which the calls write */
#define MOST_PARTS 64

static struct {
    const void *bytes;
    size_t size;
    uint8_t seen[PAGE];
} parts[MOST_PARTS];
static size_t count_of_parts;
static unsigned long steps_done, changes_done, last_step, last_change;

/* --- what is watched ----------------------------------------------------------------------------------------------- */

static void
watch(const void *bytes, size_t size)
{
    if (count_of_parts == MOST_PARTS || size > PAGE) {
        Py_FatalError("too much is to be watched");
    }
    parts[count_of_parts].bytes = bytes;
    parts[count_of_parts].size = size;
    memcpy(parts[count_of_parts++].seen, bytes, size);
}

static const uint8_t *
mapped(const char *path, size_t *size)
{
    struct stat information;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &information)) {
        Py_FatalError("a file of the shelf is missing");
    }
    *size = (size_t)information.st_size;
    const uint8_t *memory = mmap(NULL, *size, PROT_READ, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) {
        Py_FatalError("a file of the shelf cannot be mapped");
    }
    return memory;
}

/* Watch the files of the log and of the state page, and this thread's list of mutexes. Of the index, only slots that are
 * in use in one of the segments: the calls change the entry of a key that was written before. */
void
watch_files(const char *log, const char *state)
{
    size_t size;
    watch(mapped(state, &size), PAGE);
    const uint8_t *map = mapped(log, &size);
    watch(map, sizeof(LogHeader));
    const uint64_t *slots = (const uint64_t *)(map + LOG_HEADER), *others = slots + LOG_SLOTS;
    for (size_t at = 0; at < LOG_SLOTS; at++) {
        if (slots[at] || others[at]) {
            watch(&slots[at], sizeof(*slots));
            watch(&others[at], sizeof(*slots));
        }
    }
    size_t fixed = LOG_HEADER + LOG_SEGMENTS * LOG_INDEX;
    watch(map + fixed, RECORDS);
    watch(map + fixed + (size - fixed) / LOG_SEGMENTS, RECORDS);
    struct robust_list_head *mutexes;
    if (syscall(SYS_get_robust_list, 0, &mutexes, &size)) {
        Py_FatalError("the list of mutexes is not known");
    }
    watch(mutexes, sizeof(*mutexes));
}

static bool
is_changed(void)
{
    bool changed = false;
    for (size_t at = 0; at < count_of_parts; at++) {
        if (memcmp(parts[at].seen, parts[at].bytes, parts[at].size) != 0) {
            memcpy(parts[at].seen, parts[at].bytes, parts[at].size);
            changed = true;
        }
    }
    return changed;
}

/* --- stepping ------------------------------------------------------------------------------------------------------ */

static void
count_step(int signal)
{
    (void)signal;
    changes_done += is_changed();
    if (++steps_done == last_step || (last_change && changes_done == last_change)) {
        kill(getpid(), SIGKILL);
    }
}

/* Make calls, given as pairs of a function and its arguments. Kill the process after so many instructions of all of
 * them, or after so many changes of what is watched (0: after none). Returns what the functions returned. */
PyObject *
call_stepped(PyObject *calls, unsigned long steps, unsigned long changes)
{
    PyObject *results = PyList_New(0);
    last_step = steps;
    last_change = changes;
    signal(SIGTRAP, count_step);
    for (Py_ssize_t at = 0; results != NULL && at < PyList_GET_SIZE(calls); at++) {
        PyObject *call = PyList_GET_ITEM(calls, at);
        PyObject *function = PyTuple_GET_ITEM(call, 0), *arguments = PyTuple_GET_ITEM(call, 1);
        __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
        PyObject *result = PyObject_Call(function, arguments, NULL);
        __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(unsigned long long)TRAP_FLAG);
        if (result == NULL || PyList_Append(results, result) < 0) {
            Py_CLEAR(results);
        }
        Py_XDECREF(result);
    }
    return results;
}
