/* The delta as a log in shared memory: docs/format.md has its bytes, docs/design.md says why it may be used in this way. */

#ifndef COSHELF_LOG_H
#define COSHELF_LOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_SEGMENTS 2
#define LOG_HEADER 4096
#define LOG_SLOTS (1u << 16)
#define LOG_INDEX ((size_t)LOG_SLOTS * 8)
#define LOG_FIRST 64                        /* where the first record of a segment lies; 0 means no record */
#define LOG_MOST_KEYS (LOG_SLOTS / 4 * 3)   /* of one segment: more would make searching the index slow */
#define LOG_LARGEST_KEY (1u << 24)
#define LOG_LARGEST_RECORD (1u << 24)

/* The fixed part of a segment's state. */
typedef struct {
    _Atomic uint64_t epoch;      /* even: in use; odd: it is being emptied, and the base has its commits */
    _Atomic uint64_t head;       /* the end of what is committed, as an offset in the segment */
    _Atomic uint64_t last;       /* the number of its last commit */
    _Atomic uint64_t allocated;  /* up to where its space is reserved */
    _Atomic uint64_t count;      /* used slots of its index */
    uint64_t unused[3];
} LogSegment;

typedef struct {
    char magic[8];
    uint32_t mutex_size;         /* a mutex of another size belongs to another C library */
    uint32_t library;            /* which C library made the mutex */
    uint64_t segment_size;       /* bytes of each log, without its index */
    uint64_t seed;               /* of the hash, so that no user can choose keys that collide */
    uint64_t unused[4];
    union {
        pthread_mutex_t mutex;   /* robust, shared by processes: writers hold it */
        uint8_t room[64];
    };
    _Atomic uint64_t number;     /* the number of the last commit */
    _Atomic uint64_t direct;     /* the number of the last commit that went straight to the base */
    uint64_t more[6];
    _Atomic uint32_t active;     /* the segment that takes commits */
    uint32_t rest[15];
    LogSegment segments[LOG_SEGMENTS];
} LogHeader;

/* A record: this, the key, and the sealed record as the base has it. */
typedef struct {
    uint32_t total;              /* bytes until the next record, a multiple of 8 */
    uint32_t key_length;
    uint32_t record_length;
    uint32_t slot;               /* its place in the index */
    uint32_t before;             /* the record before it of the same key in this segment, divided by 8; 0: none */
    uint32_t tag;                /* the upper half of the key's hash */
    uint8_t bytes[];
} LogRecord;

/* What one commit stores under one key. */
typedef struct {
    const uint8_t *key;
    const uint8_t *body;
    uint32_t key_length;
    uint32_t body_length;        /* 0: the key is deleted */
    uint32_t partial;            /* the checksum of key and body */
} LogRow;

/* One process's view of a log. */
typedef struct {
    uint8_t *map;
    size_t size;
    LogHeader *header;
    int descriptor;
    _Atomic uint32_t *claim;      /* words of the state page: the exclusive lock, */
    _Atomic uint32_t *generation; /* the generation of the delta that is in use, */
    _Atomic uint32_t *dirty;      /* whether the base lacks commits, */
    _Atomic uint32_t *bell;       /* and the number of the last commit */
    _Atomic uint32_t *full;       /* whether nothing may be stored, because the shelf is at its limits; or NULL */
    uint32_t mine;                /* the generation of this log */
} LogMap;

/* The newest record of a key: where it lies in the map. */
typedef struct {
    const uint8_t *record;
    size_t length;
} LogFound;

enum log_result {
    LOG_DONE,
    LOG_BUSY,     /* another thread or process holds the mutex */
    LOG_CLAIMED,  /* another one holds the exclusive lock */
    LOG_MOVED,    /* another delta has taken this one's place */
    LOG_FULL,     /* the segment is full, so a flush has to come first */
    LOG_NO_SPACE, /* the disk is full */
    LOG_CHANGED,  /* one of the keys that were checked has changed */
    LOG_NESTED,   /* this thread is in the middle of a commit, which called a function of Python */
    LOG_FAILED,   /* the mutex cannot be used */
    LOG_DAMAGED,  /* the log has numbers that no commit wrote */
};

/* What a reader has seen of the log, to tell later what has changed. It has no number: the last may be of a commit that
 * is not published yet. */
typedef struct {
    uint64_t direct;
    uint64_t epochs[LOG_SEGMENTS];
    uint64_t heads[LOG_SEGMENTS];
} LogStamp;

size_t log_size(size_t segment_size);
bool log_make(uint8_t *map, size_t size, int descriptor, uint64_t number, uint64_t seed);
const char *log_problem(const LogMap *log, bool alone);
bool log_settle(LogMap *log);

enum log_result log_lock(LogMap *log, int spins);
enum log_result log_lock_until(LogMap *log, long nanoseconds);
void log_unlock(LogMap *log);

/* The caller of these holds the mutex. */
enum log_result log_may_commit(LogMap *log, bool holding);
enum log_result log_room(LogMap *log, const LogRow *rows, size_t count, uint64_t *at);
enum log_result log_unchanged(LogMap *log, const LogStamp *stamp, bool holding, const uint8_t *key, size_t length);
uint64_t log_append(LogMap *log, uint64_t at, const LogRow *rows, size_t count, uint64_t *number);
void log_undo(LogMap *log);
void log_publish(LogMap *log, uint64_t end, uint64_t number);
uint64_t log_take_number(LogMap *log);
int log_swap(LogMap *log, uint64_t flushed);

void log_stamp(const LogMap *log, LogStamp *stamp);
bool log_is_due(const LogMap *log);
enum log_result log_remove(LogMap *log, uint64_t flushed, enum log_result (*lock)(LogMap *));

/* Readers take no lock. What they find is valid if log_is_still says so after it was copied. */
uint64_t log_hash(const LogMap *log, const uint8_t *key, size_t length);
uint64_t log_epoch(const LogMap *log, unsigned segment);
bool log_is_still(const LogMap *log, unsigned segment, uint64_t epoch);
uint64_t log_find(const LogMap *log, unsigned segment, uint64_t head, const uint8_t *key, size_t length, uint64_t hash,
                  LogFound *found);
const LogRecord *log_record(const LogMap *log, unsigned segment, uint64_t offset, uint32_t *key_length,
                            uint32_t *record_length);

static inline uint64_t
log_number_of(const uint8_t *record, size_t length)
{
    uint64_t number;
    __builtin_memcpy(&number, record + length - 12, sizeof(number));
    return number;
}

#endif
