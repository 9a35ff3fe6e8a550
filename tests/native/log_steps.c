/* Ends a process after each instruction of an operation on a log, and looks at what it leaves: test_log_steps.py.
 *
 *     log_steps FILE OPERATION STRIDE LIMIT
 *
 * A child does the operation instruction by instruction. On x86-64 it counts them itself, elsewhere it is traced. Every
 * STRIDE instructions, one way is to kill it; the operation begins anew for the next place. Operations that sweep a whole
 * index take too many instructions for that. They are done once: what the shared memory is after each instruction that
 * changes it is copied, and the copy's mutex is marked as the system marks that of a dead process. LIMIT is the number of
 * instructions after which it stops (0: none).
 *
 * The status is 0, 1 with a sentence on standard error, or 77 if no process may be traced here. Prints the number of
 * places that were looked at.
 */

#define _GNU_SOURCE
#include "log.h"
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 10          /* all of one probe chain */
#define SEGMENT (1u << 18)
#define COPIED (8u << 10) /* bytes of a segment that are in use */
#define MINE 3u
#define MOST_STEPS 20000000u
#define NOT_HERE 77
#define RARELY 1000
#define OWNER_DIED 0x40000000u

typedef struct {
    uint32_t values[KEYS]; /* 0: the key is missing */
} Contents;

/* Stands for the base: what it has, and the number up to which it has every commit. */
typedef struct {
    Contents contents;
    uint64_t flushed;
} Base;

typedef struct {
    const char *name;
    void (*prepare)(void);
    void (*run)(void);
    bool changes;  /* the contents become what prepare() left in `after` */
    bool is_long;  /* it sweeps an index */
} Operation;

static char keys[KEYS][16];
static LogMap real, copied;
static LogMap *map = &real;
static _Atomic uint32_t *page; /* the words of a state page */
static uint8_t *template, *last_seen;
static unsigned long *steps_done; /* of the child that is watched */
static uint32_t template_page[8];
static Base base, base_before;
static Contents before, after;
static unsigned long place, places;
static uint64_t chain_at; /* the slot at which the chain of the keys begins */
static const char *operation;

static void
fail(const char *sentence)
{
    fprintf(stderr, "%s, instruction %lu: %s\n", operation, place, sentence);
    exit(1);
}

static void
need(bool condition, const char *sentence)
{
    if (!condition) {
        fail(sentence);
    }
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bodies[KEYS][64];
    LogRow rows[KEYS];
    size_t count;
} Rows;

/* The value 0 deletes the key. Bodies have different lengths, so that a record overwrites parts of two others. */
static void
add(Rows *rows, unsigned key, uint32_t value)
{
    uint8_t *body = rows->bodies[rows->count];
    uint32_t length = value ? 4 + value % 13 * 4 : 0;
    for (uint32_t at = 0; at < length; at += 4) {
        memcpy(body + at, &value, 4);
    }
    LogRow row = {.key = (const uint8_t *)keys[key], .key_length = (uint32_t)strlen(keys[key]), .body = body,
                  .body_length = length};
    row.partial = checksum(row.body, row.body_length, checksum(row.key, row.key_length, 0));
    rows->rows[rows->count++] = row;
}

static void
commit_unlocked(const Rows *rows, bool publish)
{
    uint64_t at, number;
    need(log_may_commit(map, false) == LOG_DONE, "commits are refused");
    need(log_room(map, rows->rows, rows->count, &at) == LOG_DONE, "there is no space");
    uint64_t end = log_append(map, at, rows->rows, rows->count, &number);
    need(end != 0, "the index is damaged");
    if (publish) {
        log_publish(map, end, number);
    }
}

static void
commit(const Rows *rows)
{
    need(log_lock(map, 0) == LOG_DONE, "the mutex cannot be locked");
    commit_unlocked(rows, true);
    log_unlock(map);
}

static void
put(unsigned key, uint32_t value)
{
    Rows rows = {.count = 0};
    add(&rows, key, value);
    commit(&rows);
}

