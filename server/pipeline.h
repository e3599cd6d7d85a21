/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline - what happens to a postcard after it was received.
 *
 *     postcard -> shard of its packet ID -> history -> triggers, archive, JSON
 *
 * With one thread there is one shard, which is called.  With more, each has a
 * worker, and what was received goes to all of them in batches
 * (server/dispatch.h), where each takes its share, decodes it and names its
 * packets; when a worker has no room, its postcards are dropped here and
 * counted, and nobody waits.  What is one for all stays here: the ledger of
 * lost postcards and the histories that wait for it, the archive's writer and
 * its rounds, and time.  A history that says `lost` waits for the counters
 * that tell whether postcards of the next switch are missing
 * (server/loss_wait.h).
 *
 * Time is an argument: the system's clock in a live server, that of the
 * postcards when a file is read.
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
#include "server/ingest.h"
#include "server/rule_cache.h"
#include "server/split_file.h"
#include "server/triggers.h"
#include "server/worker.h"

#define PIPELINE_MAX_THREADS WORKER_MAX

struct event_base;
struct loss_ledger;

struct pipeline_config {
    struct event_base *base; /* Of several threads. */
    unsigned int n_threads;  /* 0: one. */
    bool is_file;            /* Postcards wait for room, and for rules. */
    bool can_ask;            /* Somebody may know rules that are missing. */
    uint64_t window_ns;      /* 0: the path table's default. */
    size_t max_postcards;    /* Of all; 0: the path table's default. */
    struct packet_id_config id_config;
    struct ingest_config ingest; /* Of several threads: what of it is not the
                                  * workers' own affair. */
    bool is_lossless;            /* No postcard of the source is missing. */
    struct loss_ledger *ledger;  /* Taken; NULL: nothing is counted. */
    const struct sample_gate *gate;  /* Of agents; NULL: none. */
    const struct catch_up *catch_up; /* The same. */
    const struct agent_book *book;   /* The same. */
    struct rule_cache *rules;
    struct triggers *triggers;
    struct archive_writer *archive; /* Taken; NULL: none. */
    FILE *json;                     /* Histories as JSON lines; NULL: none. */
};

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

/* For rule_cache_config's 'on_change'. */
void pipeline_change_rules(struct pipeline *, enum rule_cache_change,
                           uint64_t dpid, uint32_t version,
                           const struct rule *);

/* Switch 'dpid' was asked at 'asked_ns' how many postcards it had sent, and
 * answered 'n_sent' at 'time_ns'. */
void pipeline_count(struct pipeline *, uint64_t dpid, uint64_t asked_ns,
                    uint64_t time_ns, uint64_t n_sent);

/* Of one thread: adds a postcard; its time is the time now.  It may take
 * effect a few postcards later, or when pipeline_drain() is called, which is
 * due after the last one of a batch. */
void pipeline_add(struct pipeline *, const struct postcard *);
/* Of several threads: the same for what was received, and for what is in a
 * file up to 'end', which must stay until pipeline_is_idle(); after what
 * 'is_last' nothing comes but pipeline_flush(). */
void pipeline_pass(struct pipeline *, const struct ingest_packet *);
void pipeline_read(struct pipeline *, struct split_file *, uint64_t end,
                   bool is_last);
void pipeline_drain(struct pipeline *);
/* 0 with one thread. */
size_t pipeline_n_workers(const struct pipeline *);
/* Of a file: whether the next packet may be added; look again in a moment
 * when not. */
bool pipeline_has_room(struct pipeline *);
/* Waits until it may, or a little. */
void pipeline_wait_room(struct pipeline *);
/* Hands over what was added: whether all of it has been worked on. */
bool pipeline_is_idle(struct pipeline *);

/* Closes what is due. */
void pipeline_run(struct pipeline *, uint64_t now_ns);
/* The same by the time of a postcard in a file, for one thread: workers look
 * at the times of theirs. */
void pipeline_run_to(struct pipeline *, uint64_t time_ns);
/* When pipeline_run() is next needed; UINT64_MAX: not before another
 * postcard. */
uint64_t pipeline_next_ns(const struct pipeline *);
/* Makes what was archived durable, with several threads soon, and applies
 * retention; 'now_ns' is by the system's clock, whatever that of the postcards
 * is. */
void pipeline_round(struct pipeline *, uint64_t now_ns);
/* Closes everything that is open, and makes it durable. */
void pipeline_flush(struct pipeline *, uint64_t now_ns);

/* Between these two nothing goes on but in the calling thread. */
void pipeline_pause(struct pipeline *);
/* The same, but gives up, and returns false, when a worker does not rest
 * within 'max_ns': it may wait for the disk, and reception shall not. */
bool pipeline_try_pause(struct pipeline *, uint64_t max_ns);
void pipeline_resume(struct pipeline *);
/* What is not in the archive's files yet, of which there are '*n' (0 or more);
 * the array and its payloads are the caller's.  Only while paused. */
struct archive_pending *pipeline_pending(struct pipeline *, size_t *n);

/* Takes what is known of delays between switches into '*delays'; false, and
 * nothing, if workers do not rest within 20 ms. */
bool pipeline_collect_delays(struct pipeline *, struct clock_delays *delays,
                             uint64_t now_ns);
/* Adds to '*counters' what is counted here.  While a worker does not rest that
 * is of the last time that all did. */
void pipeline_collect(struct pipeline *, struct counters *);
/* False once writing JSON has failed. */
bool pipeline_json_is_ok(const struct pipeline *);

#endif /* server/pipeline.h */
