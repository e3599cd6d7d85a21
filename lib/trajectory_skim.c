/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_skim - what can be read of a shape without making its model. */
#include <config.h>

#include "lib/trajectory_skim.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/trajectory.h"
#include "lib/trajectory_shape_impl.h"

struct trajectory_skim {
    struct flow_key_at keys[TRAJECTORY_MAX_HOPS];
    size_t n_hops;
    struct trajectory_shape shape; /* Its history is borrowed. */
};

struct trajectory_skim *
trajectory_skim_create(void)
{
    return lh_alloc_zero(sizeof(struct trajectory_skim) +
                         (size_t) 2 * TRAJECTORY_MAX_HOPS *
                             sizeof(struct view));
}

void
trajectory_skim_destroy(struct trajectory_skim *skim)
{
    free(skim);
}

/* Of the fields that a key is of (from the source address on), what the hop
 * shows in their place. */
static void
skim_hop(const struct trajectory_shape *s, const struct view *v,
         struct flow_key_at *key)
{
    const unsigned int first = N_FIELDS - N_KEY_FIELDS;
    const uint8_t *bytes = v->bytes;
    size_t at = 0;

    key->l3_ofs = v->l3_ofs;
    key->is_own = v->own >> first != 0;
    if (!key->is_own) {
        return;
    }
    memset(&key->mask, 0, sizeof key->mask);
    memset(&key->own, 0, sizeof key->own);
    for (unsigned int i = 0; i < N_FIELDS; i++) {
        size_t len = trajectory_shape_field_len(s->kind, v->l3_ofs, i);

        if (v->own >> i & 1) {
            if (i >= first) {
                memset(key->mask.bytes + at, 0xff, len);
                memcpy(key->own.bytes + at, bytes, len);
            }
            bytes += len;
        }
        at += i >= first ? len : 0;
    }
}

bool
trajectory_skim_read(struct trajectory_skim *skim, const struct history *h)
{
    struct trajectory_shape *s = &skim->shape;

    skim->n_hops = 0;
    if (h->n_hops <= TRAJECTORY_MAX_HOPS) {
        memset(s, 0, sizeof *s + 2 * h->n_hops * sizeof s->views[0]);
    }
    s->history = (struct history *) h;
    if (!trajectory_shape_parse(s)) {
        return false;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        skim_hop(s, &s->views[i], &skim->keys[i]);
        skim->keys[i].out_l3_ofs = s->views[h->n_hops + i].l3_ofs;
    }
    skim->n_hops = h->n_hops;
    return true;
}

size_t
trajectory_skim_n_hops(const struct trajectory_skim *skim)
{
    return skim->n_hops;
}

enum header_kind
trajectory_skim_kind(const struct trajectory_skim *skim)
{
    return skim->shape.kind;
}

uint16_t
trajectory_skim_l3_ofs(const struct trajectory_skim *skim)
{
    return skim->shape.l3_ofs;
}

const struct flow_key_at *
trajectory_skim_keys(const struct trajectory_skim *skim)
{
    return skim->keys;
}
