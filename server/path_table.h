/* SPDX-License-Identifier: Apache-2.0 */
/* path_table - the postcards of open packets, grouped by packet ID.
 *
 * Postcards go in with path_table_add(); histories come out of 'emit', either
 * from within path_table_add() (a packet whose last postcard just came), or
 * from path_table_run() (a packet whose window ended).
 *
 * A group opens with its first postcard and closes
 *   - at once when it is complete: it starts at an edge port or packet-out,
 *     every output of every rule was seen, every branch ended; in a timed
 *     table (is_timed) when its last postcard's moment ends;
 *   - 'settle_ns' after its last postcard, when nothing named is missing but
 *     another table, a group bucket or an unknown in_port could add to it;
 *   - 'window_ns' after its first postcard in any case, so also when a hop
 *     went to the controller;
 *   - when it holds ASSEMBLE_MAX postcards.
 * Its packet ID is remembered for another window.  A postcard that comes then
 * opens the group anew: it makes a history of its own, counted late unless it
 * is whole.  What comes within ASSEMBLE_TWIN_NS and is all equal to what the
 * closed group had is that packet's postcards again, and counted so; what
 * comes so long after the last of these is another packet's.
 *
 * Postcards without a packet ID make a history of one hop each, at once.
 *
 * Time comes only from arguments: the postcards' time_ns and run()'s now_ns.
 * Of postcards that tell whole visits it is run()'s alone: they have the time
 * of their switch and may come much later, so windows go by arrival.
 * The table's clock is the latest of them; a step back of more than a window
 * starts the windows of all open groups anew.  What a postcard says is
 * believed, when it is PATH_TABLE_LEAP_NS ahead of the clock, or more than a
 * window behind, only if PATH_TABLE_N_AGREE postcards in a row say so: one
 * absurd time ends no window, and a clock that was wrong is put right.
 *
 * A driven table (is_driven) believes nobody but path_table_run() and
 * path_table_lead(): postcards move its clock no further than these say, and
 * never back.  It is for postcards of many receivers, whose clocks differ.
 *
 * In a timed table (is_timed), postcards of one time come at one moment: in
 * whatever order they are added, the histories are the same.  What is complete
 * then is emitted when the clock goes on.  It is for where time says all:
 * files, and postcards of several receivers.
 *
 * What is open can be taken out of a table and put into another, which then
 * goes on as the first would have: path_table_each_*() and path_table_re*().
 *
 * The version of a postcard must be whole: the 24 bits of a mac postcard are
 * resolved before path_table_add().
 *
 * Ownership: postcards are copied; emitted histories are the callee's.
 *
 * Threads: used only by the thread that created it; the callbacks run on it
 * and must not call back into the table. */
#ifndef SERVER_PATH_TABLE_H
#define SERVER_PATH_TABLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/packet_id.h"
#include "lib/postcard.h"
#include "lib/rule.h"
#include "lib/topology.h"
#include "lib/trajectory.h"

struct path_kit; /* server/path_kit.h */

#define PATH_TABLE_WINDOW_NS     1000000000ULL
#define PATH_TABLE_SETTLE_NS     10000000ULL
#define PATH_TABLE_MAX_POSTCARDS 5000000
#define PATH_TABLE_MAX_PLAIN     65536
#define PATH_TABLE_LEAP_NS       UINT64_C(3600000000000)
#define PATH_TABLE_N_AGREE       8

/* Zero stands for the default where there is one. */
struct path_table_config {
    uint64_t window_ns;   /* Default PATH_TABLE_WINDOW_NS. */
    uint64_t settle_ns;   /* Default PATH_TABLE_SETTLE_NS, at most window. */
    size_t max_postcards; /* Held at most; past it the oldest group is dropped.
                           * Default PATH_TABLE_MAX_POSTCARDS. */
    /* Past so many, what comes is held folded (server/postcard_pool.h): in
     * less memory, with more work.  Default PATH_TABLE_MAX_PLAIN. */
    size_t max_plain;
    struct packet_id_config id_config; /* n_bytes 0: the default. */
    struct path_kit *kit; /* Shared with others; NULL: one of its own. */
    bool is_driven;
    bool is_timed;
    uint64_t secret; /* Of hashes of what closed groups had; 0: drawn.  Where
                      * path_table_each_seen() is used it goes with them. */
    /* Gives a finished history away.  Required. */
    void (*emit)(void *aux, struct history *);
    /* Gives, in place of a history, a packet of a trajectory that others went
     * before; both are borrowed.  NULL: every packet's history is made. */
    void (*emit_packet)(void *aux, struct trajectory *,
                        const struct trajectory_packet *);
    /* The rule of 'version' at 'dpid', borrowed until the table's function
     * returns; NULL when not known (yet).  May itself be NULL. */
    const struct rule *(*find_rule)(void *aux, uint64_t dpid,
                                    uint32_t version);
    /* True when every postcard that 'dpid' sent between the times has
     * arrived.  May be NULL: then `lost` is always uncertain. */
    bool (*has_lossless)(void *aux, uint64_t dpid, uint64_t from_ns,
                         uint64_t to_ns);
    /* True when hops of the packet may have been left out on purpose: unless
     * it is whole it is dropped.  May be NULL: never. */
    bool (*is_sampled_out)(void *aux, uint64_t packet_id);
    /* How much longer windows are at 'now_ns' than 'window_ns' says, also of
     * groups that are open.  May be NULL: 0. */
    uint64_t (*extra_window)(void *aux, uint64_t now_ns);
    bool (*is_silent)(void *aux, uint64_t dpid);
    bool (*is_capped)(void *aux, uint64_t dpid);
    void *aux;
};

