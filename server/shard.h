/* SPDX-License-Identifier: Apache-2.0 */
/* shard - the packets of one share of all packet IDs, from postcards to
 * triggers, archive and output.
 *
 * All postcards of a packet go to one shard, so that its history is made
 * there; with its trajectory cache, its part of the archive and its triggers a
 * shard shares nothing with another.  A server of one thread has one.
 *
 * Threads: one at a time. */
#ifndef SERVER_SHARD_H
#define SERVER_SHARD_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/archive_part.h"
#include "lib/postcard.h"
#include "lib/topology.h"
#include "server/catch_up.h"
#include "server/counters.h"
#include "server/clock_offset.h"
#include "server/json_lines.h"
#include "server/path_table.h"
#include "server/rule_cache.h"
#include "server/sample_gate.h"
#include "server/trigger_share.h"
#include "server/triggers.h"

struct shard_config {
    uint64_t window_ns;   /* 0: the path table's default. */
    size_t max_postcards; /* 0: the path table's default. */
    struct packet_id_config id_config;
    bool is_lossless; /* No postcard of the source is missing. */
    bool is_timed;    /* As struct path_table_config. */
    struct rule_cache *rules;
    const struct sample_gate *gate;  /* NULL: none. */
    const struct catch_up *catch_up; /* NULL: none. */
    bool has_delays;                 /* Delays between switches are noted. */
    struct triggers *triggers;       /* Of the same thread; NULL: */
    struct trigger_share *share;     /* what stands for them here, or NULL. */
    struct archive_part *archive;    /* Taken; NULL: none. */
    struct json_lines *json;         /* NULL: none. */
    /* Takes a history that says it was lost, of which counters of 'dpid' may
     * tell more, and gives it to shard_give() later; false: nobody can tell
     * more.  NULL: never. */
    bool (*wait)(void *aux, struct history *, uint64_t dpid, uint64_t now_ns);
    void *aux;
};

struct shard;

struct shard *shard_create(const struct shard_config *);
/* Seals the part of the archive.  Open groups are dropped: flush first. */
void shard_destroy(struct shard *);

/* Takes a reference of its own.  It holds from 'now_ns' on, 0: always. */
void shard_set_topology(struct shard *, const struct topology *,
                        uint64_t now_ns);

/* As the functions of path_table of these names. */
void shard_push(struct shard *, const struct postcard *);
void shard_drain(struct shard *);
void shard_run(struct shard *, uint64_t now_ns);
void shard_run_to(struct shard *, uint64_t time_ns);
uint64_t shard_next_ns(const struct shard *);
void shard_flush(struct shard *, uint64_t now_ns);
void shard_note_inner(struct shard *, uint64_t inner, uint64_t outer,
                      uint64_t time_ns);

/* Goes on with a history that 'wait' took. */
void shard_give(struct shard *, struct history *);

/* NULL: they are not noted. */
const struct clock_delays *shard_delays(const struct shard *);

/* NULL: no archive. */
struct archive_part *shard_archive(struct shard *);

/* Adds to '*counters' what is counted here. */
void shard_collect(const struct shard *, struct counters *);

#endif /* server/shard.h */