static enum log_result
lock(LogMap *log)
{
    return log_lock(log, 1000);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static bool
look_in(unsigned segment, unsigned key, uint32_t *value, uint64_t *number)
{
    const uint8_t *bytes = (const uint8_t *)keys[key];
    size_t length = strlen(keys[key]);
    uint64_t epoch = log_epoch(map, segment);
    uint64_t head = atomic_load_explicit(&map->header->segments[segment].head, memory_order_acquire);
    LogFound found;
    if (epoch & 1 || head <= LOG_FIRST || !log_find(map, segment, head, bytes, length, log_hash(map, bytes, length), &found)) {
        return false;
    }
    need(found.length == TRAILER || is_intact(bytes, length, found.record, found.length), "a record is torn");
    *number = log_number_of(found.record, found.length);
    *value = 0;
    if (found.length > TRAILER) {
        memcpy(value, found.record, 4);
    }
    need(log_is_still(map, segment, epoch), "a segment changes though its process is dead");
    return true;
}

static Contents
look(void)
{
    Contents found = base.contents;
    unsigned active = atomic_load_explicit(&map->header->active, memory_order_acquire) & 1;
    for (unsigned key = 0; key < KEYS; key++) {
        uint32_t value;
        uint64_t number;
        if ((look_in(active, key, &value, &number) || look_in(active ^ 1, key, &value, &number))
            && number > base.flushed) {
            found.values[key] = value;
        }
    }
    return found;
}

static bool
same(const Contents *left, const Contents *right)
{
    return !memcmp(left, right, sizeof(*left));
}

/* --- flushing ------------------------------------------------------------------------------------------------------ */

static int
swap(void)
{
    need(log_lock(map, 0) == LOG_DONE, "the mutex cannot be locked for a flush");
    int segment = log_swap(map, base.flushed);
    log_unlock(map);
    return segment;
}

static void
write_to_base(unsigned segment)
{
    uint64_t last = atomic_load(&map->header->segments[segment].last);
    for (unsigned key = 0; key < KEYS; key++) {
        uint32_t value;
        uint64_t number;
        if (look_in(segment, key, &value, &number) && number > base.flushed) {
            need(number <= last, "a record is newer than its segment");
            base.contents.values[key] = value;
        }
    }
    base.flushed = last > base.flushed ? last : base.flushed;
}

static void
flush_all(void)
{
    for (int segment, turns = 0; (segment = swap()) >= 0; turns++) {
        need(turns < 3, "a flush does not end");
        write_to_base((unsigned)segment);
        need(log_remove(map, base.flushed, lock) == LOG_DONE, "what is flushed cannot be removed");
    }
    need(log_remove(map, base.flushed, lock) == LOG_DONE, "what is flushed cannot be removed");
    need(!atomic_load(map->dirty), "the delta is dirty behind a whole flush");
}

/* --- what another process finds ------------------------------------------------------------------------------------ */

static void
examine(bool changes)
{
    base = base_before;
    Contents expected = look();
    need(same(&expected, &before) || (changes && same(&expected, &after)), "a reader finds a part of the commit");
    if (changes && same(&expected, &after)) {
        need(atomic_load(map->dirty) == 1, "the commit is visible, and the delta is not dirty");
    }
    need(log_lock(map, 0) == LOG_DONE, "the mutex cannot be locked behind the death");
    uint64_t number = atomic_load(&map->header->number);
    log_unlock(map);
    Contents found = look();
    need(same(&found, &expected), "recovery changes what a reader finds");
    for (unsigned key = 0; key < KEYS; key++) { /* in the chain that the dead process was changing */
        if (key != 1 && key != 5) {
            put(key, 100 + key);
            expected.values[key] = 100 + key;
            found = look();
            need(same(&found, &expected), "a commit behind the recovery changes another key, or is not found");
        }
    }
    need(atomic_load(&map->header->number) == number + KEYS - 2, "numbers do not rise by one");
    flush_all();
    found = look();
    need(same(&found, &expected), "a flush changes what a reader finds");
    put(5, 200);
    put(1, 0);
    expected.values[5] = 200;
    expected.values[1] = 0;
    found = look();
    need(same(&found, &expected), "a commit behind the flush is not found");
    places++;
}

/* --- the operations ------------------------------------------------------------------------------------------------ */

/* Commits in both segments, and one key in the base alone. */
static void
prepare_commits(void)
{
    base = (Base){.contents.values = {[6] = 60}};
    put(0, 1);
    put(3, 2);
    need(swap() == 0, "the first segment is not taken");
    put(0, 3);
    put(1, 4);
}

static void
prepare_put(void)
{
    prepare_commits();
    after = look();
    after.values[2] = 21;
}

static void
run_put(void)
{
    put(2, 21);
}

static void
add_batch(Rows *rows)
{
    add(rows, 2, 31);
    add(rows, 0, 32);
    add(rows, 6, 0);
    add(rows, 7, 34);
}

static void
prepare_batch(void)
{
    prepare_commits();
    after = look();
    after.values[2] = 31;
    after.values[0] = 32;
    after.values[6] = 0;
    after.values[7] = 34;
}

static void
run_batch(void)
{
    Rows rows = {.count = 0};
    add_batch(&rows);
    commit(&rows);
}

/* The segment that is not active is flushed, and not emptied yet. */
static void
prepare_swap(void)
{
    prepare_commits();
    write_to_base(0);
}

static void
run_swap(void)
{
    need(swap() == 1, "the second segment is not taken");
}

/* Both are flushed. */
static void
prepare_removal(void)
{
    prepare_commits();
    write_to_base(0);
    write_to_base(1);
}

static void
run_removal(void)
{
    need(log_remove(map, base.flushed, lock) == LOG_DONE, "what is flushed cannot be removed");
}

/* Another process died while it emptied one. */
static void
prepare_second_removal(void)
{
    prepare_removal();
    atomic_fetch_or(&map->header->segments[0].epoch, 1);
    atomic_store(&map->header->segments[0].count, 1);
}

/* Another process died with a batch that it did not publish. */
static void
prepare_recovery(void)
{
    prepare_commits();
    pid_t child = fork();
    if (!child) {
        Rows rows = {.count = 0};
        add_batch(&rows);
        need(log_lock(map, 0) == LOG_DONE, "the mutex cannot be locked");
        commit_unlocked(&rows, false);
        _exit(0);
    }
    int status;
    need(waitpid(child, &status, 0) == child && !status, "the batch was not appended");
}

static void
run_recovery(void)
{
    need(log_lock(map, 0) == LOG_DONE, "the mutex cannot be locked");
    log_unlock(map);
}

static const Operation operations[] = {
    {"put", prepare_put, run_put, true, false},
    {"batch", prepare_batch, run_batch, true, false},
    {"swap", prepare_swap, run_swap, false, false},
    {"removal", prepare_removal, run_removal, false, false},
    {"second-removal", prepare_second_removal, run_removal, false, true},
    {"recovery", prepare_recovery, run_recovery, false, true},
};

/* --- the shared memory --------------------------------------------------------------------------------------------- */

/* Parts of the map that are in use. */
static void
each_part(uint8_t *to, const uint8_t *from)
{
    size_t indexes = LOG_HEADER + LOG_SEGMENTS * LOG_INDEX;
    memcpy(to, from, indexes + COPIED);
    memcpy(to + indexes + SEGMENT, from + indexes + SEGMENT, COPIED);
}

static bool
differs(size_t from, size_t length)
{
    return memcmp(last_seen + from, real.map + from, length) != 0;
}

/* Whether an instruction has changed what is in use. Far from the chain of the keys the indexes are compared seldom. */
static bool
is_changed(unsigned long steps)
{
    size_t indexes = LOG_HEADER + LOG_SEGMENTS * LOG_INDEX, chain = LOG_HEADER + chain_at * 8;
    return differs(0, LOG_HEADER) || differs(chain, 16 * KEYS) || differs(chain + LOG_INDEX, 16 * KEYS)
           || differs(indexes, COPIED) || differs(indexes + SEGMENT, COPIED)
           || (steps % RARELY == 0 && differs(0, indexes));
}

static LogMap
mapped(const char *path, const char *ending)
{
    char name[4096];
    snprintf(name, sizeof(name), "%s%s", path, ending);
    size_t size = log_size(SEGMENT);
    int descriptor = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    need(descriptor >= 0 && !ftruncate(descriptor, (off_t)size) && !posix_fallocate(descriptor, 0, (off_t)size),
         "the file cannot be made");
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    need(memory != MAP_FAILED, "the file cannot be mapped");
    LogMap made = {.map = memory, .size = size, .header = (LogHeader *)memory, .descriptor = descriptor, .claim = page,
                   .generation = page + 1, .dirty = page + 2, .bell = page + 3, .mine = MINE};
    need(log_make(memory, size, descriptor, 0, 12345), "the log cannot be made");
    return made;
}

static void
find_keys(void)
{
    uint64_t wanted = 0;
    for (unsigned number = 0, found = 0; found < KEYS; number++) {
        snprintf(keys[found], sizeof(keys[found]), "key %u", number);
        uint64_t chain = log_hash(&real, (const uint8_t *)keys[found], strlen(keys[found])) & (LOG_SLOTS - 1);
        wanted = found ? wanted : chain;
        found += chain == wanted;
    }
    chain_at = wanted;
    need(chain_at + 2 * KEYS <= LOG_SLOTS, "the chain does not lie in one piece");
}

/* --- stepping ------------------------------------------------------------------------------------------------------ */

#ifdef __x86_64__

#define TRAP_FLAG 0x100 /* the processor sends SIGTRAP after each instruction */

static unsigned long steps_left;
static struct {
    unsigned long stride, limit;
} watched;

static _Noreturn void
run_stepping(const Operation *chosen, void (*after_each)(int))
{
    signal(SIGTRAP, after_each);
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
    chosen->run();
    _exit(0);
}

static bool
was_killed(int status)
{
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    need(killed || !status, "the operation failed");
    return killed;
}

static void
count_step(int signal)
{
    (void)signal;
    if (!--steps_left) {
        kill(getpid(), SIGKILL);
    }
}

/* A child kills itself after some instructions. False: it has ended before. It counts them itself: two changes between
 * processes for each instruction take a thousand times as long on a busy machine. */
static bool
is_killed_after(const Operation *chosen, unsigned long steps)
{
    pid_t child = fork();
    if (!child) {
        steps_left = steps;
        run_stepping(chosen, count_step);
    }
    int status;
    need(child > 0 && waitpid(child, &status, 0) == child, "no process can be started");
    return was_killed(status);
}

static void
watch_step(int signal)
{
    (void)signal;
    unsigned long steps = ++*steps_done;
    if (steps >= MOST_STEPS) {
        _exit(1);
    }
    if (steps % watched.stride == 0 && is_changed(steps)) {
        kill(getpid(), SIGSTOP);
    }
    if (steps == watched.limit) {
        kill(getpid(), SIGKILL);
    }
}

static pid_t
start_watched(const Operation *chosen, unsigned long stride, unsigned long limit)
{
    pid_t child = fork();
    if (!child) {
        watched.stride = stride;
        watched.limit = limit;
        run_stepping(chosen, watch_step);
    }
    need(child > 0, "no process can be started");
    return child;
}

/* Whether a child that runs on stops at the next change. False: it has ended. */
static bool
is_stopped_by_change(pid_t child, unsigned long stride, unsigned long limit)
{
    (void)stride;
    (void)limit;
    int status;
    kill(child, SIGCONT);
    need(waitpid(child, &status, WUNTRACED) == child, "the child is lost");
    place = *steps_done;
    if (WIFSTOPPED(status)) {
        return true;
    }
    was_killed(status); /* or it has ended as it should */
    return false;
}

#else

static pid_t
start(const Operation *chosen)
{
    pid_t child = fork();
    if (!child) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) {
            _exit(NOT_HERE);
        }
        raise(SIGSTOP);
        chosen->run();
        _exit(0);
    }
    int status;
    need(child > 0 && waitpid(child, &status, 0) == child, "no process can be started");
    if (!WIFSTOPPED(status)) {
        fprintf(stderr, "processes cannot be traced here\n");
        exit(NOT_HERE);
    }
    return child;
}

