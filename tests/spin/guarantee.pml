/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guarantee.pml - a small machine on which two devices were promised memory (docs/GUARANTEE.md)
 *
 *      slot A: frames 0, 1     max_moves 1      ordinary memory: zone 0: frames 3, 4
 *      slot B: frame  2        max_moves 1                       zone 1: frames 5, 6
 *
 * Processes, all of which take any step at any time:
 *      Holder(0)  a datum that must lie in zone 0 or in an area; Holder(1): anywhere
 *      Taker(m)   takes the block of slot m, evacuates it, gives it back, again and again; with
 *                 -DGROUP (and Holder(0) alone) a block of member m of a group
 *      Hog        ordinary allocations, page tables, destinations of other claims: takes every
 *                 frame that the gate leaves it, and gives some back
 *      Admin      with -DADMIT: slot B begins as ordinary memory of an area; is admitted, revoked
 *
 * A step of this model is what the library does under one lock or with one atomic instruction;
 * between two of them everybody else may do something. What holds a frame is in word[]:
 *      0     idle, or free in its slot, or in the block of a device
 *      DROP  droppable     KEPT  must be copied (booked, in a slot)     FIX  ordinary memory in use
 *      HAND  a destination that an evacuation has in its hand
 *      GONE  its data has moved out, in a moment it is free
 *
 * tests/spin/run builds it for several small machines, and runs it once for each mutant: MUTANT=n in
 * the environment breaks one rule, 0 breaks none.
 */
#ifndef LOWS
#define LOWS 1 /* frames of zone 0, 0 to 2 */
#endif
#ifndef HIGHS
#define HIGHS 1 /* of zone 1 */
#endif

#ifndef PAGES
#define PAGES 2 /* of slot A */
#endif
#ifndef TAKERS
#define TAKERS 2
#endif

#define SLOT(f) (f / 2)
#define NONE 15

#define DROP 1
#define KEPT 2
#define FIX 3
#define HAND 4
#define GONE 5

/* of a slot; ORDINARY and ADMITTING: not one yet */
mtype = { ORDINARY, ADMITTING, LENT, TAKING, TAKEN, RETURNING, CLOSING };

/* The mutants: what each of them breaks stands in run, under the same number. */
byte mutant;
#define M_NO_GATE (mutant == 1)
#define M_GATE_OF_ONE_ZONE (mutant == 2)
#define M_GATE_COUNTS_CACHES (mutant == 3)
#define M_MOVE_OUT_PAST_GATE (mutant == 4)
#define M_MARK_BEFORE_BOOKING (mutant == 5)
#define M_KEEP_UNBOOKED (mutant == 6)
#define M_KEEP_UNCOUNTED (mutant == 7)
#define M_KEEP_WHILE_TAKEN (mutant == 8)
#define M_WRITE_BEFORE_KEEP (mutant == 9)
#define M_UNBOOK_FIRST (mutant == 10)
#define M_UNCOUNT_EARLY (mutant == 11)
#define M_BORROW_UNSEEN (mutant == 12)
#define M_LOWEST_ZONE (mutant == 13)
#define M_TWO_STEPS (mutant == 14)
#define M_FREEZE_LAST (mutant == 15)
#define M_PUT_UNBOOKED (mutant == 16)
#define M_NO_FREEZE (mutant == 17)
#define M_PIN_IN_PLACE (mutant == 18)
#define M_SHORT_REFERENCE (mutant == 19)
#define M_REFUSE (mutant == 20)
#define M_NEED_MEMORY (mutant == 21)
#define M_LEND_BEFORE_QUIET (mutant == 22)
#define M_ADMIT_WITH_DATA (mutant == 23)
#define M_ADMIT_PAST_GATE (mutant == 24)
#define M_REVOKE_BOOKED (mutant == 25)
#define M_REVOKE_FROZEN (mutant == 26)
#define M_REVOKE_LIVE (mutant == 27)
#define M_BOTH_OPEN (mutant == 28)
#define M_CLOSE_FIRST (mutant == 29)

/* Says what is wrong, and ends the search. */
#define REQUIRE(condition, text)                   \
    if                                             \
    :: !(condition) ->                             \
        c_code { printf("broken: " text "\n"); }; \
        assert(false)                              \
    :: else                                        \
    fi

