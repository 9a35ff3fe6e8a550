/*
 * The protocol of the log: the delta in shared memory. README.md beside this file says what is modelled and how to run it.
 *
 * One statement is one step that other processes can see, and that a death can follow. Sizes and mutations are -D options of spin.
 */

#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef COMMITS
#define COMMITS 2   /* of each writer */
#endif
#ifndef KINDS
#define KINDS 3     /* 1: puts of key 1; 2: of either key; 3: also batches of both; 4: also batches of key 1 twice */
#endif
#ifndef FLUSHERS
#define FLUSHERS 1
#endif
#ifndef FLUSHES
#define FLUSHES 1   /* of each flusher */
#endif
#ifndef DIRECTS
#define DIRECTS 0   /* processes that make one direct commit each */
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef LOOKUPS
#define LOOKUPS 1   /* of each reader */
#endif
#ifndef SCANNERS
#define SCANNERS 0  /* readers that copy both keys as of one instant */
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef RECORDS
#define RECORDS 2   /* that a segment has space for */
#endif

#define KEYS 2
#define SLOTS 2     /* every key probes slot 0 first: both keys collide */
#define NONE 0      /* no record, no key, no version, no process */
#define GARBAGE 3   /* the key of a record that is half written */
#define MORTALS (WRITERS + FLUSHERS + DIRECTS)

typedef Segment {
    byte epoch;              /* odd: being emptied */
    byte head;               /* records 1 ... head are committed; 0: empty */
    byte last;               /* number of the last commit */
    byte slot[SLOTS];        /* leads to a record; 0: empty */
    byte key[RECORDS + 1];
    byte previous[RECORDS + 1];
    byte version[RECORDS + 1]
}

Segment segment[2];
byte newest_number;          /* `number` of the header */
bit active_segment;          /* `active` of the header */
bit dirty;                   /* DIRTY of the state page */
byte claim;                  /* CLAIM of the state page: the holder of the exclusive lock */
byte mutex;                  /* M: its owner */
bit owner_died;              /* M: the next owner gets EOWNERDEAD */
byte write_lock;             /* W of the base: its owner */

byte sequence;               /* the base: up to which number it has every commit */
byte base[KEYS + 1];         /* the base: the version of each key */

/* What no process of the protocol can see, for the assertions. */
byte committed[KEYS + 1];    /* the newest committed version of each key */
short versions[KEYS + 1];    /* all committed versions of each key, as bits */
short numbers;               /* numbers of all commits, as bits */
bool dead[MORTALS + 1];
bool done[MORTALS + 1];
byte ended;
byte deaths;

#define ODD(s) (segment[s].epoch & 1)

/* ---- The mutex M, and recovery of what its dead owner left ---- */

inline lock_mutex() {
    atomic { (mutex == NONE || owner_died) -> mutex = me; recovering = owner_died; owner_died = 0 };
    if
    :: recovering -> recover()
    :: !recovering
    fi
}

inline unlock_mutex() { mutex = NONE }

inline recover() {
    /* Nobody else changes `active` or this segment: both need M, or are for the other segment. */
#ifdef MUTATE_BUMP_EARLY
    segment[active_segment].epoch = segment[active_segment].epoch + 2;
#endif
#ifndef MUTATE_NO_RECOVERY
    place = 0;
    do
    :: place < SLOTS ->
        d_step {
            record = segment[active_segment].slot[place];
#ifdef MUTATE_UNDO_ONE
            if
            :: record > segment[active_segment].head -> record = segment[active_segment].previous[record]
            :: else
            fi;
#else
            do
            :: record > segment[active_segment].head -> record = segment[active_segment].previous[record]
            :: else -> break
            od;
#endif
            segment[active_segment].slot[place] = record;
            record = NONE;
            place++
        }
    :: else -> break
    od;
#endif
    atomic {
#if !defined(MUTATE_NO_BUMP) && !defined(MUTATE_BUMP_EARLY) && !defined(MUTATE_NO_RECOVERY)
        segment[active_segment].epoch = segment[active_segment].epoch + 2;
#endif
        recovering = 0;
        place = 0
    }
}

