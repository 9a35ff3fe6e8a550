/* What the fuzzers of the module in C share. Each target is a file that has prepare() and try_input(). */

#ifndef COSHELF_FUZZ_HARNESS_H
#define COSHELF_FUZZ_HARNESS_H

#include "native.h"

/* Called once, when Python runs. */
void prepare(void);

/* Called for each input. It calls finding() if the module does what it must not do. */
void try_input(const uint8_t *data, size_t size);

/* Print what is wrong, and end the process, so that the fuzzer keeps the input. */
_Noreturn void finding(const char *what);

/* The object, or a finding if it is NULL: for what must not fail. */
PyObject *needed(PyObject *object, const char *what);

/* A function of a Python module. */
PyObject *function_of(const char *module, const char *name);

/* From now on, Python's allocation with this number fails; 0: none does. The peak of memory is measured anew. */
void watch_memory(unsigned failing);

/* The most memory, in bytes, that was in use since watch_memory(), beyond what was in use then. No allocation fails. */
size_t memory_used(void);

#endif