byte word[7];
byte who[7];
bit frozen[7];
bit held[7];  /* by a pin or reference, where it is: only mutants do so */
byte loc[2];  /* where the datum of a holder is, as its mover knows */
bit dirty[2]; /* it is nowhere else */
short promised[2];
mtype st[2];
short kept[2];  /* of a slot, or just about to be */
byte copies[2]; /* for the block that is being taken */
bit writes[2];  /* the device writes to its block */

#define IDLE(f) (word[f] == 0)
#define F0 (IDLE(3) + IDLE(4))
#define F1 (F0 + IDLE(5) + IDLE(6))
#define P0 (promised[0])
#define P1 (promised[0] + promised[1])
/* Frames of this zone may be taken, or one more up to its end be booked. */
#define CACHED(f) (M_GATE_COUNTS_CACHES && word[f] == FIX && who[f] == 2)
#define SPARE1 (F1 + CACHED(3) + CACHED(4) + CACHED(5) + CACHED(6) > P1)
#define SPARE0 (F0 + CACHED(3) + CACHED(4) > P0 && (SPARE1 || M_GATE_OF_ONE_ZONE))

/* --- what must hold always --------------------------------------------------------------------- */

#define PROMISED_SLOT(s) (st[s] == LENT || st[s] == TAKING || st[s] == CLOSING)
#define K_AT(f, z) (PROMISED_SLOT(SLOT(f)) && word[f] == KEPT && who[f] <= z)
#define K(z) (K_AT(0, z) + K_AT(1, z) + K_AT(2, z))
#define NKEPT(s) ((word[2 * s] == KEPT) + (s == 0 && word[1] == KEPT))
/* Destinations in the hand of who takes a slot; who[] of those is the holder that they are for. */
#define H_AT(f, z) (word[f] == HAND && who[f] <= z)
#define H(z) (H_AT(3, z) + H_AT(4, z) + H_AT(5, z) + H_AT(6, z))
#define IN_SLOT(u, s) (loc[u] != NONE && loc[u] < 3 && SLOT(loc[u]) == s)
#define EMPTY(s) (word[2 * s] == 0 && (s == 1 || word[1] == 0) && !IN_SLOT(0, s) && !IN_SLOT(1, s))

#define BALANCED (K(0) - H(0) <= F0 && K(1) - H(1) <= F1)
#define ONE_HOLDER (loc[0] == NONE || loc[0] != loc[1])
#define OWN(s) ((st[s] != TAKEN && st[s] != RETURNING && !writes[s]) || EMPTY(s))
/* As many holders as have this limit can have something booked, or be about to. */
#define H_OF(f, u) (word[f] == HAND && who[f] == u)
#define BOOKED(u) (promised[u] + H_OF(3, u) + H_OF(4, u) + H_OF(5, u) + H_OF(6, u))
#define NONE_LOST (BOOKED(0) <= 1 && BOOKED(1) <= 1)
#define BOUNDED(s) (copies[s] <= 1 && (!PROMISED_SLOT(s) || NKEPT(s) <= 1))

/* --- steps that several processes take -------------------------------------------------------- */

inline give(t, w, u)
{
    word[t] = w;
    who[t] = u
}

inline clear(t)
{
    word[t] = 0;
    who[t] = 0
}

/* A frame of the highest zone that datum u accepts; t == NONE: there is none. */
inline highest(u, t)
{
    if
    :: u == 1 && IDLE(6) && !M_LOWEST_ZONE -> t = 6
    :: u == 1 && !IDLE(6) && IDLE(5) && !M_LOWEST_ZONE -> t = 5
    :: else ->
        if
        :: IDLE(4) -> t = 4
        :: !IDLE(4) && IDLE(3) -> t = 3
        :: else ->
            if
            :: u == 1 && IDLE(6) -> t = 6
            :: u == 1 && !IDLE(6) && IDLE(5) -> t = 5
            :: else -> t = NONE
            fi
        fi
    fi
}

/* The same, past the gate, which may say no. */
inline highest_spare(u, t, forced)
{
    highest(u, t);
    if
    :: t != NONE && t >= 5 && !SPARE1 && !forced -> t = NONE
    :: t != NONE && t < 5 && !SPARE0 && !forced -> t = NONE
    :: else
    fi;
    if
    :: t != NONE -> give(t, FIX, u)
    :: else
    fi
}

/* A destination for booked data of u, which is frozen in frame f of slot s: taken and unbooked in
 * one step. There always is one. */
