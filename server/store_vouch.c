/* SPDX-License-Identifier: Apache-2.0 */
/* store_vouch - what those who answer surely have. */
#include <config.h>

#include "server/store_vouch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define N_NUMBERS 4 /* Of an item in JSON. */

void
store_vouch_uninit(struct store_vouch *v)
{
    free(v->all);
    memset(v, 0, sizeof *v);
}

/* Whether both say the same of messages that are next to each other. */
static bool
are_one(const struct store_vouch_item *a, const struct store_vouch_item *b)
{
    return a->shard == b->shard && a->since_ns == b->since_ns &&
           a->from <= b->to && b->from <= a->to;
}

static void
add(struct store_vouch *v, struct store_vouch_item item)
{
    for (size_t i = v->n; i-- > 0;) {
        const struct store_vouch_item other = v->all[i];

        if (are_one(&other, &item)) {
            item.from = other.from < item.from ? other.from : item.from;
            item.to = other.to > item.to ? other.to : item.to;
            v->all[i] = v->all[--v->n];
            i = v->n;
        }
    }
    v->all = lh_alloc_grow(v->all, v->n, &v->allocated, sizeof *v->all);
    v->all[v->n++] = item;
}

void
store_vouch_add_item(struct store_vouch *v,
                     const struct store_vouch_item *item)
{
    add(v, *item);
}

void
store_vouch_add(struct store_vouch *v, uint32_t shard,
                const struct store_spans *spans, uint64_t disk,
                uint64_t since_ns)
{
    for (size_t i = 0; i < spans->n; i++) {
        const struct store_span *span = &spans->all[i];

        if (span->disk == disk) {
            add(v, (struct store_vouch_item){shard, span->from, span->to,
                                             since_ns});
        }
    }
}

json_t *
store_vouch_to_json(const struct store_vouch *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->n; i++) {
        const struct store_vouch_item *item = &v->all[i];

        json_array_append_new(
            list, json_pack("[I, I, I, I]", (json_int_t) item->shard,
                            (json_int_t) item->from, (json_int_t) item->to,
                            (json_int_t) item->since_ns));
    }
    return list;
}

static bool
read_item(const json_t *json, struct store_vouch_item *item)
{
    uint64_t numbers[N_NUMBERS];

    if (json_array_size(json) != N_NUMBERS) {
        return false;
    }
    for (size_t i = 0; i < N_NUMBERS; i++) {
        const json_t *number = json_array_get(json, i);

        if (!json_is_integer(number) || json_integer_value(number) < 0) {
            return false;
        }
        numbers[i] = (uint64_t) json_integer_value(number);
    }
    *item = (struct store_vouch_item){(uint32_t) numbers[0], numbers[1],
                                      numbers[2], numbers[3]};
    return numbers[0] <= UINT32_MAX && item->from < item->to;
}

int
store_vouch_read(struct store_vouch *v, const json_t *list)
{
    struct store_vouch_item item;

    if (!json_is_array(list) || json_array_size(list) > STORE_VOUCH_MAX) {
        return EBADMSG;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!read_item(json_array_get(list, i), &item)) {
            return EBADMSG;
        }
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        read_item(json_array_get(list, i), &item);
        add(v, item);
    }
    return 0;
}

/* --- Asking -------------------------------------------------------------- */

/* Whether all of these messages is vouched for, from that time on. */
static bool
is_covered(const struct store_vouch *v, uint32_t shard, uint64_t from,
           uint64_t to, uint64_t since_ns)
{
    bool is_further = true;

    while (from < to && is_further) {
        is_further = false;
        for (size_t i = 0; i < v->n; i++) {
            const struct store_vouch_item *item = &v->all[i];

            if (item->shard == shard && item->since_ns <= since_ns &&
                item->from <= from && item->to > from) {
                from = item->to;
                is_further = true;
            }
        }
    }
    return from >= to;
}

/* From when on all of these messages is vouched for; UINT64_MAX: never. */
static uint64_t
covered_from(const struct store_vouch *v, uint32_t shard, uint64_t from,
             uint64_t to)
{
    uint64_t best = UINT64_MAX;

    for (size_t i = 0; i < v->n; i++) {
        uint64_t since_ns = v->all[i].since_ns;

        if (v->all[i].shard == shard && since_ns < best &&
            is_covered(v, shard, from, to, since_ns)) {
            best = since_ns;
        }
    }
    return best;
}

uint64_t
store_vouch_from(const struct store_vouch *v, uint32_t shard,
                 const struct store_spans *spans, uint64_t disk,
                 uint64_t since_ns, uint64_t until_ns)
{
    uint64_t whole_ns = since_ns;

    /* Of what was forgotten nobody knows the times, nor whose it was. */
    if (spans->horizon > 1 &&
        covered_from(v, shard, 1, spans->horizon) > since_ns) {
        return until_ns;
    }
    for (size_t i = 0; i < spans->n; i++) {
        const struct store_span *span = &spans->all[i];
        uint64_t from_ns;

        if ((disk && span->disk != disk) || span->min_ns > span->max_ns ||
            span->min_ns >= until_ns || span->max_ns < whole_ns) {
            continue;
        }
        from_ns = covered_from(v, shard, span->from, span->to);
        from_ns = from_ns <= span->max_ns ? from_ns : span->max_ns + 1;
        whole_ns = from_ns > whole_ns ? from_ns : whole_ns;
    }
    return whole_ns < until_ns ? whole_ns : until_ns;
}
