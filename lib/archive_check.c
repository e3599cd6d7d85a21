/* SPDX-License-Identifier: Apache-2.0 */
/* archive_check - reads one block of an archive whole. */
#include <config.h>

#include "lib/archive_check.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/archive_scan.h"
#include "lib/block_sums.h"
#include "lib/bytes.h"
#include "lib/history_columns.h"
#include "lib/lh_alloc.h"
#include "lib/section_list.h"
#include "lib/topology.h"

/* The section with what holds for a whole block of columns. */
#define SECTION_BLOCK 1

static int
broken(struct lh_error *error, const char *why)
{
    lh_error_set(error, "%s", why);
    return EBADMSG;
}

/* Decodes all that 'd' (may be NULL) has, and counts it in 'sums' (may be
 * NULL). */
static int
check_records(struct history_decoder *d, struct archive_check *check,
              struct block_sums *sums, struct lh_error *error)
{
    struct history_record record;
    int retval = d ? history_decoder_next(d, &record, error) : ENODATA;

    while (!retval) {
        struct history *h;

        retval = history_decoder_read(d, record.offset, &h, error);
        if (!retval) {
            check->n_histories++;
            check->n_hops += h->n_hops;
            if (sums) {
                block_sums_add_history(sums, h);
            }
            history_destroy(h);
            retval = history_decoder_next(d, &record, error);
        }
    }
    return retval == ENODATA ? 0 : retval;
}

static int
check_histories(const struct archive_block *block, const uint8_t *raw,
                struct archive_check *check, struct lh_error *error)
{
    struct history_decoder *d;
    int retval = history_decoder_create(raw, block->raw_len, &d, error);

    if (!retval) {
        retval = check_records(d, check, NULL, error);
        history_decoder_destroy(d);
    }
    return retval;
}

/* Compares the checksum of each section, also of those no decoder knows. */
static int
check_sections(const struct archive_block *block, const uint8_t *payload,
               struct archive_check *check, struct lh_error *error)
{
    const uint8_t *bytes = payload + block->raw_len;
    struct section_list list;
    int retval =
        section_list_parse(&list, payload + ARCHIVE_COLUMNS_PREFIX,
                           block->raw_len - ARCHIVE_COLUMNS_PREFIX, error);

    if (retval) {
        return retval;
    }
    if (list.len != block->stored_len - block->raw_len) {
        return broken(error, "the sections have another length than their "
                             "block");
    }
    for (size_t i = 0; i < list.n; i++) {
        const struct section *s = &list.sections[i];
        uint8_t *raw;

        retval = section_expand(s, bytes + s->offset, &raw, error);
        if (retval) {
            return retval;
        }
        if (s->id == SECTION_BLOCK) {
            struct bytes_reader in = bytes_reader(raw, s->raw_len);

            byte_buf_get_uvarint(&in);
            check->packet_id.seed = bytes_get_u64(&in);
            check->packet_id.n_bytes = (uint16_t) byte_buf_get_uvarint(&in);
            check->has_packet_id = true;
        }
        free(raw);
    }
    return 0;
}

static int
check_rows(struct column_decoder *d, struct archive_check *check,
           struct lh_error *error)
{
    int retval = column_decoder_need_times(d, error);

    if (!retval) {
        retval = column_decoder_need_rows(d, error);
    }
    for (size_t i = 0; i < column_decoder_n_flows(d) && !retval; i++) {
        size_t n = column_decoder_flow(d, i)->n_rows;

        for (size_t k = 0; k < n && !retval; k++) {
            const struct history *h;

            retval = column_decoder_history(d, i, k, &h, error);
            if (!retval) {
                check->n_histories++;
                check->n_rows++;
                check->n_hops += h->n_hops;
            }
        }
    }
    return retval;
}

/* Shapes and their sums, for comparison. */
struct count {
    struct block_sums *sums;
    size_t n;                  /* Shapes seen. */
    uint64_t *packets, *bytes; /* Of shapes.  Owned. */
};

