/* Ends a process after each instruction of an operation on a table of turns, and looks at what it leaves: test_steps.py.
 *
 *     lines_steps OPERATION STRIDE LIMIT
 *
 * A child does the operation, and kills itself after a number of instructions. Then this process does what a survivor
 * does: it takes the mutex, and ends the places of the dead one. After that the table must be whole, and the survivors'
 * places must be what they are without the dead one. The number of instructions grows by STRIDE, up to LIMIT (0: to the
 * end of the operation). For x86-64 only. Prints the number of places in the code that were looked at.
 */

#define _GNU_SOURCE
#include "lines.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRAP_FLAG 0x100 /* the processor sends SIGTRAP after each instruction */
#define PLACES_KEPT 16
#define KEPT (offsetof(LinesTable, places) + PLACES_KEPT * sizeof(LinesPlace)) /* no operation uses more places */

enum { FIRST, DEAD, SECOND, ROWS }; /* rows: two of survivors, one of the process that dies */

/* What a place of a survivor may be in the end. */
typedef struct {
    LinesUse use;
    bool may_wait, may_hold;
} Expected;

typedef struct {
    const char *name;
    void (*prepare)(void);
    void (*run)(void);
} Operation;

static LinesTable *table, *template;
static Expected expected[PLACES_KEPT];
static unsigned expectations;
static LinesUse mine; /* the place of the process that dies */
static bool same_for_all; /* the survivors wait all, or have the turn all */
static unsigned long place, looked_at, steps_left;
static const char *operation;

static void
need(bool condition, const char *sentence)
{
    if (!condition) {
        fprintf(stderr, "%s, instruction %lu: %s\n", operation, place, sentence);
        exit(1);
    }
}

static LinesUse
join(const char *name, uint32_t row, uint32_t most, uint32_t parties)
{
    LinesRequest request = {(const uint8_t *)name, "task", strlen(name), 4, most, parties, row};
    LinesUse use = {0, 0};
    need(lines_lock(table, 0) == LINES_DONE, "the mutex cannot be locked");
    need(lines_join(table, &request, &use) == LINES_DONE, "a line cannot be joined");
    lines_unlock(table);
    return use;
}

static void
expect(LinesUse use, bool may_wait, bool may_hold)
{
    expected[expectations++] = (Expected){use, may_wait, may_hold};
}

static void
leave(LinesUse use)
{
    need(lines_lock(table, 0) == LINES_DONE, "the mutex cannot be locked");
    lines_leave(table, use);
    lines_unlock(table);
}

static void
leave_all(uint32_t row)
{
    need(lines_lock(table, 0) == LINES_DONE, "the mutex cannot be locked");
    if (atomic_load(&table->rows[row].state) == ROW_USED) {
        lines_leave_all(table, row);
    }
    lines_unlock(table);
}

/* --- the operations ------------------------------------------------------------------------------------------------ */

static void
prepare_nothing(void)
{
    expect(join("other", FIRST, 1, 0), false, true);
}

static void
run_join(void)
{
    join("line", DEAD, 1, 0);
}

static void
prepare_line(void)
{
    expect(join("line", FIRST, 1, 0), false, true);
    expect(join("line", SECOND, 1, 0), true, false);
}

static void
prepare_held(void)
{
    mine = join("line", DEAD, 1, 0);
    expect(join("line", SECOND, 1, 0), false, true);
    expect(join("line", FIRST, 1, 0), true, false);
}

static void
run_leave(void)
{
    leave(mine);
}

static void
prepare_waiting(void)
{
    expect(join("line", SECOND, 1, 0), false, true);
    mine = join("line", DEAD, 1, 0);
    expect(join("line", FIRST, 1, 0), true, false);
}

static void
prepare_barrier(void)
{
    expect(join("line", SECOND, LINES_BARRIER, 3), true, true);
    expect(join("line", FIRST, LINES_BARRIER, 3), true, true);
    same_for_all = true;
}

static void
run_barrier(void)
{
    join("line", DEAD, LINES_BARRIER, 3);
}

static void
prepare_semaphore(void)
{
    expect(join("line", FIRST, 2, 0), false, true);
    mine = join("line", DEAD, 2, 0);
    expect(join("line", SECOND, 2, 0), false, true);
    expect(join("line", FIRST, 2, 0), true, false);
}

static void
prepare_widening(void)
{
    expect(join("line", FIRST, 1, 0), false, true);
    expect(join("line", SECOND, 1, 0), true, true);
}

static void
run_widening(void)
{
    join("line", DEAD, 3, 0);
}

/* Another process died, and this one ends its places. A survivor does so, too: it watches the same process. */
static void
prepare_reaping(void)
{
    mine = join("line", SECOND, 1, 0);
    join("line", SECOND, 1, 0);
    expect(join("line", FIRST, 1, 0), false, true);
    join("line", DEAD, 1, 0);
}

static void
run_reaping(void)
{
    leave_all(SECOND);
}

/* Another process died with the mutex, in the middle of a step. */
static void
prepare_repair(void)
{
    LinesUse held = join("line", SECOND, 1, 0), next = join("line", FIRST, 1, 0);
    expect(join("line", FIRST, 1, 0), true, false);
    expect(next, false, true);
    expect(join("other", FIRST, 1, 0), false, true);
    pid_t child = fork();
    if (!child) {
        need(lines_lock(table, 0) == LINES_DONE, "the mutex cannot be locked");
        atomic_store(&table->places[held.index].state, PLACE_FREE);
        atomic_store(&table->places[next.index].state, PLACE_HOLDING);
        table->places[next.index].token = ++table->header.token;
        table->hashes[next.index + 1] = 77;
        table->hashes[9] = 78;
        table->header.used = 1;
        _exit(0);
    }
    int status;
    need(waitpid(child, &status, 0) == child && !status, "the step was not begun");
}