inline take_promised(s, f, u, t)
{
    highest(u, t);
    if
    :: t != NONE && t < 5 && u == 1 && F0 <= P0 && M_FREEZE_LAST -> t = NONE
    :: else
    fi;
    if
    :: t == NONE -> REQUIRE(M_FREEZE_LAST, "a booked frame has no destination")
    :: else ->
        give(t, HAND, u);
        if
        :: M_UNCOUNT_EARLY -> kept[s]--
        :: else
        fi;
        if
        :: !M_TWO_STEPS -> promised[u]--
        :: else
        fi
    fi
}

inline put_promised(s, u, t)
{
    if
    :: M_UNCOUNT_EARLY -> kept[s]++
    :: else
    fi;
    if
    :: !M_PUT_UNBOOKED -> promised[u]++
    :: else
    fi;
    clear(t);
    t = NONE
}

/* The data of u is at t now: the commit. */
inline commit(s, f, u, t)
{
    if
    :: word[f] == KEPT && PROMISED_SLOT(s) && !M_UNCOUNT_EARLY -> kept[s]--
    :: else
    fi;
    loc[u] = t;
    word[t] = FIX;
    word[f] = GONE
}

inline leave(f)
{
    clear(f);
    frozen[f] = 0
}

#define BOOK(u, f) \
    ((kept[SLOT(f)] < 1 || M_KEEP_UNCOUNTED) && (u == 0 -> SPARE0 : SPARE1))

inline unbook(u, f)
{
    kept[SLOT(f)]--;
    promised[u]--
}

/* --- who has data in slots ---------------------------------------------------------------------- */

#define AREA(u) (loc[u] != NONE && loc[u] < 3)
#define HAS(u, f, kind) (loc[u] == f && word[f] == kind && !frozen[f])
#define ORDINARY_SLOT(s) (st[s] == ORDINARY || st[s] == ADMITTING)

/*
 * Each branch ends with f and t at NONE, so that who does nothing has one state. A frame that is
 * frozen is left alone: CMA_EAGAIN.
 */
