/*
 * The order of memory in the protocol of the log: which store must be a release, which load an acquire, where a fence is needed.
 *
 * Memory is one for all processors (x86 and aarch64 are multi-copy atomic). Each process executes its accesses in any order that the
 * orders below do not forbid; a load may be early whatever branch it is behind, as aarch64 executes it. X86 keeps all orders but that
 * of a store and a later load. WEAKEN_... takes one order away. README.md has the results.
 */

#define ACCESS(bit, after, action) :: atomic { !(made & (bit)) && (made & (after)) == (after) -> action; made = made | (bit) }
#define A 1
#define B 2
#define C 4
#define D 8
#define E 16
#define F 32
#define NOTHING 0

#ifdef X86
#define WEAK(order) order
#else
#define WEAK(order) NOTHING
#endif

#define WRITTEN 1
#define OVERWRITTEN 2

byte epoch, head = 1, slot = 1, record = WRITTEN;
byte base_row, dirty = 1, claim, mutex, previous = WRITTEN;
byte finished;

#ifdef SEQLOCK
/* A flush: the base has the row, the segment is emptied, swapped in, and a commit overwrites the old record. A look-up meanwhile. */

#ifdef WEAKEN_ODD_RELEASE            /* commit of the base; epoch odd: a release */
#define COMMITTED WEAK(A)
#else
#define COMMITTED A
#endif
#ifdef WEAKEN_RELEASE_FENCE          /* epoch odd; release fence; slots and head */
#define FENCED WEAK(A | B)
#else
#define FENCED (A | B)
#endif
#ifdef WEAKEN_EVEN_RELEASE           /* slots and head; epoch even: a release */
#define CLEARED WEAK(C | D)
#else
#define CLEARED (C | D)
#endif
#ifdef WEAKEN_MUTEX                  /* unlock and lock between the swap and the next commit */
#define SWAPPED WEAK(A | B | C | D | E)
#else
#define SWAPPED (A | B | C | D | E)
#endif
active proctype Emptier() {
    byte made;
    do
    ACCESS(A, NOTHING, base_row = 1)
    ACCESS(B, COMMITTED, epoch = 1)
    ACCESS(C, FENCED, slot = 0)
    ACCESS(D, FENCED, head = 0)
    ACCESS(E, B | CLEARED, epoch = 2)     /* B: the same word */
    ACCESS(F, SWAPPED, record = OVERWRITTEN)
    :: made == 63 -> break
    od
}

#ifdef WEAKEN_EPOCH_ACQUIRE          /* first load of the epoch: an acquire */
#define FIRST WEAK(A)
#else
#define FIRST A
#endif
#ifdef WEAKEN_HEAD_ACQUIRE
#define KNOWN WEAK(B)
#else
#define KNOWN B
#endif
#ifdef WEAKEN_ACQUIRE_FENCE          /* copy; acquire fence; epoch; base */
#define COPIED WEAK(C | D)
#else
#define COPIED (C | D)
#endif
active proctype Reader() {
    byte made, before, until, place, copy, after, row;
    do
    ACCESS(A, NOTHING, before = epoch)
    ACCESS(B, FIRST, until = head)
    ACCESS(C, FIRST | KNOWN, place = slot)
    ACCESS(D, FIRST | KNOWN | C, copy = record)          /* the address comes from the slot */
    ACCESS(E, A | FIRST | KNOWN | COPIED, after = epoch) /* A: the same word */
    ACCESS(F, FIRST | KNOWN | COPIED, row = base_row)
    :: made == 63 -> break
    od;
    if
    :: (before & 1) || until == 0 -> assert(row == 1)                  /* skipped: the base has the row */
    :: !(before & 1) && until > 0 && before == after ->
        assert(place == 0 || copy == WRITTEN);                          /* found: what was copied is the record */
        assert(place == 1 || row == 1)                                  /* not found: the base has the row */
    :: else                                                             /* again */
    fi
}
#endif

#ifdef COMMIT
/* A commit of two rows; a reader that looks for one, then for the other. Record 1 and slot 1 are the first row's. */
byte second_slot;
byte second_record;

#ifdef WEAKEN_SLOT_RELEASE           /* record; slot: a release */
#define RECORDED WEAK(A)
#else
#define RECORDED A
#endif
#ifdef WEAKEN_HEAD_RELEASE           /* slots, DIRTY; head: a release */
#define PUBLISHED WEAK(A | B | C)
#else
#define PUBLISHED (A | B | C)
#endif
active proctype Committer() {
    byte made;
    d_step { head = 0; dirty = 0; finished = 1 };
    do
    ACCESS(A, NOTHING, second_record = WRITTEN)
    ACCESS(B, RECORDED, second_slot = 1)
    ACCESS(C, NOTHING, dirty = 1)
    ACCESS(D, PUBLISHED, head = 2)
    :: made == 15 -> break
    od
}