/* Postcards, always: in == out + duplicates + ambiguous + dropped_full +
 * dropped_memory + sampled_out + held. */
struct path_table_counters {
    uint64_t in;             /* Given to path_table_add(). */
    uint64_t out;            /* Became part of a hop of an emitted history. */
    uint64_t duplicates;     /* The same postcard again. */
    uint64_t ambiguous;      /* Equal postcards that cannot be told apart. */
    uint64_t dropped_full;   /* Oldest groups dropped at max_postcards. */
    uint64_t dropped_memory; /* malloc() failed. */
    uint64_t sampled_out;    /* Of packets that others left out. */
    uint64_t held;           /* In open groups now. */

    uint64_t without_id; /* Of 'out': had no packet ID. */
    uint64_t late;       /* Of 'out': came after their group had closed. */

    uint64_t histories;     /* Emitted, in all. */
    uint64_t recognised;    /* Of these, as packets of a trajectory. */
    uint64_t unforeseen;    /* Assembled, for all that their path is known. */
    uint64_t paths;         /* Known now. */
    uint64_t flows;         /* The same. */
    uint64_t closed_early;  /* Groups: complete at once. */
    uint64_t closed_settle; /* Groups: quiet for settle_ns. */
    uint64_t closed_window; /* Groups: the window ended. */
    uint64_t closed_size;   /* Groups: reached ASSEMBLE_MAX postcards. */
    uint64_t open_groups;   /* Now. */
    uint64_t closed_groups; /* Remembered now, without postcards. */
    uint64_t odd_times;     /* Of 'in': not believed by the clock. */
    uint64_t topologies_forgotten; /* Too many changes in a moment. */
};

struct path_seen; /* server/path_group.h */
struct path_table;

/* A copy of '*config' is kept.  NULL when memory is short. */
struct path_table *path_table_create(const struct path_table_config *config);
/* Open groups are dropped, not emitted: path_table_flush() first. */
void path_table_destroy(struct path_table *);

/* Takes a reference of its own; NULL: none known.  All packets are judged by
 * it, also those under way, and whatever their time. */
void path_table_set_topology(struct path_table *, const struct topology *);
/* The network changed at 'now_ns': packets that were under way are assembled
 * on the links as they were at their time.  The first topology holds for
 * whatever was before it. */
void path_table_change_topology(struct path_table *, const struct topology *,
                                uint64_t now_ns);

/* Adds a copy of the postcard.  May emit. */
void path_table_add(struct path_table *, const struct postcard *);
/* The same a few postcards later, when the memory it needs has come: quicker
 * where many come at once.  path_table_drain() adds what is left; all other
 * functions do, too, but those that only ask. */
void path_table_push(struct path_table *, const struct postcard *);
/* The same as a function of its own: the other one becomes part of its callers
 * when the server is linked, which are to be few. */
void path_table_push_apart(struct path_table *, const struct postcard *);
void path_table_drain(struct path_table *);

/* Closes what is due at 'now_ns', and looks again at groups that waited for a
 * rule.  May emit. */
void path_table_run(struct path_table *, uint64_t now_ns);
/* The same for a time that a postcard has and nobody vouches for. */
void path_table_run_to(struct path_table *, uint64_t time_ns);

/* In a driven table postcards' times move the clock up to 'until_ns'. */
void path_table_lead(struct path_table *, uint64_t until_ns);

/* When path_table_run() is next needed; UINT64_MAX: not before another
 * postcard came. */
uint64_t path_table_next_ns(const struct path_table *);

/* Packet 'outer' was seen to carry 'inner' at 'time_ns', by another table: of
 * the tunnel packets that come here the table knows by itself. */
void path_table_note_inner(struct path_table *, uint64_t inner, uint64_t outer,
                           uint64_t time_ns);

/* What there is to be had again in another table, with the same secret, of a
 * time 'clock_ns': first what closed or reopened groups had, then tunnels'
 * packets, then every postcard of every open group, with the time at which
 * its window ends; postcards of one group follow each other.  Pushed
 * postcards are added before. */
typedef void path_table_seen_fn(void *aux, uint64_t id, uint64_t forget_ns,
                                const struct path_seen *);
typedef void path_table_inner_fn(void *aux, uint64_t inner, uint64_t outer,
                                 uint64_t time_ns);
typedef void path_table_open_fn(void *aux, const struct postcard *,
                                uint64_t due_ns);
uint64_t path_table_clock_ns(const struct path_table *);
void path_table_each_seen(struct path_table *, path_table_seen_fn *,
                          void *aux);
void path_table_each_inner(struct path_table *, path_table_inner_fn *,
                           void *aux);
void path_table_each_open(struct path_table *, path_table_open_fn *,
                          void *aux);

/* The same into a table that has nothing, in that order, after
 * path_table_run() at that time; path_table_note_inner() takes the tunnels'.
 * What each_open() gave is open again, unless rules that are known by now
 * complete it: then it is emitted. */
void path_table_resee(struct path_table *, uint64_t id, uint64_t forget_ns,
                      const uint32_t *hashes, uint32_t n);
void path_table_reopen(struct path_table *, const struct postcard *,
                       uint64_t due_ns);

/* Closes and emits all open groups, as if their windows had ended. */
void path_table_flush(struct path_table *);

void path_table_get_counters(const struct path_table *,
                             struct path_table_counters *);

#endif /* server/path_table.h */