proctype Holder(byte u)
{
    byte f = NONE, t = NONE;

again:
    do
    /* It may use its data as it is for as long as it likes. */
    :: loc[u] != NONE
    /* Lent: found free without a lock, then published under it, then known to the mover. */
    :: atomic { loc[u] == NONE ->
            if
            :: word[0] == 0 && st[0] == LENT -> f = 0
            :: PAGES > 1 && word[1] == 0 && st[0] == LENT -> f = 1
            :: word[2] == 0 && (st[1] == LENT || st[1] == ORDINARY) -> f = 2
            fi
        }
        atomic {
            if
            :: word[f] == 0 && (st[SLOT(f)] == LENT || st[SLOT(f)] == ORDINARY ||
                                M_BORROW_UNSEEN) -> give(f, DROP, u)
            :: else -> f = NONE; goto again
            fi
        }
        atomic { loc[u] = f; f = NONE }
    /* The same for data that is kept from the start: booked first. */
    :: atomic { loc[u] == NONE ->
            if
            :: word[0] == 0 && st[0] == LENT && BOOK(u, 0) -> f = 0
            :: word[2] == 0 && st[1] == LENT && BOOK(u, 2) -> f = 2
            fi;
            kept[SLOT(f)]++;
            promised[u]++
        }
        atomic {
            if
            :: word[f] == 0 && (st[SLOT(f)] == LENT || M_BORROW_UNSEEN) ->
                give(f, KEPT, u);
                dirty[u] = 1
            :: else -> unbook(u, f); f = NONE; goto again
            fi
        }
        atomic { loc[u] = f; f = NONE }

    /* To be written: booked, then marked. */
    :: atomic { AREA(u) && HAS(u, loc[u], DROP) && !ORDINARY_SLOT(SLOT(loc[u])) &&
                (BOOK(u, loc[u]) || M_KEEP_UNBOOKED || M_MARK_BEFORE_BOOKING) ->
            f = loc[u];
            if
            :: M_MARK_BEFORE_BOOKING -> word[f] = KEPT
            :: M_KEEP_UNBOOKED
            :: else -> kept[SLOT(f)]++; promised[u]++
            fi
        }
        atomic {
            if
            :: M_MARK_BEFORE_BOOKING && BOOK(u, f) ->
                kept[SLOT(f)]++;
                promised[u]++;
                f = NONE;
                goto again
            :: M_MARK_BEFORE_BOOKING && !BOOK(u, f) -> word[f] = DROP; f = NONE; goto again
            :: !M_MARK_BEFORE_BOOKING && HAS(u, f, DROP) &&
               (st[SLOT(f)] == LENT || M_KEEP_WHILE_TAKEN) ->
                word[f] = KEPT;
                dirty[u] = 1;
                f = NONE;
                goto again
            :: else
            fi
        }
        atomic {
            if
            :: !M_KEEP_UNBOOKED -> unbook(u, f)
            :: else
            fi;
            f = NONE
        }
    :: atomic { M_WRITE_BEFORE_KEEP && AREA(u) && HAS(u, loc[u], DROP) -> dirty[u] = 1 }
    /* Ordinary lent frames are kept without asking. */
    :: atomic { AREA(u) && HAS(u, loc[u], DROP) && ORDINARY_SLOT(SLOT(loc[u])) ->
            word[loc[u]] = KEPT;
            dirty[u] = 1
        }

    /* To be pinned, referenced, or written where there is no booking: moved out first. */
    :: atomic { AREA(u) && HAS(u, loc[u], DROP) && !ORDINARY_SLOT(SLOT(loc[u])) ->
            f = loc[u];
            highest_spare(u, t, M_MOVE_OUT_PAST_GATE);
            if
            :: t == NONE -> f = NONE; goto again
            :: else
            fi
        }
        goto freeze
    :: atomic { AREA(u) && HAS(u, loc[u], KEPT) && !ORDINARY_SLOT(SLOT(loc[u])) ->
            f = loc[u];
            frozen[f] = !M_FREEZE_LAST
        }
        atomic {
            take_promised(SLOT(f), f, u, t);
            if
            :: t == NONE && !M_FREEZE_LAST -> frozen[f] = 0; f = NONE; goto again
            :: t == NONE && M_FREEZE_LAST -> f = NONE; goto again
            :: t != NONE && !M_FREEZE_LAST -> goto copy
            :: else
            fi
        }
freeze:
        atomic {
            if
            :: loc[u] == f && !frozen[f] && !ORDINARY_SLOT(SLOT(f)) &&
               (word[f] == KEPT) == (word[t] == HAND) -> frozen[f] = 1
            :: else ->
                if
                :: word[t] == HAND -> put_promised(SLOT(f), u, t)
                :: else -> clear(t); t = NONE
                fi;
                f = NONE;
                goto again
            fi
        }
copy:
        atomic { commit(SLOT(f), f, u, t); t = NONE }
        atomic { leave(f); f = NONE }
    :: atomic { (M_PIN_IN_PLACE || M_SHORT_REFERENCE) && AREA(u) && word[loc[u]] != 0 &&
                !frozen[loc[u]] && !held[loc[u]] -> held[loc[u]] = 1
        }
        atomic { M_SHORT_REFERENCE -> held[loc[u]] = 0 }

    /* Written back: droppable again, then no longer booked. */
    :: atomic { AREA(u) && HAS(u, loc[u], KEPT) && st[SLOT(loc[u])] == LENT ->
            f = loc[u];
            if
            :: M_UNBOOK_FIRST -> unbook(u, f)
            :: else -> word[f] = DROP; dirty[u] = 0
            fi
        }
        atomic {
            if
            :: !M_UNBOOK_FIRST -> unbook(u, f)
            :: M_UNBOOK_FIRST && HAS(u, f, KEPT) -> word[f] = DROP; dirty[u] = 0
            :: else
            fi;
            f = NONE
        }

    /* Let go, from wherever it is. */
    :: atomic { loc[u] != NONE && !frozen[loc[u]] && !held[loc[u]] ->
            if
            :: AREA(u) && word[loc[u]] == KEPT && !ORDINARY_SLOT(SLOT(loc[u])) -> f = loc[u]
            :: else
            fi;
            clear(loc[u]);
            loc[u] = NONE;
            dirty[u] = 0;
            if
            :: f == NONE -> goto again
            :: else
            fi
        }
        atomic { unbook(u, f); f = NONE }
    od
}

/* --- ordinary memory ---------------------------------------------------------------------------- */