/* ---- Commits ---- */

#if defined(MUTATE_NUMBER_LATE)
#define COMMIT_NUMBER (newest_number + 1)
#else
#define COMMIT_NUMBER newest_number
#endif

/* Called with M held, so the slots are stable: the search is one step, the store is another. */
inline append_row(row_key) {
    d_step {
        record = segment[target].head + row + 1;
        place = 0;
        do
        :: segment[target].slot[place] != NONE && segment[target].key[segment[target].slot[place]] != row_key -> place++
        :: else -> break
        od;
        assert(place < SLOTS);
#ifdef TORN
        segment[target].key[record] = GARBAGE;
        segment[target].previous[record] = NONE;
        segment[target].version[record] = NONE
    };
    d_step {
#endif
#ifdef MUTATE_SLOT_BEFORE_RECORD
        was = segment[target].slot[place];
        segment[target].slot[place] = record
    };
    d_step {
        segment[target].previous[record] = was;
        was = NONE;
#else
        segment[target].previous[record] = segment[target].slot[place];
#endif
        segment[target].key[record] = row_key;
        segment[target].version[record] = COMMIT_NUMBER
    };
    d_step {
#ifdef MUTATE_HEAD_EARLY
        late_place = place;
#else
        segment[target].slot[place] = record;
#endif
        row++;
        record = NONE;
        place = 0
    }
}

/* The assertions' side of a commit. It happens in the step that commits. */
inline note_commit(row_key, number) {
    committed[row_key] = number;
    versions[row_key] = versions[row_key] | (1 << number)
}

inline note_number(number) {
    assert(!(numbers & (1 << number)));  /* no number is used twice */
    numbers = numbers | (1 << number)
}

inline commit_rows() {
#ifdef MUTATE_CLAIM_UNLOCKED
    claim == NONE;
    lock_mutex();
#elif DIRECTS > 0
    do
    :: lock_mutex();
        if
        :: claim == NONE -> break
        :: else -> unlock_mutex(); claim == NONE
        fi
    od;
#else
    lock_mutex();
#endif
    if
    :: segment[active_segment].head + (kind >= 3 -> 2 : 1) > RECORDS -> crowded = 1
    :: else ->
        atomic {
            target = active_segment;
#ifndef MUTATE_NUMBER_LATE
            newest_number++
#endif
        };
        append_row((kind == 2 -> 2 : 1));
        if
        :: kind >= 3 -> append_row((kind == 3 -> 2 : 1))
        :: kind < 3
        fi;
#ifndef MUTATE_DIRTY_LATE
        dirty = 1;
#endif
#ifndef MUTATE_LAST_LATE
        segment[target].last = COMMIT_NUMBER;
#endif
        d_step {
            segment[target].head = segment[target].head + row;
            note_number(COMMIT_NUMBER);
            note_commit((kind == 2 -> 2 : 1), COMMIT_NUMBER);
            if
            :: kind == 3 -> note_commit(2, COMMIT_NUMBER)
            :: else
            fi;
            row = 0
        };
#ifdef MUTATE_HEAD_EARLY
        d_step { segment[target].slot[late_place] = segment[target].head; late_place = 0 };
#endif
#ifdef MUTATE_LAST_LATE
        segment[target].last = COMMIT_NUMBER;
#endif
#ifdef MUTATE_DIRTY_LATE
        dirty = 1;
#endif
#ifdef MUTATE_NUMBER_LATE
        newest_number++
#endif
    fi;
    d_step { mutex = NONE; target = 0; kind = 0 }
}

/* ---- Emptying ---- */

inline empty_segment(s) {
#ifndef MUTATE_NO_EPOCH
#ifdef MUTATE_EPOCH_PLUS
    segment[s].epoch = segment[s].epoch + 1;
#else
    segment[s].epoch = segment[s].epoch | 1;
#endif
#endif
    segment[s].slot[0] = NONE;
    segment[s].slot[1] = NONE;
    segment[s].head = 0;
#ifndef MUTATE_NO_EPOCH
    segment[s].epoch = segment[s].epoch + 1;
#endif
    skip
}

