/* SPDX-License-Identifier: Apache-2.0 */
/* instr_watch - how the recorder learns what others change; for the files of
 * instr only, which include recorder/instr_state.h.
 *
 * One link has a flow monitor of our own (instr_base), whose updates are
 * compared with the shadow (instr_watch); rules that others wrote get their
 * postcards a moment later (instr_due).  In a burst of flow-mods it is given
 * up for a while (instr_burst).  Whenever it comes back the switch tells what
 * stands, which is a look: rules are compared with the shadow, ours with what
 * they should be (instr_look).
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_WATCH_H
#define RECORDER_INSTR_WATCH_H 1

#include "recorder/instr.h"
#include "recorder/instr_shadow.h"
#include "recorder/of_monitor.h"

struct instr_change;
struct instr_pending;

/* A rule of others that is to get its postcards. */
struct instr_due {
    uint32_t version;
    uint64_t at_ns;
};

/* How many flow-mods come. */
struct instr_burst {
    uint64_t window_ns; /* Begin of the time in which... */
    uint32_t n_window;  /* ...so many have come. */
    uint64_t n_run;     /* Since there were few. */
    uint64_t busy_ns;   /* When there were many last. */
    bool is_suspended;  /* No monitor of ours for a while. */
    bool is_between;    /* A look while there are many. */
    uint64_t since_ns;  /* When it was suspended. */
    uint64_t due_ns;    /* When to see how it is. */
};

/* Of our own rules, what a look has shown. */
struct instr_look {
    bool drop_in[INSTR_N_ENCAPSULATIONS], lldp;
    struct of_tables misses;
    size_t n_carries;
    uint64_t *indexes; /* Bits; NULL: none.  Owned. */
    uint64_t own_tag;  /* When ours were changed last. */
};

/* What the recorder learns of others' changes, by one link's monitor. */
struct instr_watch {
    struct instr_link *link; /* NULL: none yet. */
    uint32_t round;          /* Of reading what stands. */
    uint64_t round_tag;      /* Rules that are younger are not missed. */
    bool is_told;            /* All that stands has been told... */
    bool was_told;           /* ...once, at least. */
    struct instr_due *due;   /* To be instrumented.  Owned. */
    size_t n_due, allocated_due;
    uint64_t first_due_ns; /* Of these; without meaning when there are none. */
    uint64_t window_ns;    /* Begin of the time in which... */
    uint32_t n_repairs;    /* ...so many of our rules were put back. */
    struct instr_burst burst;
    struct instr_look look;
    uint64_t others_ns;       /* When others changed a rule last. */
    uint64_t misses_due_ns;   /* When to add miss rules that wait... */
    uint64_t misses_since_ns; /* ...since then. */
};

/* instr_base.c */
/* Makes the recorder's own monitor on the change's link what it should be. */
void instr_base_adapt(struct instr_change *);

/* instr_burst.c */
/* A flow-mod of a controller has been dealt with. */
void instr_burst_note(struct instr_change *);
/* As instr_due_ns() and instr_run(). */
uint64_t instr_burst_due_ns(const struct instr *);
void instr_burst_run(struct instr *, uint64_t now_ns, struct instr_out *);
/* All that stands has been told; if not all could be compared, it is to be
 * told again in a while. */
void instr_burst_told(struct instr_change *, bool is_whole);
/* There is a monitor, or no link to have one. */
void instr_burst_end(struct instr *);

/* instr_due.c */
/* Others change 'rule' now; what that counts is told by 'next', which takes
 * its place or is itself. */
void instr_due_disturb(struct shadow_rule *next, const struct shadow_rule *,
                       uint64_t now_ns);
/* 'rule' is to have its postcards in a moment, unless it is left to others. */
void instr_due_plan(struct instr_change *, struct shadow_rule *rule);
bool instr_due_has(const struct instr_watch *, uint32_t version);

/* instr_look.c */
/* What stands is about to be told. */
void instr_look_begin(struct instr *);
/* 'u' is a rule of ours that stands. */
void instr_look_see(struct instr *, const struct of_update *u);
/* All that stands has been told: puts back what is missing.  False: not
 * compared, because ours were changed meanwhile. */
bool instr_look_end(struct instr_change *);
void instr_look_destroy(struct instr *);

/* instr_watch.c: what others change. */
/* Watches by the change's link if no other does. */
void instr_watch_keep(struct instr_change *);
void instr_watch_update(struct instr_change *, const struct of_update *);
/* A rule of ours, 'kind' of enum own_kind, is not there; put back, unless that
 * was done too often. */
void instr_watch_repair(struct instr_change *, uint8_t kind, uint8_t table_id,
                        const struct of_match *, uint32_t version);
/* Others have taken 'rule' away; it is destroyed. */
void instr_watch_gone(struct instr_change *, struct shadow_rule *rule,
                      const char *reason);
/* An answer to PENDING_CHECK. */
void instr_watch_checked(struct instr_change *, struct instr_pending *,
                         const uint8_t *msg, size_t len);
/* All that stands has been told. */
void instr_watch_told(struct instr_change *);
/* The version in 'acts', or 0. */
uint32_t instr_watch_version(const struct instr *, const struct of_acts *acts);
/* 'acts' without what is ours; for rules that the shadow does not know. */
void instr_watch_strip(const struct instr *, const struct of_acts *,
                       struct of_acts *own);
void instr_watch_forget(struct instr_link *);
void instr_watch_destroy(struct instr *);

#endif /* recorder/instr_watch.h */