proctype Hog()
{
end:
    do
    :: atomic { IDLE(3) && (SPARE0 || M_NO_GATE) -> give(3, FIX, 2) }
    :: atomic { IDLE(4) && (SPARE0 || M_NO_GATE) -> give(4, FIX, 2) }
    :: atomic { IDLE(5) && (SPARE1 || M_NO_GATE) -> give(5, FIX, 2) }
    :: atomic { IDLE(6) && (SPARE1 || M_NO_GATE) -> give(6, FIX, 2) }
    :: atomic { word[3] == FIX && who[3] == 2 -> clear(3) }
    :: atomic { word[4] == FIX && who[4] == 2 -> clear(4) }
    :: atomic { word[5] == FIX && who[5] == 2 -> clear(5) }
    :: atomic { word[6] == FIX && who[6] == 2 -> clear(6) }
    od
}

/* --- who takes a slot --------------------------------------------------------------------------- */

/*
 * Empties frames f to last of slot s. Frames that were kept when they were ordinary ones of an area
 * (`booked` false, an admission) get destinations past the gate; t == NONE and ok == 0: one did not.
 */
inline evacuate(s, f, last, booked)
{
    ok = 1;
next:
    do
    :: atomic { f > last -> f = 0; break }
    :: atomic { f <= last && word[f] == 0 -> f++ }
    /* The mover's answer is ENOENT while it does not know the frame: thawed, and again. */
    :: atomic { f <= last && word[f] == DROP && !frozen[f] && !held[f] -> frozen[f] = !M_NO_FREEZE }
        atomic {
            if
            :: loc[who[f]] == f ->
                REQUIRE(!dirty[who[f]], "what was written is dropped");
                loc[who[f]] = NONE
            :: else -> frozen[f] = 0; goto next
            fi
        }
        atomic { clear(f); frozen[f] = 0 }
    /*
     * Kept and booked: frozen first, so that it is there when its destination is, and the booking
     * is used. Not booked: the destination first, for being frozen must not last.
     */
    :: atomic { f <= last && word[f] == KEPT -> u = who[f] };
        if
        :: booked && !M_FREEZE_LAST ->
            atomic {
                word[f] != KEPT || (!frozen[f] && !held[f]) ->
                if
                :: word[f] != KEPT || M_REFUSE || (M_NEED_MEMORY && !SPARE1) -> u = 0; goto next
                :: else -> frozen[f] = 1
                fi
            };
        :: else
        fi;
        if
        :: booked && M_TWO_STEPS -> promised[u]--
        :: else
        fi;
        atomic {
            if
            :: booked -> take_promised(s, f, u, t)
            :: else -> highest_spare(u, t, M_ADMIT_PAST_GATE)
            fi;
            if
            :: t == NONE && booked && M_TWO_STEPS -> promised[u]++
            :: else
            fi;
            if
            :: t == NONE && booked && !M_FREEZE_LAST -> frozen[f] = 0; u = 0; goto next
            :: t == NONE && booked && M_FREEZE_LAST -> u = 0; goto next
            :: t == NONE && !booked && word[f] == KEPT -> u = 0; f = 0; ok = 0; break
            :: t == NONE && !booked && word[f] != KEPT -> u = 0; goto next
            :: else
            fi
        }
        if
        :: !booked || M_FREEZE_LAST ->
            atomic {
                word[f] != KEPT || who[f] != u || (!frozen[f] && !held[f]) ->
                if
                :: word[f] == KEPT && who[f] == u -> frozen[f] = 1
                :: else ->
                    if
                    :: booked -> put_promised(s, u, t)
                    :: else -> clear(t); t = NONE
                    fi;
                    u = 0;
                    goto next
                fi
            }
        :: else
        fi;
        atomic {
            if
            :: loc[u] == f -> commit(s, f, u, t); copies[s]++
            :: else ->
                if
                :: booked -> put_promised(s, u, t)
                :: else -> clear(t); t = NONE
                fi;
                frozen[f] = 0;
                u = 0;
                goto next
            fi
        }
        atomic { leave(f); t = NONE; u = 0 }
    od
}

/* Whose block is taken: of guarantee m, whose slot is m; or with -DGROUP of member m of a group:
 * member 0 has one block, of two pages, member 1 has two, of one page. */
#ifdef GROUP
byte open = NONE, live[2];
#define HOME(m) 0
#define MAY_TAKE(m) ((open == NONE || open == m || M_BOTH_OPEN) && live[m] <= m)
inline choose(m, s)
{
    open = m;
    live[m]++;
    REQUIRE(st[0] == LENT || (m == 1 && st[1] == LENT), "a promised block has no slot");
    if
    :: st[0] == LENT -> s = 0
    :: m == 1 && st[1] == LENT -> s = 1
    fi
}
inline close(m)
{
    live[m]--;
    if
    :: live[m] == 0 -> open = NONE
    :: else
    fi
}
#else
#define MAY_TAKE(m) (st[m] == LENT)
#define HOME(m) m
inline choose(m, s)
{
    s = m
}
inline close(m)
{
    skip
}
#endif