/* Adds up the packets and bytes of each shape. */
static int
count_flows(struct column_decoder *d, struct count *count,
            struct lh_error *error)
{
    size_t n = column_decoder_n_shapes(d);
    int retval = column_decoder_need_lengths(d, error);

    if (!retval) {
        retval = column_decoder_need_flow_bytes(d, error);
    }
    count->packets = lh_alloc_zero((n + 1) * sizeof *count->packets);
    count->bytes = lh_alloc_zero((n + 1) * sizeof *count->bytes);
    for (size_t i = 0; i < column_decoder_n_flows(d) && !retval; i++) {
        const struct column_flow *flow = column_decoder_flow(d, i);
        const uint32_t *lengths = column_decoder_lengths(d, i);
        uint64_t bytes = 0;

        for (uint32_t k = 0; k < flow->n_rows; k++) {
            bytes += lengths[k];
        }
        if (bytes != column_decoder_flow_bytes(d, i)) {
            retval = broken(error, "a flow has another sum than its packets");
        }
        count->packets[flow->shape] += flow->n_rows;
        count->bytes[flow->shape] += bytes;
    }
    return retval;
}

static void
count_shape(void *count_, const struct history *h,
            const struct trajectory_skim *skim)
{
    struct count *count = count_;

    block_sums_add_shape(count->sums, h, trajectory_skim_keys(skim),
                         count->packets[count->n], count->bytes[count->n]);
    count->n++;
}

static int
open_columns(const struct archive_block *block, const uint8_t *payload,
             struct column_decoder **d, struct lh_error *error)
{
    return column_decoder_open(payload + ARCHIVE_COLUMNS_PREFIX,
                               block->stored_len - ARCHIVE_COLUMNS_PREFIX,
                               block->raw_len - ARCHIVE_COLUMNS_PREFIX, d,
                               error);
}

/* Whether what the block says was left out can be. */
static int
check_left_out(const struct archive_block *block, struct column_decoder *d,
               struct lh_error *error)
{
    struct sample_tally kept;
    int retval = column_decoder_kept(d, &kept, error);

    if (!retval && block->is_sampled != sample_tally_is_sampled(&kept)) {
        retval = broken(error, "its header and section 29 differ");
    }
    return retval;
}

/* Compares the sums of the block, if it has some, with what it holds: the rows
 * that 'd' has, and the 'others'. */
static int
check_sums(const struct archive_block *block, const uint8_t *payload,
           struct column_decoder *d, const struct block_sums *others,
           struct lh_error *error)
{
    struct block_sums *said = block_sums_create();
    struct count count = {.sums = block_sums_create()};
    struct column_decoder *again = NULL; /* Which shows its shapes. */
    int retval = column_decoder_sums(d, said, error);

    if (!retval) {
        retval = count_flows(d, &count, error);
        if (!retval) {
            retval = open_columns(block, payload, &again, error);
        }
        if (!retval) {
            retval =
                column_decoder_need_shapes(again, count_shape, &count, error);
        }
        block_sums_merge(count.sums, others);
        if (!retval && !block_sums_equal(said, count.sums)) {
            retval = broken(error, "its sums are of other packets");
        }
    }
    column_decoder_destroy(again);
    free(count.packets);
    free(count.bytes);
    block_sums_destroy(count.sums);
    block_sums_destroy(said);
    return retval == ENOENT ? 0 : retval;
}

static int
check_columns(const struct archive_block *block, const uint8_t *payload,
              struct archive_check *check, struct lh_error *error)
{
    struct block_sums *others = NULL;
    struct history_decoder *plain;
    struct block_index index;
    struct column_decoder *d;
    int retval;

