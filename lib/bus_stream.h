/* SPDX-License-Identifier: Apache-2.0 */
/* bus_stream - messages that NATS JetStream keeps, with limits.
 *
 *     const struct bus_stream_config config = {
 *         .name = "LH1", .subjects = "lh.1.*", .max_bytes = 1u << 30,
 *         .max_age_s = 3600, .replicas = 1, .discards_new = true};
 *
 *     bus_stream_create(bus, &config, 2000, on_ready, aux, &error);
 *     bus_stream_publish(bus, &letter, NULL, BUS_ANY_SEQ, 2000, on_kept, aux,
 * &error);
 *
 * A stream always has limits, so that no disk fills silently: one that is
 * full refuses what is new (the publication ends with ENOSPC) or drops what
 * is oldest, as configured.
 *
 * What was published is kept when the callback says 0; after any other
 * outcome than ENOSPC and ESTALE it may or may not be.  With an ID
 * ("Nats-Msg-Id") the same letter can be sent again within the window
 * (BUS_STREAM_WINDOW_S) and is kept once.
 *
 * Requests that find no room are refused by ENOBUFS, as in lib/bus.h; the
 * number of publications in flight is bounded by that.  bus_forget() ends
 * those of an 'aux' without their callbacks.
 *
 * Threads: the bus's. */
#ifndef LIB_BUS_STREAM_H
#define LIB_BUS_STREAM_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/bus.h"

#define BUS_STREAM_WINDOW_S 120

struct bus_stream_config {
    const char *name;              /* Letters, digits, '-' and '_'. */
    const char *subjects;          /* One pattern. */
    uint64_t max_bytes;            /* Not 0. */
    uint64_t max_age_s;            /* 0: none. */
    uint32_t replicas;             /* Of NATS servers; 0: 1. */
    uint32_t max_msgs_per_subject; /* 0: no limit. */
    bool discards_new;             /* When full; otherwise what is oldest. */
    bool in_memory;
    bool is_bucket; /* What lib/bus_kv.h needs besides. */
};

/* What a stream holds. */
struct bus_stream_state {
    uint64_t n_messages, n_bytes;
    uint64_t first_seq, last_seq;
    uint32_t n_replicas;
    /* Whether a purge removes what it says and nothing else: not where there
     * are copies of a nats-server before 2.10 (lib/bus_sweep.h). */
    bool is_purge_safe;
};

/* 0 or what is wrong: as in bus_reply_fn, and EPROTO: NATS refuses, 'why'
 * says what it said. */
typedef void bus_stream_fn(void *aux, int error_number, const char *why);
typedef void bus_stream_state_fn(void *aux, int error_number, const char *why,
                                 const struct bus_stream_state *);
/* The number that the message has in its stream.  ESTALE: what was expected
 * of the subject is not so.  ENOSPC: the stream is full. */
typedef void bus_publish_fn(void *aux, int error_number, const char *why,
                            uint64_t seq, bool was_there);

/* Makes the stream, or finds that it is there with these limits; EEXIST: it
 * is there with others, which bus_stream_update() replaces. */
int bus_stream_create(struct bus *, const struct bus_stream_config *,
                      uint32_t timeout_ms, bus_stream_fn *, void *aux,
                      struct lh_error *);
int bus_stream_update(struct bus *, const struct bus_stream_config *,
                      uint32_t timeout_ms, bus_stream_fn *, void *aux,
                      struct lh_error *);
/* Asks for the state; ENOENT: there is no such stream. */
int bus_stream_ask(struct bus *, const char *name, uint32_t timeout_ms,
                   bus_stream_state_fn *, void *aux, struct lh_error *);
/* Removes messages of 'subject' (NULL: of all) whose number is below
 * 'seq'. */
int bus_stream_purge(struct bus *, const char *name, const char *subject,
                     uint64_t seq, uint32_t timeout_ms, bus_stream_fn *,
                     void *aux, struct lh_error *);
/* Removes message 'seq'; ENOENT: it is not there. */
int bus_stream_remove(struct bus *, const char *name, uint64_t seq,
                      uint32_t timeout_ms, bus_stream_fn *, void *aux,
                      struct lh_error *);
/* The first message of 'subject' whose number is not below 'seq', as the
 * leader of the stream has it; ENOENT: there is none. */
typedef void bus_stream_get_fn(void *aux, int error_number, const char *why,
                               uint64_t seq, const uint8_t *data, size_t size);
int bus_stream_get_next(struct bus *, const char *name, const char *subject,
                        uint64_t seq, uint32_t timeout_ms, bus_stream_get_fn *,
                        void *aux, struct lh_error *);
int bus_stream_delete(struct bus *, const char *name, uint32_t timeout_ms,
                      bus_stream_fn *, void *aux, struct lh_error *);

/* What must be so for a publication. */
#define BUS_ANY_SEQ UINT64_MAX

/* 'id' may be NULL.  At most six headers of the caller's.  'last_seq': the
 * number of the last message of this subject must be that, 0: there is none;
 * BUS_ANY_SEQ: whatever. */
int bus_stream_publish(struct bus *, const struct bus_letter *, const char *id,
                       uint64_t last_seq, uint32_t timeout_ms,
                       bus_publish_fn *, void *aux, struct lh_error *);

#endif /* lib/bus_stream.h */
