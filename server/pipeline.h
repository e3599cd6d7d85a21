/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline - what happens to a postcard after it was received.
 *
 *     postcard -> path table -> history -> triggers, archive, JSON output
 *
 * A history that says `lost` waits up to PIPELINE_WAIT_NS for the counters
 * that tell whether postcards of the next switch are missing.
 *
 * It owns the path table and the archive's writer, keeps time for both, and
 * tells everybody of a new topology.  Time is an argument: the system's clock
 * in a live server, that of the postcards when a file is read.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_PIPELINE_H
#define SERVER_PIPELINE_H 1

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/archive_writer.h"
#include "lib/postcard.h"
#include "lib/topology.h"
#include "server/counters.h"
#include "server/path_table.h"
#include "server/rule_cache.h"
#include "server/triggers.h"

#define PIPELINE_WAIT_NS  UINT64_C(4000000000)
#define PIPELINE_MAX_WAIT 10000 /* Histories that wait; past it none does. */

struct pipeline_config {
    uint64_t window_ns;   /* 0: the path table's default. */
    size_t max_postcards; /* 0: the path table's default. */
    struct packet_id_config id_config;
    bool is_lossless;           /* No postcard of the source is missing. */
    struct loss_ledger *ledger; /* Taken; NULL: nothing is counted. */
    struct rule_cache *rules;
    struct triggers *triggers;
    struct archive_writer *archive; /* Taken; NULL: none. */
    FILE *json;                     /* Histories as JSON lines; NULL: none. */
};

struct loss_ledger;
struct pipeline;

struct pipeline *pipeline_create(const struct pipeline_config *);
/* Ends the archive with a last round.  Open groups are dropped: flush
 * first. */
void pipeline_destroy(struct pipeline *);

/* Takes a reference of its own.  It holds from 'now_ns' on, 0: always. */
void pipeline_set_topology(struct pipeline *, const struct topology *,
                           uint64_t now_ns);
/* NULL: none known. */
const struct topology *pipeline_topology(const struct pipeline *);

/* Switch 'dpid' was asked at 'asked_ns' how many postcards it had sent, and
 * answered 'n_sent' at 'time_ns'. */
void pipeline_count(struct pipeline *, uint64_t dpid, uint64_t asked_ns,
                    uint64_t time_ns, uint64_t n_sent);

/* Adds a postcard; its time is the time now.  It may take effect a few
 * postcards later, or when pipeline_drain() is called, which is due after the
 * last one of a batch. */
void pipeline_add(struct pipeline *, const struct postcard *);
void pipeline_drain(struct pipeline *);
/* Closes what is due. */
void pipeline_run(struct pipeline *, uint64_t now_ns);
/* The same by the time of a postcard in a file. */
void pipeline_run_to(struct pipeline *, uint64_t time_ns);
/* When pipeline_run() is next needed; UINT64_MAX: not before another
 * postcard. */
uint64_t pipeline_next_ns(const struct pipeline *);
/* Makes what was archived durable. */
void pipeline_round(struct pipeline *, uint64_t now_ns);
/* Closes everything that is open. */
void pipeline_flush(struct pipeline *, uint64_t now_ns);

/* Sets those of '*counters' that are counted here. */
void pipeline_collect(const struct pipeline *, struct counters *);
/* False once writing JSON has failed. */
bool pipeline_json_is_ok(const struct pipeline *);

#endif /* server/pipeline.h */