proctype Taker(byte m)
{
    byte f, t = NONE, u, s = HOME(m);
    bit ok;

end:
    do
    :: atomic { MAY_TAKE(m) -> choose(m, s); st[s] = TAKING; copies[s] = 0; f = 2 * s };
        evacuate(s, f, (s == 0 -> PAGES - 1 : 2), 1);
        atomic {
            REQUIRE(EMPTY(s), "a device's block has somebody's data in it");
            st[s] = TAKEN;
            writes[s] = 1;
            ok = 0
        };
        /* The device works. Then it is closed when it is quiet, or before. */
        if
        :: atomic { M_CLOSE_FIRST -> close(m); writes[s] = 0; copies[s] = 0 };
            st[s] = LENT
        :: atomic { !M_CLOSE_FIRST -> writes[s] = 0; copies[s] = 0; st[s] = LENT }
        :: st[s] = (M_LEND_BEFORE_QUIET -> LENT : RETURNING);
            atomic { writes[s] = 0; copies[s] = 0; st[s] = LENT }
        fi;
#ifdef GROUP
        /* Last of all: one block more can be taken, and this is the one. */
        atomic {
            if
            :: !M_CLOSE_FIRST -> close(m)
            :: else
            fi;
            s = 0
        }
#endif
    od
}

#ifdef ADMIT
proctype Admin()
{
    byte f, t = NONE, u;
    bit ok;

end:
    do
    :: atomic { st[1] == ORDINARY -> st[1] = ADMITTING; f = 2 };
        evacuate(1, f, (M_ADMIT_WITH_DATA -> 1 : 2), 0);
        atomic {
            st[1] = (ok -> LENT : ORDINARY);
            copies[1] = 0;
            ok = 0
        }
    :: atomic { st[1] == LENT || (M_REVOKE_LIVE && st[1] == TAKEN) -> st[1] = CLOSING };
        /* Who is just moving out has given up his booking already. */
        atomic {
            !frozen[2] || M_REVOKE_FROZEN ->
            if
            :: word[2] == KEPT && !M_REVOKE_BOOKED -> unbook(who[2], 2)
            :: else
            fi;
            st[1] = ORDINARY
        }
    od
}
#endif

#ifndef LIVE
proctype Watch()
{
end:
    atomic {
        !(BALANCED && ONE_HOLDER && NONE_LOST && OWN(0) && OWN(1) && BOUNDED(0) && BOUNDED(1)) ->
        REQUIRE(BALANCED, "K(z) <= F(z)");
        REQUIRE(ONE_HOLDER, "two holders have one frame");
        REQUIRE(NONE_LOST, "a booking is left over");
        REQUIRE(OWN(0) && OWN(1), "somebody borrows from a device's block");
        REQUIRE(BOUNDED(0) && BOUNDED(1), "more than max_moves")
    }
}
#endif

init {
    atomic {
        c_code { now.mutant = getenv("MUTANT") == NULL ? 0 : atoi(getenv("MUTANT")); };
        loc[0] = NONE;
        loc[1] = NONE;
        st[0] = LENT;
        st[1] = LENT;
        word[3] = (LOWS < 1 -> FIX : 0);
        word[4] = (LOWS < 2 -> FIX : 0);
        word[5] = (HIGHS < 1 -> FIX : 0);
        word[6] = (HIGHS < 2 -> FIX : 0);
        run Holder(0);
#ifdef GROUP
        run Taker(1);
#else
        run Holder(1);
#endif
        run Hog();
        run Taker(0);
#if TAKERS > 1
        run Taker(1);
#else
        st[1] = TAKEN;
#endif
#ifdef ADMIT
        st[1] = ORDINARY;
        run Admin();
#endif
#ifndef LIVE
        run Watch()
#endif
    }
}

#ifdef LIVE
/* Whoever has begun to take a block has it some time. */
ltl ends_a { [] (st[0] == TAKING -> <> (st[0] != TAKING)) }
ltl ends_b { [] (st[1] == TAKING -> <> (st[1] != TAKING)) }
#endif