/* The newest row of each key of a segment, of those whose number is above the base's. The caller holds W, so it is stable. */
inline collect(s) {
    record = 1;
    do
    :: record <= segment[s].head ->
        if
        :: segment[s].version[record] > sequence -> collected[segment[s].key[record]] = segment[s].version[record]
        :: else
        fi;
        record++
    :: else -> break
    od;
    record = NONE
}

inline store_collected() {
    if
    :: collected[1] != NONE -> base[1] = collected[1]
    :: else
    fi;
    if
    :: collected[2] != NONE -> base[2] = collected[2]
    :: else
    fi;
    collected[1] = NONE;
    collected[2] = NONE
}

inline clear_dirty() {
#ifdef MUTATE_DIRTY_UNLOCKED
    if
    :: segment[0].head == 0 && segment[1].head == 0 -> dirty = 0
    :: else
    fi;
#else
    lock_mutex();
    if
    :: segment[0].head == 0 && segment[1].head == 0 -> dirty = 0
    :: else
    fi;
    unlock_mutex();
#endif
    skip
}

/* ---- Flush ---- */

#ifdef MUTATE_EMPTY_ACTIVE
#define MAY_EMPTY(s) (segment[s].last <= sequence)
#else
#define MAY_EMPTY(s) (s != active_segment && segment[s].last <= sequence)
#endif