    if (XXH64(payload, block->raw_len, 0) != block->payload_hash) {
        return broken(error, "checksum of the table of sections does not "
                             "match");
    }
    check->first_sequence = bytes_be64(payload);
    if (!check->first_sequence || check->first_sequence > block->sequence) {
        return broken(error, "it begins with a later block than itself");
    }
    retval = check_sections(block, payload, check, error);
    if (!retval) {
        retval = open_columns(block, payload, &d, error);
    }
    if (retval) {
        return retval;
    }
    retval = column_decoder_index(d, &index, error);
    if (!retval && index.n_records != block->n_records) {
        retval = broken(error, "its index is of another block");
    }
    block_index_uninit(&index);
    if (!retval || retval == ENOENT) {
        retval = check_rows(d, check, error);
    }
    check->n_flows = column_decoder_n_flows(d);
    check->n_shapes = column_decoder_n_shapes(d);
    if (!retval) {
        retval = column_decoder_plain(d, &plain, error);
    }
    if (!retval) {
        others = block_sums_create();
        retval = check_records(plain, check, others, error);
    }
    if (!retval) {
        retval = check_sums(block, payload, d, others, error);
    }
    if (!retval) {
        retval = check_left_out(block, d, error);
    }
    block_sums_destroy(others);
    column_decoder_destroy(d);
    return retval;
}

static int
check_topology(const json_t *json, struct lh_error *error)
{
    struct topology *topology;

    if (topology_from_json(json, &topology, error)) {
        return EBADMSG;
    }
    topology_unref(topology);
    return 0;
}

/* A payload that is JSON. */
static int
check_json(const struct archive_block *block, const uint8_t *raw,
           struct archive_check *check, struct lh_error *error)
{
    json_t *json = json_loadb((const char *) raw, block->raw_len, 0, NULL);
    int retval = 0;

    if (!json) {
        return broken(error, "its payload is no JSON");
    }
    if (block->kind == ARCHIVE_TOPOLOGY) {
        retval = check_topology(json, error);
    } else {
        check->n_lost =
            (uint64_t) json_integer_value(json_object_get(json, "histories"));
    }
    json_decref(json);
    return retval;
}

/* What stands in the header has to be what was found. */
static int
check_counts(const struct archive_block *block,
             const struct archive_check *check, struct lh_error *error)
{
    if (check->n_histories == block->n_records &&
        check->n_hops == block->n_hops) {
        return 0;
    }
    lh_error_set(error,
                 "it has %" PRIu64 " histories of %" PRIu64
                 " hops; its header says %u of %u",
                 check->n_histories, check->n_hops, block->n_records,
                 block->n_hops);
    return EBADMSG;
}

static int
check_payload(const struct archive_block *block, const uint8_t *stored,
              struct archive_check *check, struct lh_error *error)
{
    uint8_t *raw;
    int retval;

    if (block->kind == ARCHIVE_COLUMNS) {
        retval = check_columns(block, stored, check, error);
        return retval ? retval : check_counts(block, check, error);
    }
    retval = archive_block_unpack(block, stored, &raw, error);
    if (retval) {
        return retval;
    }
    if (block->kind == ARCHIVE_HISTORIES) {
        retval = check_histories(block, raw, check, error);
        retval = retval ? retval : check_counts(block, check, error);
    } else if (block->kind == ARCHIVE_TOPOLOGY ||
               block->kind == ARCHIVE_LOSS) {
        retval = check_json(block, raw, check, error);
    }
    free(raw);
    return retval;
}

int
archive_check_block(int fd, uint64_t offset, const struct archive_block *block,
                    struct archive_check *check, struct lh_error *error)
{
    uint8_t *stored = malloc(block->stored_len ? block->stored_len : 1);
    int retval;

    memset(check, 0, sizeof *check);
    check->first_sequence = block->sequence;
    if (!stored) {
        lh_error_set(error, "no memory for %u bytes", block->stored_len);
        return ENOMEM;
    }
    retval = archive_read_at(fd, offset + ARCHIVE_BLOCK_HEADER, stored,
                             block->stored_len);
    if (retval == ENODATA) {
        retval = broken(error, "the file has become shorter");
    } else if (retval) {
        lh_error_set(error, "%s", strerror(retval));
    } else {
        retval = check_payload(block, stored, check, error);
    }
    free(stored);
    return retval;
}
