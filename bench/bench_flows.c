/* SPDX-License-Identifier: Apache-2.0 */
/* bench_flows - the paths and trajectories of a benchmark's histories. */
#include <config.h>

#include "bench/bench_flows.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* Trajectories by the constant bytes of their reference. */
struct slot {
    struct trajectory *trajectory;
    uint8_t key[80];
};

#define N_SLOTS (1u << 20)

/* Ways, each for many flows. */
#define N_PATHS 1000

static struct trajectory_path *paths[N_PATHS];
static size_t n_paths;
static struct slot *slots;
static bool
is_predicted(const struct trajectory *t, const struct history *h)
{
    const struct history_hop *ref = &h->hops[trajectory_reference(t)];

    if (trajectory_n_hops(t) != h->n_hops) {
        return false;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        if (!trajectory_predicts(t, i, ref->header, ref->caplen,
                                 h->hops[i].header, h->hops[i].caplen)) {
            return false;
        }
    }
    return true;
}

/* A path that packets like 'h' take, made of it if there is none; NULL when it
 * cannot be one. */
static struct trajectory_path *
find_path(const struct history *h, struct rule *const *rules)
{
    const struct rule *hop_rules[TRAJECTORY_MAX_HOPS];
    struct trajectory_path *path;

    for (size_t i = 0; i < n_paths; i++) {
        const struct history_hop *ref =
            &h->hops[trajectory_path_reference(paths[i])];

        if (trajectory_path_n_hops(paths[i]) == h->n_hops &&
            trajectory_path_takes(paths[i], ref->header, ref->caplen)) {
            return paths[i];
        }
    }
    path = n_paths < N_PATHS ? trajectory_path_create(h) : NULL;
    if (path) {
        for (size_t i = 0; i < h->n_hops; i++) {
            hop_rules[i] = rules[h->hops[i].versions[0] == 1];
        }
        trajectory_path_widen(path, hop_rules);
        paths[n_paths++] = path;
    }
    return path;
}

struct trajectory *
bench_flows_find(const struct history *h, struct rule *const *rules)
{
    struct trajectory_path *path = find_path(h, rules);
    const struct history_hop *ref;
    uint8_t key[80] = {0};
    uint64_t hash = 14695981039346656037ULL;

    if (!path || trajectory_path_split(path)->tail_ofs > sizeof key) {
        return NULL;
    }
    ref = &h->hops[trajectory_path_reference(path)];
    header_split_constant(ref->header, trajectory_path_split(path), key);
    for (size_t i = 0; i < sizeof key; i++) { /* FNV-1a. */
        hash = (hash ^ key[i]) * 1099511628211ULL;
    }
    for (size_t i = hash >> 40 & (N_SLOTS - 1);; i = (i + 1) & (N_SLOTS - 1)) {
        struct slot *slot = &slots[i];

        if (!slot->trajectory) {
            slot->trajectory =
                trajectory_of_path(path, ref->header, ref->caplen);
            memcpy(slot->key, key, sizeof key);
        } else if (trajectory_path(slot->trajectory) != path ||
                   memcmp(slot->key, key, sizeof key) != 0) {
            continue;
        }
        return is_predicted(slot->trajectory, h) ? slot->trajectory : NULL;
    }
}

void
bench_flows_init(void)
{
    slots = lh_alloc_zero(N_SLOTS * sizeof *slots);
}

void
bench_flows_uninit(void)
{
    for (size_t i = 0; i < N_SLOTS; i++) {
        trajectory_unref(slots[i].trajectory);
    }
    while (n_paths) {
        trajectory_path_unref(paths[--n_paths]);
    }
    free(slots);
}