static void
run_repair(void)
{
    need(lines_lock(table, 0) == LINES_DONE, "the mutex cannot be locked");
    lines_unlock(table);
}

static void
run_take_row(void)
{
    LinesRow row = {.pid = 1, .start = 2, .namespace = 3};
    need(lines_lock(table, 0) == LINES_DONE, "the mutex cannot be locked");
    lines_take_row(table, ROWS, &row);
    lines_unlock(table);
}

static const Operation operations[] = {
    {"join", prepare_nothing, run_join},
    {"join-behind", prepare_line, run_join},
    {"leave", prepare_held, run_leave},
    {"leave-waiting", prepare_waiting, run_leave},
    {"barrier", prepare_barrier, run_barrier},
    {"semaphore", prepare_semaphore, run_leave},
    {"widening", prepare_widening, run_widening},
    {"reaping", prepare_reaping, run_reaping},
    {"repair", prepare_repair, run_repair},
    {"row", prepare_line, run_take_row},
};

/* --- what survivors find ------------------------------------------------------------------------------------------- */

static void
examine_places(void)
{
    uint32_t used = 0, in_use = 0;
    for (uint32_t at = 0; at < PLACES_KEPT; at++) {
        const LinesPlace *each = &table->places[at];
        uint32_t state = atomic_load(&each->state);
        uint64_t hash = state == PLACE_FREE ? 0 : lines_hash(each->name, each->name_length);
        need(table->hashes[at] == hash, "a hash does not fit its place");
        if (state != PLACE_FREE) {
            used = at + 1;
            in_use++;
            need(each->row != DEAD, "a place of the dead one is left");
            need(atomic_load(&each->word) == (state == PLACE_HOLDING ? WORD_CALLED : WORD_WAITING),
                 "a word does not fit the state of its place");
            need(state == PLACE_WAITING || (each->token && each->token <= table->header.token), "a token is wrong");
        }
    }
    need(table->header.used == used, "the number of places in use is wrong");
    need(in_use == expectations, "places of survivors are lost");
}

static void
examine(void)
{
    leave_all(DEAD);
    if (strcmp(operation, "reaping") == 0) {
        leave_all(SECOND);
    }
    if (strcmp(operation, "row") == 0) {
        leave_all(ROWS);
        need(atomic_load(&table->rows[ROWS].state) == ROW_FREE, "the row stays taken");
    }
    need(atomic_load(&table->rows[DEAD].state) == ROW_FREE, "the row of the dead one stays taken");
    examine_places();
    unsigned holding = 0;
    for (unsigned at = 0; at < expectations; at++) {
        const LinesPlace *each = &table->places[expected[at].use.index];
        uint32_t state = atomic_load(&each->state);
        need(atomic_load(&each->number) == expected[at].use.number && state != PLACE_FREE, "a survivor lost its place");
        need(state == PLACE_HOLDING ? expected[at].may_hold : expected[at].may_wait, "a place is not what it should be");
        holding += state == PLACE_HOLDING;
    }
    need(!same_for_all || holding == 0 || holding == expectations, "a barrier opened for some");
    uint64_t token = table->header.token;
    LinesUse fresh = join("fresh", FIRST, 1, 0);
    need(table->places[fresh.index].token > token, "tokens do not grow");
    leave_all(FIRST);
    leave_all(SECOND);
    need(table->header.used == 0, "places are left when all have left");
    looked_at++;
}

/* --- stepping ------------------------------------------------------------------------------------------------------ */

#ifdef __x86_64__

static void
count_step(int signal)
{
    (void)signal;
    if (!--steps_left) {
        kill(getpid(), SIGKILL);
    }
}

/* False: the operation has ended before. */
static bool
is_killed_after(const Operation *chosen, unsigned long steps)
{
    pid_t child = fork();
    if (!child) {
        steps_left = steps;
        signal(SIGTRAP, count_step);
        __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
        chosen->run();
        _exit(0);
    }
    int status;
    need(child > 0 && waitpid(child, &status, 0) == child, "no process can be started");
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    need(killed || !status, "the operation failed");
    return killed;
}

#else
#error "this needs the trap flag of x86-64"
#endif

int
main(int count, char **arguments)
{
    if (count != 4) {
        return 2;
    }
    operation = arguments[1];
    size_t size = (sizeof(LinesTable) + 4095) / 4096 * 4096;
    table = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    need(table != MAP_FAILED, "there is no memory");
    template = (LinesTable *)((uint8_t *)table + size);
    uint8_t boot[16] = {1};
    lines_make(table, boot, 1000);
    for (uint32_t row = 0; row < ROWS; row++) {
        LinesRow process = {.pid = row + 1};
        need(lines_take_row(table, row, &process), "a row cannot be taken");
    }
    const Operation *chosen = operations;
    while (strcmp(chosen->name, operation)) {
        need(++chosen < operations + sizeof(operations) / sizeof(*operations), "there is no such operation");
    }
    chosen->prepare();
    memcpy(template, table, KEPT);
    unsigned long stride = strtoul(arguments[2], NULL, 10), limit = strtoul(arguments[3], NULL, 10);
    bool runs = true;
    for (place = 1; runs && (!limit || place <= limit); place += stride) {
        memcpy(table, template, KEPT);
        runs = is_killed_after(chosen, place);
        examine();
    }
    printf("%lu places, %lu instructions\n", looked_at, place - stride);
    return 0;
}
