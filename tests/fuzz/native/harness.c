#define _GNU_SOURCE

#include "harness.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#define ROUND 4096              /* inputs between two looks at what stays allocated */
#define MOST_BLOCKS_KEPT 200000 /* Python's free lists have at most some 50,000 */
#define TICK 5                  /* seconds of the processor; an input that two ticks find is endless */

PyMODINIT_FUNC PyInit__native(void);

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void
finding(const char *what)
{
    fprintf(stderr, "FINDING: %s\n", what);
    if (PyErr_Occurred()) {
        PyErr_Print();
    }
    abort();
}

PyObject *
needed(PyObject *object, const char *what)
{
    if (object == NULL) {
        finding(what);
    }
    return object;
}

PyObject *
function_of(const char *module, const char *name)
{
    PyObject *imported = needed(PyImport_ImportModule(module), module);
    PyObject *function = needed(PyObject_GetAttrString(imported, name), name);
    Py_DECREF(imported);
    return function;
}

/* --- memory: all of Python's objects come from malloc, so that AddressSanitizer knows their bounds ----------------- */

static struct {
    size_t bytes, peak, start;
    size_t blocks;
    unsigned failing; /* how many allocations remain until one fails; 0: none fails */
} memory;

static bool
fails_now(void)
{
    return memory.failing && --memory.failing == 0;
}

static void *
counted(void *block)
{
    if (block != NULL) {
        memory.blocks++;
        memory.bytes += malloc_usable_size(block);
        memory.peak = memory.bytes > memory.peak ? memory.bytes : memory.peak;
    }
    return block;
}

static void
uncounted(void *block)
{
    if (block != NULL) {
        memory.blocks--;
        memory.bytes -= malloc_usable_size(block);
    }
}

static void *
take(void *Py_UNUSED(context), size_t size)
{
    return fails_now() ? NULL : counted(malloc(size ? size : 1));
}

static void *
take_zeros(void *Py_UNUSED(context), size_t count, size_t size)
{
    return fails_now() ? NULL : counted(calloc(count ? count : 1, size ? size : 1));
}

static void *
take_again(void *Py_UNUSED(context), void *block, size_t size)
{
    if (fails_now()) {
        return NULL;
    }
    uncounted(block);
    void *made = realloc(block, size ? size : 1);
    counted(made == NULL ? block : made);
    return made;
}

static void
give_back(void *Py_UNUSED(context), void *block)
{
    uncounted(block);
    free(block);
}

void
watch_memory(unsigned failing)
{
    memory.start = memory.peak = memory.bytes;
    memory.failing = failing;
}

size_t
memory_used(void)
{
    memory.failing = 0;
    return memory.peak - memory.start;
}

/* --- the fuzzer's functions ---------------------------------------------------------------------------------------- */

static void
start_python(void)
{
    PyPreConfig before;
    PyPreConfig_InitPythonConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    PyMemAllocatorEx allocator = {NULL, take, take_zeros, take_again, give_back};
    PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &allocator);
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &allocator);
    PyImport_AppendInittab("_native", PyInit__native);
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0;
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesString(&config, &config.program_name, getenv("COSHELF_FUZZ_PYTHON"));
    }
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    Py_SetRecursionLimit(10000); /* what nests 500 deep is compared by pickle's recursion */
}

static volatile sig_atomic_t is_tried;
static unsigned inputs;

static void
tick(int Py_UNUSED(signal))
{
    static unsigned at_last_tick;
    if (is_tried && inputs == at_last_tick) {
        finding("an input does not end");
    }
    at_last_tick = inputs;
}

/* By the time of the processor, since a busy machine may keep the process waiting for long. */
static void
watch_time(void)
{
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_interval = {.tv_sec = TICK}, .it_value = {.tv_sec = TICK}};
    if (sigaction(SIGPROF, &action, NULL) || setitimer(ITIMER_PROF, &timer, NULL)) {
        finding("the time cannot be watched");
    }
}

int
LLVMFuzzerInitialize(int *Py_UNUSED(count), char ***Py_UNUSED(arguments))
{
    start_python();
    prepare();
    watch_time();
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    inputs++;
    is_tried = true;
    try_input(data, size);
    is_tried = false;
    if (PyErr_Occurred()) {
        finding("an error was left behind");
    }
    if (inputs % ROUND == 0) {
        PyGC_Collect();
        if (memory.blocks > MOST_BLOCKS_KEPT) {
            finding("memory was left behind");
        }
    }
    return 0;
}
