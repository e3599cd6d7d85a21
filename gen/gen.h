/* SPDX-License-Identifier: Apache-2.0 */
/* gen - a stream of postcards whose true histories are known.
 *
 *     struct gen_config config;
 *     struct gen_frame frames[256];
 *     struct gen *gen;
 *
 *     gen_config_init(&config);
 *     config.topology = "fat-tree:4";
 *     if (gen_create(&config, &gen, &error)) ..
 *     while (!gen_next(gen, frames, 256, &n, &error) && n) {
 *         .. frames[i].time_ns, frames[i].data, frames[i].len ..
 *     }
 *     gen_destroy(gen);
 *
 * Frames come in order of their capture times, as they come out of the
 * network; memory is that of the postcards on their way, whatever the count.
 * The same config gives the same frames, on every machine.
 *
 * Ownership: gen_create() to gen_destroy().  The config's strings must live as
 * long.  Frames' bytes are good until the next gen_next().
 *
 * Threads: one at a time; any number of streams. */
#ifndef GEN_GEN_H
#define GEN_GEN_H 1

#include "gen/gen_config.h"
#include "gen/gen_net.h"
#include "gen/gen_walk.h"

#define GEN_BATCH 1024 /* gen_next() gives no more at once. */
/* So many postcards are on their way at most; past that the first of them
 * leave early (`hasty`). */
#define GEN_MAX_ON_WAY 4000000

struct gen_frame {
    uint64_t time_ns;
    uint32_t len;
    const uint8_t *data;
};

struct gen_counters {
    uint64_t packets;            /* That entered the network. */
    uint64_t kinds[N_GEN_KINDS]; /* Of those, by what befell them. */
    uint64_t postcards;          /* Frames given. */
    uint64_t lost, doubled;      /* Postcards, by faults. */
    uint64_t hasty;              /* Frames given too early. */
    uint64_t renewed;            /* Rules. */
    uint64_t first_ns, last_ns;  /* Of frames given. */
};

struct gen;

/* Returns 0; EINVAL or an errno of the trace or topology, with the reason. */
int gen_create(const struct gen_config *, struct gen **, struct lh_error *);
void gen_destroy(struct gen *);

/* Calls 'on_walk' for every packet that entered, in order of time, before any
 * of its frames is given. */
void gen_set_on_walk(struct gen *,
                     void (*on_walk)(void *aux, const struct gen_walk *),
                     void *aux);

/* With links that change: calls 'on_topology' when there is news of a change,
 * between the frames before and after it. */
void gen_set_on_topology(struct gen *,
                         void (*on_topology)(void *aux,
                                             const struct topology *,
                                             uint64_t time_ns),
                         void *aux);
/* The links that change, or NULL. */
const struct gen_links *gen_get_links(const struct gen *);

/* The next frames, at most 'max'; '*n' is 0 at the end.  Returns 0, or an
 * errno when the trace cannot be read on. */
int gen_next(struct gen *, struct gen_frame *frames, size_t max, size_t *n,
             struct lh_error *);

const struct gen_counters *gen_get_counters(const struct gen *);
/* Topology and rules, for who assembles: the rules that packets met so far. */
struct gen_net *gen_get_net(struct gen *);

#endif /* gen/gen.h */