#ifdef WEAKEN_HEAD_ACQUIRE
#define KNOWN WEAK(A)
#else
#define KNOWN A
#endif
active proctype Reader() {
    byte made, until, place, copy, is_dirty;
    finished == 1;
    do
    ACCESS(A, NOTHING, until = head)
    ACCESS(B, KNOWN, place = second_slot)
    ACCESS(C, B, copy = second_record)    /* the address comes from the slot; without it an acquire of the slot is needed */
    ACCESS(D, KNOWN, is_dirty = dirty)    /* of the next look-up */
    :: made == 15 -> break
    od;
    assert(!(place == 1 && copy != WRITTEN));            /* also a reader with the old head follows `prev` of the record */
    assert(!(until == 2 && (place == 0 || !is_dirty)))   /* who saw the first row sees the second */
}
#endif

#ifdef CLEAN
/* After a flush the delta is clean. This sends a reader to the base at once. */

#ifdef WEAKEN_CLEAN_RELEASE          /* DIRTY = 0 is stored with M held, after the base was committed: a release */
#define COMMITTED WEAK(A)
#else
#define COMMITTED A
#endif
active proctype Flusher() {
    byte made;
    do
    ACCESS(A, NOTHING, base_row = 1)
    ACCESS(B, COMMITTED, dirty = 0)
    :: made == 3 -> break
    od
}

#ifdef WEAKEN_DIRTY_ACQUIRE
#define KNOWN WEAK(A)
#else
#define KNOWN A
#endif
active proctype Reader() {
    byte made, is_dirty, row;
    do
    ACCESS(A, NOTHING, is_dirty = dirty)
    ACCESS(B, KNOWN, row = base_row)
    :: made == 3 -> break
    od;
    assert(is_dirty == 1 || row == 1)
}
#endif

#ifdef CLAIM
/* The exclusive lock: CLAIM = 1; lock M; unlock M; then nobody else commits. A writer: lock M; read CLAIM; commit; unlock M. */

#ifdef WEAKEN_UNLOCK_RELEASE
#define CLAIMED WEAK(A)
#else
#define CLAIMED A
#endif
#ifdef WEAKEN_LOCK_ACQUIRE
#define LOCKED WEAK(B)
#else
#define LOCKED B
#endif
active proctype Claimant() {
    byte made, seen;
    finished >= 1;
    do
    ACCESS(A, NOTHING, claim = 1)
#ifdef WEAKEN_LOOK                   /* M is looked at, and not locked */
    :: atomic { !(made & B) && mutex == 0 -> made = made | B | C }
#else
    :: atomic { !(made & B) && mutex == 0 -> mutex = 1; made = made | B }
    ACCESS(C, B | CLAIMED, mutex = 0)
#endif
    ACCESS(D, LOCKED, seen = head)
    :: made == 15 -> break
    od;
    finished == 2;
    assert(seen == head)             /* what the direct commit collects is all that there is */
}

active proctype Committer() {
    byte made, claimed;
    d_step { head = 0; finished = 1 };
    do
    :: atomic { !(made & A) && mutex == 0 -> mutex = 2; made = made | A }
    ACCESS(B, A, claimed = claim)
    ACCESS(C, B, if :: !claimed -> head = 1 :: else fi)
    ACCESS(D, A | B | C, mutex = 0)
    :: made == 15 -> break
    od;
    finished = 2
}
#endif

#ifdef RECOVERY
/* Recovery puts the slot back and changes the epoch; the next commit overwrites the dead writer's record; a look-up meanwhile. */

#ifdef WEAKEN_BUMP_RELEASE           /* slots; epoch + 2: a release */
#define RESTORED WEAK(A)
#else
#define RESTORED A
#endif
#ifdef WEAKEN_MUTEX                  /* unlock and lock between recovery and the next commit */
#define RECOVERED WEAK(A | B)
#else
#define RECOVERED (A | B)
#endif
active proctype Recoverer() {
    byte made;
    do
    ACCESS(A, NOTHING, slot = 0)
    ACCESS(B, RESTORED, epoch = 2)
    ACCESS(C, RECOVERED, previous = OVERWRITTEN)
    :: made == 7 -> break
    od
}

#ifdef WEAKEN_EPOCH_ACQUIRE
#define FIRST WEAK(A)
#else
#define FIRST A
#endif
#ifdef WEAKEN_ACQUIRE_FENCE
#define COPIED WEAK(B | C)
#else
#define COPIED (B | C)
#endif
active proctype Reader() {
    byte made, before, place, copy, after;
    do
    ACCESS(A, NOTHING, before = epoch)
    ACCESS(B, FIRST, place = slot)
    ACCESS(C, FIRST | B, copy = previous)
    ACCESS(D, A | COPIED, after = epoch)
    :: made == 15 -> break
    od;
    assert(!(before == after && place == 1 && copy != WRITTEN))
}
#endif