/* One instruction. False: the child has ended. */
static bool
step(pid_t child)
{
    int status;
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL)) {
        kill(child, SIGKILL);
        fprintf(stderr, "processes cannot be stepped here: %s\n", strerror(errno));
        exit(NOT_HERE);
    }
    need(waitpid(child, &status, 0) == child, "the child is lost");
    if (WIFEXITED(status)) {
        need(!WEXITSTATUS(status), "the operation failed");
        return false;
    }
    need(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "the operation ended by a signal");
    return true;
}

/* A child is killed after some instructions. False: it has ended before. */
static bool
is_killed_after(const Operation *chosen, unsigned long steps)
{
    pid_t child = start(chosen);
    while (steps--) {
        if (!step(child)) {
            return false;
        }
    }
    int status;
    kill(child, SIGKILL);
    need(waitpid(child, &status, 0) == child, "the child is lost");
    return true;
}

static pid_t
start_watched(const Operation *chosen, unsigned long stride, unsigned long limit)
{
    (void)stride;
    (void)limit;
    place = 0;
    return start(chosen);
}

/* Whether a child that runs on stops at the next change. False: it has ended. */
static bool
is_stopped_by_change(pid_t child, unsigned long stride, unsigned long limit)
{
    while (step(child)) {
        need(++place < MOST_STEPS, "the operation does not end");
        if (place == limit) {
            int status;
            kill(child, SIGKILL);
            need(waitpid(child, &status, 0) == child, "the child is lost");
            return false;
        }
        if (place % stride == 0 && is_changed(place)) {
            return true;
        }
    }
    return false;
}

