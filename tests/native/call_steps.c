/* Makes calls of Python instruction by instruction, and ends the process within them: call_steps.py loads this. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <signal.h>
#include <unistd.h>

#define TRAP_FLAG 0x100 /* the processor sends SIGTRAP after each instruction */

static unsigned long done, last;

static void
count_step(int signal)
{
    (void)signal;
    if (++done == last) {
        kill(getpid(), SIGKILL);
    }
}

/* Make calls, given as pairs of a function and its arguments. Kill the process after so many instructions of all of
 * them. Returns what the functions returned. */
PyObject *
call_stepped(PyObject *calls, unsigned long steps)
{
    PyObject *results = PyList_New(0);
    done = 0;
    last = steps;
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
