/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory - what the histories of all packets of a flow on one way have in
 * common, and how little of a packet is needed to tell its own. */
#include <config.h>

#include "lib/trajectory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

struct trajectory {
    unsigned int n_refs;
    bool is_first;   /* The path was made of it: they have one model. */
    uint16_t n_hops; /* The path's, which is in other memory. */
    struct trajectory_mark mark, filter_mark, shape_mark;
    struct trajectory_path *path; /* Owned reference. */
    struct history *model;        /* Owned; NULL until asked for. */
    uint8_t constants[TRAJECTORY_MAX_CONSTANT];
    uint16_t caplen;
    uint8_t sample[]; /* The reference's header of one packet. */
};

struct trajectory *
trajectory_of_path(struct trajectory_path *path, const uint8_t *ref,
                   size_t ref_len)
{
    const struct header_split *split = trajectory_path_split(path);
    struct trajectory *t = lh_alloc_zero(sizeof *t + ref_len);

    assert(split->tail_ofs <= ref_len &&
           split->tail_ofs <= TRAJECTORY_MAX_CONSTANT);
    t->n_refs = 1;
    t->path = trajectory_path_ref(path);
    t->n_hops = (uint16_t) trajectory_path_n_hops(path);
    header_split_constant(ref, split, t->constants);
    t->caplen = (uint16_t) ref_len;
    memcpy(t->sample, ref, ref_len);
    return t;
}

/* The first trajectory of the path that was made of 'model', NULL: of none. */
static struct trajectory *
create_first(struct trajectory_path *path, const struct history *model)
{
    struct trajectory *t = NULL;

    if (path) {
        const struct history_hop *ref =
            &model->hops[trajectory_path_reference(path)];

        t = trajectory_of_path(path, ref->header, ref->caplen);
        t->is_first = true;
        trajectory_path_unref(path);
    }
    return t;
}

struct trajectory *
trajectory_create(const struct history *model)
{
    return create_first(trajectory_path_create(model), model);
}

struct trajectory *
trajectory_borrow(const struct history *model)
{
    return create_first(trajectory_path_borrow(model), model);
}

struct trajectory *
trajectory_ref(struct trajectory *t)
{
    t->n_refs++;
    return t;
}

void
trajectory_unref(struct trajectory *t)
{
    if (t && !--t->n_refs) {
        trajectory_path_unref(t->path);
        history_destroy(t->model);
        free(t);
    }
}

const struct history *
trajectory_model(const struct trajectory *t_)
{
    struct trajectory *t = (struct trajectory *) t_;

    if (t->is_first) {
        return trajectory_path_model(t->path);
    }
    if (!t->model) {
        t->model = history_clone(trajectory_path_model(t->path));
        trajectory_path_fill(t->path, t->sample, t->caplen, t->model);
    }
    return t->model;
}

void
trajectory_prefetch(const struct trajectory *t)
{
    __builtin_prefetch(t, 1); /* Its counter, and marks. */
    __builtin_prefetch((const uint8_t *) t + 64);
    __builtin_prefetch((const uint8_t *) t + 127);
}

const struct trajectory_path *
trajectory_path(const struct trajectory *t)
{
    return t->path;
}

const uint8_t *
trajectory_constants(const struct trajectory *t)
{
    return t->constants;
}

size_t
trajectory_n_hops(const struct trajectory *t)
{
    return t->n_hops;
}

enum verdict_name
trajectory_verdict(const struct trajectory *t)
{
    return trajectory_path_model(t->path)->verdict.name;
}

size_t
trajectory_reference(const struct trajectory *t)
{
    return trajectory_path_reference(t->path);
}

const struct header_split *
trajectory_split(const struct trajectory *t)
{
    return trajectory_path_split(t->path);
}

struct trajectory_mark *
trajectory_mark(struct trajectory *t)
{
    return &t->mark;
}

struct trajectory_mark *
trajectory_filter_mark(struct trajectory *t)
{
    return &t->filter_mark;
}

struct trajectory_mark *
trajectory_shape_mark(const struct trajectory *t)
{
    return (struct trajectory_mark *) &t->shape_mark;
}

/* True when 'ref' is of this flow. */
static bool
has_constants(const struct trajectory *t, const uint8_t *ref)
{
    uint8_t constants[TRAJECTORY_MAX_CONSTANT];
    const struct header_split *split = trajectory_path_split(t->path);

    header_split_constant(ref, split, constants);
    return !memcmp(constants, t->constants, split->tail_ofs);
}

bool
trajectory_predicts(const struct trajectory *t, size_t hop, const uint8_t *ref,
                    size_t ref_len, const uint8_t *header, size_t len)
{
    if (ref_len < trajectory_path_split(t->path)->tail_ofs ||
        (hop == trajectory_path_reference(t->path) &&
         (!trajectory_path_takes(t->path, ref, ref_len) ||
          !has_constants(t, ref)))) {
        return false;
    }
    return trajectory_path_predicts(t->path, hop, ref, ref_len, header, len);
}

void
trajectory_refill(const struct trajectory *t,
                  const struct trajectory_packet *packet, struct history *h)
{
    h->packet_id = packet->packet_id;
    h->left_out = packet->left_out;
    for (size_t i = 0; i < h->n_hops; i++) {
        h->hops[i].time_ns = packet->times_ns[i];
    }
    trajectory_path_fill(t->path, packet->header, packet->caplen, h);
}

struct history *
trajectory_history(const struct trajectory *t,
                   const struct trajectory_packet *packet)
{
    struct history *h = history_clone(trajectory_path_model(t->path));

    trajectory_refill(t, packet, h);
    return h;
}
