/* Lines of turns: joining, leaving, calling the next one, and repairing, without Python.
 *
 * The places are the truth. What else the table has of them (hashes, the number of places in use) follows from them, and
 * is made anew if a process died with the mutex. Each step leaves the places such that this is possible: a place is
 * complete before its state says that it is in use, and a turn has its token before the state says that it is held.
 *
 * Whoever leaves calls the next one: makes it a holder and wakes it, all under the mutex. So if it is killed between the
 * two, the next one who takes the mutex learns of the death, and wakes it. Sleepers watch the processes that were ahead
 * of them (engines/turns/), so one of them takes the mutex at once.
 *
 * Another process may write to the table, so each number is bounded before it is followed.
 */

#define _GNU_SOURCE
#include "lines.h"

#include "platform.h"

#include <string.h>

#define MAGIC "coshtrn\1"
#define NAP 1000000 /* nanoseconds between two looks at a word, in a sandbox without futex */

_Static_assert(sizeof(pthread_mutex_t) <= 64, "the mutex fits in its place");
_Static_assert(offsetof(LinesHeader, mutex) == 64, "docs/format.md has the layout");
_Static_assert(offsetof(LinesHeader, token) == 128, "docs/format.md has the layout");
_Static_assert(offsetof(LinesHeader, opening) == 152, "docs/format.md has the layout");
_Static_assert(sizeof(LinesRow) == 128, "docs/format.md has the layout");
_Static_assert(offsetof(LinesPlace, task) == 64, "docs/format.md has the layout");
_Static_assert(sizeof(LinesPlace) == 384, "docs/format.md has the layout");
_Static_assert(offsetof(LinesTable, places) == 172032, "docs/format.md has the layout");

#ifdef CLOCK_REALTIME_COARSE
#define DAY_CLOCK CLOCK_REALTIME_COARSE /* exact to some milliseconds, and quicker */
#else
#define DAY_CLOCK CLOCK_REALTIME
#endif

/* --- the kernel ---------------------------------------------------------------------------------------------------- */

static void
wake(_Atomic uint32_t *word)
{
    platform_wake(word, INT_MAX);
}

void
lines_sleep(_Atomic uint32_t *word, uint32_t value, int64_t nanoseconds)
{
    if (platform_sleep_while(word, value, nanoseconds) == PLATFORM_CANNOT_SLEEP) {
        struct timespec time = {0, nanoseconds > NAP ? NAP : nanoseconds};
        nanosleep(&time, NULL);
    }
}

