/* SPDX-License-Identifier: Apache-2.0 */
/* archive_reader - what stands between histories: topologies, and how many
 * histories were lost. */
#include <config.h>

#include "lib/archive_reader.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>

/* Loads block 'i' as JSON, or NULL. */
static json_t *
load_json(struct archive_reader *r, size_t i)
{
    uint8_t *payload;
    json_t *json = NULL;

    if (!archive_reader_load(r, archive_reader_entry(r, i), &payload, NULL)) {
        json = json_loadb((const char *) payload,
                          archive_reader_entry(r, i)->block.raw_len, 0, NULL);
        free(payload);
    }
    return json;
}

/* The topology that comes before the one of '*i' and '*since_ns', of those in
 * force at 'at_ns': the last one stored; of several shards, the newest. */
static bool
find_topology(const struct archive_reader *r, uint64_t at_ns, size_t *i,
              uint64_t *since_ns)
{
    size_t best = SIZE_MAX;
    uint64_t best_ns = 0;

    for (size_t k = 0; k < archive_reader_n_blocks(r); k++) {
        const struct archive_entry *entry = archive_reader_entry(r, k);
        const struct archive_block *block = &entry->block;
        uint64_t ns = entry->segment.shard ? block->min_ns : 0;

        if (block->kind == ARCHIVE_TOPOLOGY && block->min_ns <= at_ns &&
            (ns < *since_ns || (ns == *since_ns && k < *i)) &&
            (best == SIZE_MAX || ns >= best_ns)) {
            best = k;
            best_ns = ns;
        }
    }
    *i = best;
    *since_ns = best_ns;
    return best != SIZE_MAX;
}

struct topology *
archive_reader_topology(struct archive_reader *r, uint64_t at_ns)
{
    struct topology *topology = NULL;
    uint64_t since_ns = UINT64_MAX;
    bool is_found = false;
    size_t last = SIZE_MAX;

    /* From the newest not after the time backwards, then forwards. */
    while (!is_found && find_topology(r, at_ns, &last, &since_ns)) {
        json_t *json = load_json(r, last);

        is_found = json && !topology_from_json(json, &topology, NULL);
        json_decref(json);
    }
    for (size_t i = 0; i < archive_reader_n_blocks(r) && !is_found; i++) {
        if (archive_reader_entry(r, i)->block.kind == ARCHIVE_TOPOLOGY) {
            json_t *json = load_json(r, i);

            is_found = json && !topology_from_json(json, &topology, NULL);
            json_decref(json);
        }
    }
    return is_found ? topology : NULL;
}

uint64_t
archive_reader_lost(struct archive_reader *r, uint64_t since_ns,
                    uint64_t until_ns)
{
    uint64_t n = 0;

    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_block *block = &archive_reader_entry(r, i)->block;

        if (block->kind == ARCHIVE_LOSS && block->max_ns >= since_ns &&
            block->min_ns < until_ns) {
            json_t *json = load_json(r, i);

            n += (uint64_t) json_integer_value(
                json_object_get(json, "histories"));
            json_decref(json);
        }
    }
    return n;
}
