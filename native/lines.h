/* The table of turns in shared memory: docs/format.md has its bytes, docs/design.md says how it is used. */

#ifndef COSHELF_LINES_H
#define COSHELF_LINES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_HEADER 4096
#define LINES_ROWS 1024   /* open shelves */
#define LINES_BELLS 512
#define LINES_PLACES 4096
#define LINES_NAME 256    /* the longest name of a line, in bytes */
#define LINES_TASK 64
#define LINES_BARRIER 0u  /* as the number of turns */

typedef struct {
    char magic[8];
    uint32_t mutex_size;  /* a mutex of another size belongs to another C library */
    uint32_t library;     /* which C library made the mutex */
    uint8_t boot[16];
    uint64_t unused[4];
    union {
        pthread_mutex_t mutex; /* robust, shared by processes: whoever changes the table holds it */
        uint8_t room[64];
    };
    uint64_t token;       /* the last one that was given */
    uint64_t arrival;     /* the number of the last place */
    uint32_t used;        /* the places from here on are free */
    uint32_t unused_too;
    uint64_t opening;     /* the hash of the line whose barrier is being opened, or 0 */
} LinesHeader;

enum line_row_state { ROW_FREE, ROW_USED };

/* One open shelf of a process. */
typedef struct {
    _Atomic uint32_t state;
    uint32_t pid;
    uint64_t start;       /* when the process began, in ticks since the boot */
    uint64_t namespace;   /* of its pid */
    uint32_t number;      /* of the use of this row */
    _Atomic uint32_t called; /* a futex: changes when a place is called whose owner does not sleep at the place itself */
    char host[32];
    char program[64];
} LinesRow;

typedef struct {
    _Atomic uint32_t sequence; /* a futex */
    _Atomic uint32_t waiting;  /* how many wait at it; too many if one of them was killed */
} LinesBell;

enum line_place_state { PLACE_FREE, PLACE_WAITING, PLACE_HOLDING };
enum line_word { WORD_OVER, WORD_WAITING, WORD_CALLED };

typedef struct {
    _Atomic uint32_t state;
    _Atomic uint32_t word;   /* a futex: whoever waits sleeps here */
    _Atomic uint32_t number; /* of the use of this place */
    uint32_t row;
    uint64_t arrival;
    uint64_t token;
    double since;
    uint32_t most;           /* the last one who joined a line decides it for all of its places */
    uint32_t parties;
    uint16_t name_length;
    uint16_t task_length;
    uint32_t tells_row;      /* whether the word `called` of the row changes, too, when the place is called */
    uint64_t unused;
    char task[LINES_TASK];
    uint8_t name[LINES_NAME];
} LinesPlace;

/* All of the table. */
typedef struct {
    union {
        LinesHeader header;
        uint8_t page[LINES_HEADER];
    };
    LinesRow rows[LINES_ROWS];
    LinesBell bells[LINES_BELLS];
    uint64_t hashes[LINES_PLACES]; /* of the name of each place's line; 0: the place is free */
    LinesPlace places[LINES_PLACES];
} LinesTable;

enum lines_result {
    LINES_DONE,
    LINES_BUSY,   /* another thread or process holds the mutex */
    LINES_FAILED, /* the mutex cannot be used */
    LINES_FULL,   /* every place is in use */
};

typedef struct {
    const uint8_t *name;
    const char *task;
    size_t name_length; /* up to LINES_NAME */
    size_t task_length; /* up to LINES_TASK */
    uint32_t most;
    uint32_t parties;
    uint32_t row;
} LinesRequest;

/* Which place, and which use of it. */
typedef struct {
    uint32_t index;
    uint32_t number;
} LinesUse;

void lines_make(LinesTable *table, const uint8_t boot[16], uint64_t token);
bool lines_fits(const LinesTable *table);

enum lines_result lines_lock(LinesTable *table, int spins);
enum lines_result lines_lock_until(LinesTable *table, long nanoseconds);
void lines_unlock(LinesTable *table);

/* The caller of these holds the mutex. */
enum lines_result lines_join(LinesTable *table, const LinesRequest *request, LinesUse *use);
void lines_leave(LinesTable *table, LinesUse use);
void lines_leave_all(LinesTable *table, uint32_t row);
bool lines_take_row(LinesTable *table, uint32_t row, const LinesRow *process);
bool lines_tell_row(LinesTable *table, LinesUse use);
/* The rows of places ahead of one that waits, other than its own, whose use of the row is not the one in ``watched``. */
uint32_t lines_unwatched(LinesTable *table, LinesUse use, const uint32_t *watched, uint32_t *rows, uint32_t *numbers);
void lines_repair(LinesTable *table);

void lines_ring(LinesTable *table, uint32_t bell);
/* Sleep while a word has a value, for some nanoseconds at most, or until there is a signal. */
void lines_sleep(_Atomic uint32_t *word, uint32_t value, int64_t nanoseconds);
uint64_t lines_hash(const uint8_t *name, size_t length);

#endif