inline flush() {
    atomic { write_lock == NONE -> write_lock = me };
    lock_mutex();
    victim = 1 - active_segment;
    if
    :: ODD(victim) || (segment[victim].head > 0 && segment[victim].last <= sequence) -> empty_segment(victim)
    :: else
    fi;
    if
#ifdef MUTATE_SWAP_FULL
    :: true ->
#else
    :: segment[victim].head == 0 ->
#endif
        d_step { active_segment = victim; victim = 1 - victim }
    :: else
    fi;
    unlock_mutex();
#ifdef MUTATE_EMPTY_FIRST
    d_step { collect(victim) };
    empty_segment(victim);
    d_step {
        store_collected();
#else
    d_step {
        collect(victim);
        store_collected();
#endif
#ifdef MUTATE_SEQUENCE_BACK
        assert(segment[victim].last >= sequence);
        sequence = segment[victim].last;
#elif !defined(MUTATE_SEQUENCE_UNSET)
        sequence = (segment[victim].last > sequence -> segment[victim].last : sequence);
#endif
        write_lock = NONE
    };
    atomic { write_lock == NONE -> write_lock = me };
    if
    :: MAY_EMPTY(victim) -> empty_segment(victim)
    :: else
    fi;
    clear_dirty();
    d_step { write_lock = NONE; victim = 0 }
}

/* ---- Direct commit: both keys, in the base ---- */

inline direct_commit() {
#ifndef MUTATE_NO_CLAIM
    atomic { claim == NONE -> claim = me };
#ifndef MUTATE_NO_BARRIER
    lock_mutex();
    unlock_mutex();
#endif
#endif
    atomic { write_lock == NONE -> write_lock = me };
#ifdef MUTATE_NO_BARRIER
    d_step { newest_number++; number = newest_number; dirty = 1 };
#else
    lock_mutex();
    newest_number++;
    d_step { number = newest_number; dirty = 1 };
    unlock_mutex();
#endif
#ifdef MUTATE_NO_CLAIM
    d_step { collect(1 - active_segment); collect(active_segment) };
#endif
    d_step {
#ifndef MUTATE_NO_CLAIM
        collect(1 - active_segment);
        collect(active_segment);
#endif
        store_collected();
        base[1] = number;
        base[2] = number;
        assert(number >= sequence);
        sequence = number;
        note_number(number);
        note_commit(1, number);
        note_commit(2, number);
        number = 0;
        write_lock = NONE
    };
    atomic { write_lock == NONE -> write_lock = me };
    victim = 1 - active_segment;
    if
    :: MAY_EMPTY(victim) -> empty_segment(victim)
    :: else
    fi;
    lock_mutex();
    if
    :: segment[victim].head == 0 -> d_step { active_segment = victim; victim = 1 - victim }
    :: else
    fi;
    unlock_mutex();
    if
    :: MAY_EMPTY(victim) -> empty_segment(victim)
    :: else
    fi;
    clear_dirty();
    write_lock = NONE;
    claim = NONE
}

/* ---- Look-up ---- */

inline look_up() {
    /* A look-up must see what is committed at its first step, or a newer version. */
    atomic {
        least = committed[wanted];
        found = NONE;
        if
        :: dirty == 0 -> clean = 1
        :: else -> clean = 0
        fi
    };
#ifdef MUTATE_BASE_FIRST
    before = base[wanted];
#endif
    do
    :: clean -> break
    :: else ->
#ifdef MUTATE_OLDER_FIRST
        atomic { which = 1 - active_segment; turn = 0 };
#else
        atomic { which = active_segment; turn = 0 };
#endif
        do
        :: turn == 2 -> break
        :: else ->
            epoch = segment[which].epoch;
            atomic { until = segment[which].head; place = 0 };
            if
            :: (epoch & 1) || until == 0
            :: !(epoch & 1) && until != 0 ->
                do
                :: atomic { place == SLOTS -> place = 0; break }
                :: atomic { place < SLOTS -> record = segment[which].slot[place] };
                    if
                    :: atomic { record == NONE -> place = 0; break }
                    :: atomic { record != NONE && segment[which].key[record] == wanted -> place = 0; break }
                    :: atomic { record != NONE && segment[which].key[record] != wanted -> place++; record = NONE }
                    fi
                od;
                do
                :: record > until ->
#ifdef MUTATE_NO_PREVIOUS
                    record = NONE
#else
                    atomic { record = (segment[which].previous[record] < record -> segment[which].previous[record] : NONE) }
#endif
                :: atomic { record == NONE -> break }
                :: atomic { record != NONE && record <= until -> found = segment[which].version[record]; record = NONE; break }
                od;
#ifndef MUTATE_NO_RECHECK
                if
                :: atomic { segment[which].epoch != epoch -> found = NONE; break }  /* again, from `active` on */
                :: segment[which].epoch == epoch
                fi
#endif
            fi;
            if
            :: atomic { found != NONE -> turn = 2 }
            :: atomic { found == NONE -> which = 1 - which; turn++; epoch = 0; until = 0 }
            fi
        od;
        if
        :: turn == 2 -> break
        :: else
        fi
    od;
    atomic { which = 0; turn = 0; epoch = 0; until = 0; clean = 0 };
#ifndef MUTATE_NO_SEQUENCE
    if
    :: found != NONE && found <= sequence -> found = NONE
    :: else
    fi;
#endif
    if
#ifdef MUTATE_BASE_FIRST
    :: found == NONE -> found = before
#else
    :: found == NONE -> found = base[wanted]
#endif
    :: else
    fi;
    d_step {
        assert(found >= least);                                         /* nothing lost, no step back */
        assert(found == NONE || (versions[wanted] & (1 << found)));     /* nothing that is not committed */
        least = NONE
#ifdef MUTATE_BASE_FIRST
        ; before = 0
#endif
    }
}

/* ---- Processes ---- */

#define SEARCH_LOCALS byte place, record
#define MORTAL_LOCALS byte left, row, kind, victim, target; bit recovering, crowded; byte collected[KEYS + 1]; byte number, was, late_place
#define READER_LOCALS byte wanted, least, found, which, turn, epoch, until, before; bit clean

inline choose_kind() {
    if
    :: kind = 1
#if KINDS > 1
    :: kind = 2
#endif
#if KINDS > 2
    :: kind = 3
#endif
#if KINDS > 3
    :: kind = 4
#endif
    fi
}

/* What a process knew is nothing to the others: states that differ only in it are one state. */
inline forget() {
    place = 0; record = 0; row = 0; kind = 0; victim = 0; target = 0; recovering = 0; crowded = 0; left = 0; number = 0; was = 0; late_place = 0
}

proctype Writer(byte me) {
    SEARCH_LOCALS;
    MORTAL_LOCALS;
    left = COMMITS;
    {
        do
        :: left > 0 && !crowded -> atomic { left--; choose_kind() }; commit_rows()
        :: else -> break
        od;
        atomic { done[me] = 1; ended++; forget() }
    } unless { atomic { dead[me] -> forget() } }
}

proctype Flusher(byte me) {
    SEARCH_LOCALS;
    MORTAL_LOCALS;
    left = FLUSHES;
    {
        do
        :: left > 0 -> left--; flush()
        :: else -> break
        od;
        atomic { done[me] = 1; ended++; forget() }
    } unless { atomic { dead[me] -> forget() } }
}

proctype Direct(byte me) {
    SEARCH_LOCALS;
    MORTAL_LOCALS;
    {
        direct_commit();
        atomic { done[me] = 1; ended++; forget() }
    } unless { atomic { dead[me] -> forget() } }
}

proctype Reader() {
    SEARCH_LOCALS;
    READER_LOCALS;
    byte left = LOOKUPS;
    do
    :: left > 0 ->
        atomic {
            left--;
            if
            :: wanted = 1
#if KINDS > 1
            :: wanted = 2
#endif
            fi
        };
        look_up();
        wanted = NONE
    :: else -> break
    od
}

/* At most DEATHS deaths, each between any two steps. The kernel passes M on; LMDB releases W; the next claimant clears CLAIM. */
#define ALIVE(one) (one <= MORTALS && deaths < DEATHS && !dead[one] && !done[one])

inline kill(one) {
    dead[one] = 1;
    ended++;
    deaths++;
    if
    :: mutex == one -> owner_died = 1
    :: else
    fi;
    if
    :: write_lock == one -> write_lock = NONE
    :: else
    fi;
    if
    :: claim == one -> claim = NONE
    :: else
    fi
}

proctype Killer() {
end:
    do
    :: d_step { ALIVE(1) -> kill(1) }
#if WRITERS + FLUSHERS + DIRECTS > 1
    :: d_step { ALIVE(2) -> kill(2) }
#endif
#if WRITERS + FLUSHERS + DIRECTS > 2
    :: d_step { ALIVE(3) -> kill(3) }
#endif
#if WRITERS + FLUSHERS + DIRECTS > 3
    :: d_step { ALIVE(4) -> kill(4) }
#endif
    od
}

/* Everybody has ended or died: a new process opens, finds exactly what is committed, and flushes it. */
proctype Opener() {
    SEARCH_LOCALS;
    MORTAL_LOCALS;
    byte me = MORTALS + 1;
    READER_LOCALS;
    ended == MORTALS;
    lock_mutex();
    unlock_mutex();
    wanted = 1;
    look_up();
    assert(found == committed[1]);
    wanted = 2;
    look_up();
    assert(found == committed[2]);
    flush();
    flush();
    assert(base[1] == committed[1] && base[2] == committed[2]);
    assert(segment[0].head == 0 && segment[1].head == 0 && dirty == 0)
}

init {
    byte id = 1;
    byte count = 0;
    atomic {
        do
        :: count < WRITERS -> run Writer(id); id++; count++
        :: else -> break
        od;
        count = 0;
        do
        :: count < FLUSHERS -> run Flusher(id); id++; count++
        :: else -> break
        od;
        count = 0;
        do
        :: count < DIRECTS -> run Direct(id); id++; count++
        :: else -> break
        od;
        count = 0;
        do
        :: count < READERS -> run Reader(); count++
        :: else -> break
        od;
        run Killer();
        run Opener();
        id = 0;
        count = 0
    }
}