static double
now(void)
{
    struct timespec time;
    clock_gettime(DAY_CLOCK, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- making -------------------------------------------------------------------------------------------------------- */

/* Make an empty table in zeros of which nobody else knows. */
void
lines_make(LinesTable *table, const uint8_t boot[16], uint64_t token)
{
    platform_make_mutex(&table->header.mutex);
    table->header.mutex_size = sizeof(pthread_mutex_t);
    table->header.library = PLATFORM_LIBRARY;
    table->header.token = token;
    memcpy(table->header.boot, boot, sizeof(table->header.boot));
    memcpy(table->header.magic, MAGIC, sizeof(table->header.magic));
}

/* Whether this process can use the table's mutex. */
bool
lines_fits(const LinesTable *table)
{
    return memcmp(table->header.magic, MAGIC, sizeof(table->header.magic)) == 0
           && table->header.mutex_size == sizeof(pthread_mutex_t) && table->header.library == PLATFORM_LIBRARY;
}

/* --- the mutex ----------------------------------------------------------------------------------------------------- */

static enum lines_result
locked(LinesTable *table, int error)
{
    if (platform_owner_died(error)) {
        lines_repair(table);
        return platform_mend(&table->header.mutex) ? LINES_FAILED : LINES_DONE;
    }
    switch (error) {
    case 0: return LINES_DONE;
    case EBUSY:
    case ETIMEDOUT: return LINES_BUSY;
    default: return LINES_FAILED;
    }
}

/* Take the mutex if it becomes free within some moments. */
enum lines_result
lines_lock(LinesTable *table, int spins)
{
    for (;;) {
        int error = pthread_mutex_trylock(&table->header.mutex);
        if (error != EBUSY || spins-- <= 0) {
            return locked(table, error);
        }
        platform_pause();
    }
}

/* Take the mutex within a time. The caller does not hold the interpreter's lock. */
enum lines_result
lines_lock_until(LinesTable *table, long nanoseconds)
{
    return locked(table, platform_lock_within(&table->header.mutex, nanoseconds));
}

void
lines_unlock(LinesTable *table)
{
    pthread_mutex_unlock(&table->header.mutex);
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

static inline uint64_t
folded(uint64_t left, uint64_t right)
{
    unsigned __int128 product = (unsigned __int128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Never 0. */
uint64_t
lines_hash(const uint8_t *name, size_t length)
{
    uint64_t hash = length ^ 0x9E3779B97F4A7C15u;
    for (; length; name += length < 8 ? length : 8, length -= length < 8 ? length : 8) {
        uint64_t word = 0;
        memcpy(&word, name, length < 8 ? length : 8);
        hash = folded(word ^ 0xD6E8FEB86659FD93u, hash ^ 0xA0761D6478BD642Fu);
    }
    return hash ? hash : 1;
}

static inline uint32_t
used_of(const LinesTable *table)
{
    return table->header.used < LINES_PLACES ? table->header.used : LINES_PLACES;
}

static inline uint32_t
state_of(const LinesPlace *place)
{
    return atomic_load_explicit(&place->state, memory_order_relaxed);
}

static inline void
set_state(LinesPlace *place, uint32_t state)
{
    atomic_store_explicit(&place->state, state, memory_order_release); /* what was written before is complete */
}

static inline size_t
name_length(const LinesPlace *place)
{
    return place->name_length < LINES_NAME ? place->name_length : LINES_NAME;
}

/* The next place from an index on of the line with a name; ``used`` if there is none. */
static inline uint32_t
next_of_line(const LinesTable *table, uint32_t from, uint32_t used, uint64_t hash, const uint8_t *name, size_t length)
{
    for (uint32_t at = from; at < used; at++) {
        const LinesPlace *place = &table->places[at];
        if (table->hashes[at] == hash && state_of(place) != PLACE_FREE && name_length(place) == length
            && memcmp(place->name, name, length) == 0) {
            return at;
        }
    }
    return used;
}

static void
tell_row(LinesTable *table, const LinesPlace *place)
{
    if (place->tells_row && place->row < LINES_ROWS) {
        LinesRow *row = &table->rows[place->row];
        atomic_fetch_add(&row->called, 1);
        wake(&row->called);
    }
}

static void
say(LinesTable *table, LinesPlace *place, uint32_t word)
{
    atomic_store(&place->word, word);
    wake(&place->word);
    tell_row(table, place);
}

/* Give a place the turn, and wake whoever waits for it. */
static void
call(LinesTable *table, LinesPlace *place)
{
    place->since = now();
    place->token = ++table->header.token;
    set_state(place, PLACE_HOLDING);
    say(table, place, WORD_CALLED);
}

/* What a line is like at the moment. */
typedef struct {
    uint32_t holding;
    uint32_t waiting;
    LinesPlace *first; /* of those that wait */
    LinesPlace *last;  /* of all that joined: it decides how many have the turn */
} LineState;

static LineState
look(LinesTable *table, uint64_t hash, const uint8_t *name, size_t length)
{
    LineState line = {0};
    uint32_t used = used_of(table);
    for (uint32_t at = 0; (at = next_of_line(table, at, used, hash, name, length)) < used; at++) {
        LinesPlace *place = &table->places[at];
        if (line.last == NULL || place->arrival > line.last->arrival) {
            line.last = place;
        }
        if (state_of(place) == PLACE_HOLDING) {
            line.holding++;
        }
        else {
            line.waiting++;
            if (line.first == NULL || place->arrival < line.first->arrival) {
                line.first = place;
            }
        }
    }
    return line;
}

/* Call all places of a line that wait. If this process dies meanwhile, the repair does the rest. */
static void
call_all(LinesTable *table, uint64_t hash)
{
    uint32_t used = used_of(table);
    *(volatile uint64_t *)&table->header.opening = hash;
    for (uint32_t at = 0; at < used; at++) {
        LinesPlace *place = &table->places[at];
        if (table->hashes[at] == hash && state_of(place) == PLACE_WAITING && place->most == LINES_BARRIER) {
            call(table, place);
        }
    }
    *(volatile uint64_t *)&table->header.opening = 0;
}

/* Call all places of a line whose turn it is. */
static void
settle(LinesTable *table, uint64_t hash, const uint8_t *name, size_t length)
{
    for (;;) {
        LineState line = look(table, hash, name, length);
        if (line.first == NULL) {
            return;
        }
        if (line.last->most == LINES_BARRIER) {
            if (line.waiting >= line.last->parties) {
                call_all(table, hash);
            }
            return;
        }
        if (line.holding >= line.last->most) {
            return;
        }
        call(table, line.first);
    }
}

/* The first free place; LINES_PLACES if there is none. */
static uint32_t
free_place(LinesTable *table)
{
    uint32_t used = used_of(table), at = 0;
    while (at < used && (table->hashes[at] || state_of(&table->places[at]) != PLACE_FREE)) {
        at++;
    }
    return at;
}

static void
fill(LinesTable *table, LinesPlace *place, const LinesRequest *request)
{
    atomic_store_explicit(&place->word, WORD_WAITING, memory_order_relaxed);
    atomic_fetch_add_explicit(&place->number, 1, memory_order_relaxed);
    place->row = request->row;
    place->arrival = ++table->header.arrival;
    place->token = 0;
    place->since = now();
    place->most = request->most;
    place->parties = request->parties;
    place->name_length = (uint16_t)request->name_length;
    place->task_length = (uint16_t)request->task_length;
    place->tells_row = 0;
    memcpy(place->name, request->name, request->name_length);
    memcpy(place->task, request->task, request->task_length);
}

/* Join the end of a line. */
enum lines_result
lines_join(LinesTable *table, const LinesRequest *request, LinesUse *use)
{
    uint64_t hash = lines_hash(request->name, request->name_length);
    uint32_t at = free_place(table), used = used_of(table);
    if (at == LINES_PLACES) {
        return LINES_FULL;
    }
    LinesPlace *place = &table->places[at];
    bool is_alone = true;
    for (uint32_t other = 0;
         (other = next_of_line(table, other, used, hash, request->name, request->name_length)) < used; other++) {
        table->places[other].most = request->most;
        table->places[other].parties = request->parties;
        is_alone = false;
    }
    fill(table, place, request);
    if (at == used) {
        table->header.used = at + 1;
    }
    table->hashes[at] = hash;
    *use = (LinesUse){at, atomic_load_explicit(&place->number, memory_order_relaxed)};
    if (is_alone && request->most != LINES_BARRIER) { /* nobody sleeps there yet */
        place->token = ++table->header.token;
        set_state(place, PLACE_HOLDING);
        atomic_store_explicit(&place->word, WORD_CALLED, memory_order_release);
        return LINES_DONE;
    }
    set_state(place, PLACE_WAITING);
    settle(table, hash, request->name, request->name_length);
    return LINES_DONE;
}

/* Let the places in use end at the last one that is. */
static void
shrink(LinesTable *table)
{
    uint32_t used = used_of(table);
    while (used && !table->hashes[used - 1] && state_of(&table->places[used - 1]) == PLACE_FREE) {
        used--;
    }
    table->header.used = used;
}

static void
end_place(LinesTable *table, uint32_t at)
{
    LinesPlace *place = &table->places[at];
    bool waited = state_of(place) == PLACE_WAITING;
    set_state(place, PLACE_FREE);
    uint64_t hash = table->hashes[at];
    table->hashes[at] = 0;
    shrink(table);
    if (waited) { /* another thread may sleep there */
        say(table, place, WORD_OVER);
    }
    else {
        atomic_store_explicit(&place->word, WORD_OVER, memory_order_release);
    }
    if (used_of(table)) {
        settle(table, hash, place->name, name_length(place));
    }
}

static bool
is_in_use(const LinesTable *table, LinesUse use)
{
    const LinesPlace *place = &table->places[use.index];
    return use.index < LINES_PLACES && atomic_load(&place->number) == use.number && state_of(place) != PLACE_FREE;
}

/* Leave a line, unless that was done. The next one has the turn then. */
void
lines_leave(LinesTable *table, LinesUse use)
{
    if (is_in_use(table, use)) {
        end_place(table, use.index);
    }
}

/* Leave all lines on behalf of an open shelf, and free its row. */
void
lines_leave_all(LinesTable *table, uint32_t row)
{
    for (uint32_t at = 0; at < used_of(table); at++) {
        LinesPlace *place = &table->places[at];
        if (place->row == row && state_of(place) == PLACE_WAITING) { /* first, so that none of them is called */
            end_place(table, at);
        }
    }
    for (uint32_t at = 0; at < used_of(table); at++) {
        if (table->places[at].row == row && state_of(&table->places[at]) != PLACE_FREE) {
            end_place(table, at);
        }
    }
    atomic_store(&table->rows[row].state, ROW_FREE);
}

/* Take a row for an open shelf, if it is free. */
bool
lines_take_row(LinesTable *table, uint32_t row, const LinesRow *process)
{
    LinesRow *mine = &table->rows[row];
    if (atomic_load(&mine->state) != ROW_FREE) {
        return false;
    }
    mine->pid = process->pid;
    mine->start = process->start;
    mine->namespace = process->namespace;
    mine->number++;
    memcpy(mine->host, process->host, sizeof(mine->host));
    memcpy(mine->program, process->program, sizeof(mine->program));
    atomic_store(&mine->state, ROW_USED);
    return true;
}

/* Have the row's word change, too, when a place is called. Returns whether that is still to come. */
bool
lines_tell_row(LinesTable *table, LinesUse use)
{
    if (!is_in_use(table, use) || state_of(&table->places[use.index]) != PLACE_WAITING) {
        return false;
    }
    table->places[use.index].tells_row = 1;
    return true;
}

uint32_t
lines_unwatched(LinesTable *table, LinesUse use, const uint32_t *watched, uint32_t *rows, uint32_t *numbers)
{
    const LinesPlace *mine = &table->places[use.index];
    uint32_t used = used_of(table), count = 0;
    if (state_of(mine) != PLACE_WAITING) {
        return 0;
    }
    uint64_t hash = table->hashes[use.index];
    for (uint32_t at = 0; (at = next_of_line(table, at, used, hash, mine->name, name_length(mine))) < used; at++) {
        uint32_t row = table->places[at].row, known = 0;
        if (table->places[at].arrival >= mine->arrival || row == mine->row || row >= LINES_ROWS
            || table->rows[row].number == watched[row]) {
            continue;
        }
        while (known < count && rows[known] != row) {
            known++;
        }
        if (known == count) {
            rows[count] = row;
            numbers[count++] = table->rows[row].number;
        }
    }
    return count;
}

/* Make anew what follows from the places, after a process died with the mutex. Wake all that may not have been woken. */
void
lines_repair(LinesTable *table)
{
    table->header.used = LINES_PLACES;
    for (uint32_t at = 0; at < LINES_PLACES; at++) {
        LinesPlace *place = &table->places[at];
        bool is_whole = place->row < LINES_ROWS && state_of(place) <= PLACE_HOLDING;
        if (!is_whole) {
            set_state(place, PLACE_FREE);
        }
        if (state_of(place) == PLACE_FREE) {
            table->hashes[at] = 0;
            if (atomic_load(&place->word) == WORD_WAITING) {
                say(table, place, WORD_OVER);
            }
            continue;
        }
        table->hashes[at] = lines_hash(place->name, name_length(place));
        if (state_of(place) == PLACE_HOLDING) {
            say(table, place, WORD_CALLED);
        }
    }
    shrink(table);
    if (table->header.opening) {
        call_all(table, table->header.opening);
    }
    for (uint32_t at = 0; at < used_of(table); at++) {
        LinesPlace *place = &table->places[at];
        if (state_of(place) == PLACE_WAITING) {
            settle(table, table->hashes[at], place->name, name_length(place));
        }
    }
    for (uint32_t bell = 0; bell < LINES_BELLS; bell++) {
        if (atomic_load(&table->bells[bell].waiting)) {
            wake(&table->bells[bell].sequence);
        }
    }
}

void
lines_ring(LinesTable *table, uint32_t bell)
{
    atomic_fetch_add(&table->bells[bell].sequence, 1);
    if (atomic_load(&table->bells[bell].waiting)) {
        wake(&table->bells[bell].sequence);
    }
}
