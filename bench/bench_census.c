/* SPDX-License-Identifier: Apache-2.0 */
/* bench_census - the histories of archives. */
#include <config.h>
#include "bench/bench_census.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/archive_reader.h"
#include "lib/lh_alloc.h"

static void
add_numbers(XXH3_state_t *state, const uint32_t *numbers, size_t n)
{
    uint64_t len = n;

    XXH3_128bits_update(state, &len, sizeof len);
    if (n) {
        XXH3_128bits_update(state, numbers, n * sizeof *numbers);
    }
}

static void
add_bytes(XXH3_state_t *state, const void *bytes, size_t n)
{
    uint64_t len = n;

    XXH3_128bits_update(state, &len, sizeof len);
    if (n) {
        XXH3_128bits_update(state, bytes, n);
    }
}

static void
add_verdict(XXH3_state_t *state, const struct verdict *v)
{
    const uint64_t about[] = {v->name,          v->dpid,    v->port,
                              v->has_version,   v->version, v->evidence,
                              v->reason != NULL};

    XXH3_128bits_update(state, about, sizeof about);
    if (v->reason) {
        add_bytes(state, v->reason, strlen(v->reason));
    }
}

static void
add_hop(XXH3_state_t *state, const struct history_hop *hop)
{
    const uint64_t about[] = {
        (uint64_t) hop->parent, hop->dpid,           hop->in_port,
        hop->is_packet_out,     hop->is_deduced,     hop->has_gap_before,
        hop->time_ns,           hop->has_header_out, hop->is_after};

    XXH3_128bits_update(state, about, sizeof about);
    add_numbers(state, hop->out_ports, hop->n_out);
    add_numbers(state, hop->branches, hop->n_branches);
    add_numbers(state, hop->versions, hop->n_versions);
    add_bytes(state, hop->header, hop->caplen);
    add_bytes(state, hop->header_out,
              hop->has_header_out ? hop->header_out_len : 0);
    add_verdict(state, &hop->verdict);
}

static void
add_history(struct bench_census *census, const struct history *h)
{
    const uint64_t about[] = {h->packet_id, h->has_packet_id, h->carries,
                              h->carried_by, h->n_hops};
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, about, sizeof about);
    add_verdict(&state, &h->verdict);
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        add_hop(&state, hop);
        census->n_cards += hop->is_deduced ? 0 : hop->n_out ? hop->n_out : 1;
    }
    census->hashes = lh_alloc_grow(census->hashes, census->n,
                                   &census->allocated, sizeof *census->hashes);
    hash = XXH3_128bits_digest(&state);
    census->hashes[census->n++] =
        (struct census_hash){hash.high64, hash.low64};
}

/* Returns 0 or what a function of the archive returned. */
static int
add_columns(struct bench_census *census, struct column_decoder *d,
            struct lh_error *error)
{
    struct history_decoder *plain;
    struct history_record record;
    const struct history *row;
    int retval = column_decoder_need_times(d, error);

    retval = retval ? retval : column_decoder_need_rows(d, error);
    for (size_t f = 0; !retval && f < column_decoder_n_flows(d); f++) {
        for (size_t k = 0; !retval && k < column_decoder_flow(d, f)->n_rows;
             k++) {
            retval = column_decoder_history(d, f, k, &row, error);
            if (!retval) {
                add_history(census, row);
            }
        }
    }
    retval = retval ? retval : column_decoder_plain(d, &plain, error);
    while (!retval && plain && !history_decoder_next(plain, &record, error)) {
        struct history *h;

        retval = history_decoder_read(plain, record.offset, &h, error);
        if (!retval) {
            add_history(census, h);
            history_destroy(h);
        }
    }
    return retval;
}

static void
check(int retval, const char *dir, const struct lh_error *error)
{
    if (retval) {
        fprintf(stderr, "bench: %s: %s\n", dir, error->text);
        exit(EXIT_FAILURE);
    }
}

void
bench_census_add(struct bench_census *census, const char *dir)
{
    struct archive_reader *r;
    struct lh_error error;

    check(archive_reader_open(dir, &r, &error), dir, &error);
    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *entry = archive_reader_entry(r, i);
        struct column_decoder *d;

        if (entry->block.kind == ARCHIVE_COLUMNS) {
            check(archive_reader_columns(r, entry, &d, &error), dir, &error);
            check(add_columns(census, d, &error), dir, &error);
            column_decoder_destroy(d);
        }
    }
    if (archive_reader_n_damages(r)) {
        fprintf(stderr, "bench: %s: %s\n", dir,
                archive_reader_damage(r, 0)->text);
        exit(EXIT_FAILURE);
    }
    archive_reader_close(r);
}

void
bench_census_uninit(struct bench_census *census)
{
    free(census->hashes);
    *census = (struct bench_census){.n = 0};
}

static int
compare(const void *a_, const void *b_)
{
    const struct census_hash *a = a_, *b = b_;

    if (a->high != b->high) {
        return a->high < b->high ? -1 : 1;
    }
    return a->low < b->low ? -1 : a->low > b->low;
}

uint64_t
bench_census_missing(struct bench_census *a, struct bench_census *b)
{
    uint64_t n_missing = 0;
    size_t k = 0;

    if (a->n) {
        qsort(a->hashes, a->n, sizeof *a->hashes, compare);
    }
    if (b->n) {
        qsort(b->hashes, b->n, sizeof *b->hashes, compare);
    }
    for (size_t i = 0; i < a->n; i++) {
        while (k < b->n && compare(&b->hashes[k], &a->hashes[i]) < 0) {
            k++;
        }
        if (k < b->n && !compare(&b->hashes[k], &a->hashes[i])) {
            k++;
        } else {
            n_missing++;
        }
    }
    return n_missing;
}