#endif

static void
kill_at_each(const Operation *chosen, unsigned long stride, unsigned long limit)
{
    for (unsigned long wanted = 1;; wanted += stride) {
        each_part(real.map, template);
        memcpy((void *)page, template_page, sizeof(template_page));
        base = base_before;
        place = wanted;
        bool runs = is_killed_after(chosen, wanted);
        examine(chosen->changes);
        if (!runs || (limit && wanted >= limit)) {
            return;
        }
    }
}

/* Mark the mutex of the copy as the system does when its holder dies. */
static void
bury(pid_t holder)
{
    uint32_t *words_of_mutex = (uint32_t *)copied.header->room;
    for (size_t at = 0; at < sizeof(copied.header->room) / 4; at++) {
        if ((words_of_mutex[at] & ~(OWNER_DIED | 0x80000000u)) == (uint32_t)holder) {
            words_of_mutex[at] = (words_of_mutex[at] & 0x80000000u) | OWNER_DIED;
            return;
        }
    }
}

static void
look_at_each(const Operation *chosen, unsigned long stride, unsigned long limit)
{
    each_part(real.map, template);
    memcpy((void *)page, template_page, sizeof(template_page));
    base = base_before;
    pid_t child = start_watched(chosen, stride, limit);
    while (is_stopped_by_change(child, stride, limit)) {
        uint32_t kept[8];
        memcpy(kept, (void *)page, sizeof(kept));
        each_part(last_seen, real.map);
        each_part(copied.map, real.map);
        bury(child);
        map = &copied;
        examine(chosen->changes);
        map = &real;
        memcpy((void *)page, kept, sizeof(kept));
    }
    examine(chosen->changes);
}

int
main(int count, char **arguments)
{
    if (count != 5) {
        return 2;
    }
    operation = arguments[2];
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    need(page != MAP_FAILED, "there is no memory");
    page[1] = MINE;
    real = mapped(arguments[1], "");
    copied = mapped(arguments[1], "-copy");
    template = mmap(NULL, 2 * real.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    need(template != MAP_FAILED, "there is no memory");
    last_seen = template + real.size;
    steps_done = (unsigned long *)(void *)(page + 512);
    find_keys();
    const Operation *chosen = operations;
    while (strcmp(chosen->name, operation)) {
        need(++chosen < operations + sizeof(operations) / sizeof(*operations), "there is no such operation");
    }
    chosen->prepare();
    base_before = base;
    before = look();
    if (!chosen->changes) {
        after = before;
    }
    each_part(template, real.map);
    memcpy(template_page, (void *)page, sizeof(template_page));
    unsigned long stride = strtoul(arguments[3], NULL, 10), limit = strtoul(arguments[4], NULL, 10);
    (chosen->is_long ? look_at_each : kill_at_each)(chosen, stride, limit);
    printf("%lu places, %lu instructions\n", places, place);
    return 0;
}
