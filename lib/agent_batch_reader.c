/* SPDX-License-Identifier: Apache-2.0 */
/* agent_batch - reads packed postcards of patched switches. */
#include <config.h>

#include "lib/agent_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/compress.h"
#include "lib/lh_alloc.h"

#define MAX_RAW (16u << 20)

struct agent_batch_reader {
    uint8_t *raw;                    /* Owned. */
    struct hop_template **templates; /* Owned, and what they point to. */
    size_t n_templates;
    struct agent_postcard *postcards; /* Owned. */
    uint32_t n, next;
};

struct agent_batch_reader *
agent_batch_reader_create(void)
{
    return lh_alloc_zero(sizeof(struct agent_batch_reader));
}

static void
forget(struct agent_batch_reader *r)
{
    for (size_t i = 0; i < r->n_templates; i++) {
        free(r->templates[i]);
    }
    free(r->templates);
    free(r->postcards);
    free(r->raw);
    *r = (struct agent_batch_reader){.n = 0};
}

void
agent_batch_reader_destroy(struct agent_batch_reader *r)
{
    if (r) {
        forget(r);
        free(r);
    }
}

static int
read_templates(struct agent_batch_reader *r, struct bytes_reader *in,
               struct lh_error *error)
{
    uint64_t n = byte_buf_get_uvarint(in);
    union hop_template_buf buf;
    int retval;

    if (n > AGENT_BATCH_MAX) {
        lh_error_set(error, "a batch of too many templates");
        return EBADMSG;
    }
    r->templates = lh_alloc_array(NULL, n + 1, sizeof *r->templates);
    while (r->n_templates < n) {
        retval = hop_template_get(in, &buf, error);
        if (retval) {
            return EBADMSG;
        }
        r->templates[r->n_templates] = hop_template_clone(&buf.t);
        if (!r->templates[r->n_templates]) {
            lh_error_set(error, "no memory for a template");
            return EBADMSG;
        }
        r->n_templates++;
    }
    return 0;
}

static int
read_postcards(struct agent_batch_reader *r, struct bytes_reader *in,
               struct lh_error *error)
{
    uint64_t time_ns = 0;

    r->postcards = lh_alloc_array(NULL, r->n + 1u, sizeof *r->postcards);
    for (uint32_t i = 0; i < r->n; i++) {
        struct agent_postcard *p = &r->postcards[i];
        uint64_t no = byte_buf_get_uvarint(in);
        unsigned int kind = bytes_get_u8(in);
        uint64_t reason = byte_buf_get_uvarint(in);

        time_ns += (uint64_t) byte_buf_get_svarint(in);

        uint64_t packet_len = byte_buf_get_uvarint(in);
        uint64_t caplen = byte_buf_get_uvarint(in);

        if (no >= r->n_templates || kind > AGENT_POSTCARD_DROPPED ||
            reason > UINT16_MAX || packet_len > UINT32_MAX ||
            caplen > AGENT_BATCH_MAX_CAPLEN) {
            in->failed = true;
        } else {
            *p = (struct agent_postcard){
                .template = r->templates[no],
                .template_no = (uint32_t) no,
                .time_ns = time_ns,
                .packet_len = (uint32_t) packet_len,
                .caplen = (uint16_t) caplen,
                .reason = (uint16_t) reason,
                .kind = (enum agent_postcard_kind) kind,
                .header = bytes_get(in, caplen),
            };
        }
        if (in->failed) {
            lh_error_set(error, "postcard %u of a batch is malformed", i);
            return EBADMSG;
        }
    }
    if (bytes_left(in)) {
        lh_error_set(error, "a batch that does not end with its postcards");
        return EBADMSG;
    }
    return 0;
}

int
agent_batch_reader_open(struct agent_batch_reader *r, const uint8_t *data,
                        size_t len, uint32_t n, struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, len);
    unsigned int is_compressed = bytes_get_u8(&in);
    uint64_t raw_len = byte_buf_get_uvarint(&in);
    size_t stored_len = bytes_left(&in);
    const uint8_t *stored = bytes_get(&in, stored_len);
    int retval;

    forget(r);
    if (in.failed || is_compressed > 1 || raw_len > MAX_RAW ||
        n > AGENT_BATCH_MAX || (!is_compressed && raw_len != stored_len)) {
        lh_error_set(error, "a malformed batch");
        return EBADMSG;
    }
    if (is_compressed) {
        r->raw = lh_alloc(raw_len);
        retval = compress_expand(stored, stored_len, r->raw, raw_len, error);
        if (retval) {
            return retval;
        }
    } else {
        r->raw = lh_memdup(stored, stored_len);
    }
    in = bytes_reader(r->raw, raw_len);
    r->n = n;
    retval = read_templates(r, &in, error);
    if (!retval) {
        retval = read_postcards(r, &in, error);
    }
    if (retval) {
        r->n = 0;
    }
    return retval;
}

bool
agent_batch_reader_next(struct agent_batch_reader *r,
                        struct agent_postcard *postcard)
{
    if (r->next == r->n) {
        return false;
    }
    *postcard = r->postcards[r->next++];
    return true;
}

size_t
agent_batch_reader_n_templates(const struct agent_batch_reader *r)
{
    return r->n_templates;
}

const struct hop_template *
agent_batch_reader_template(const struct agent_batch_reader *r, size_t i)
{
    assert(i < r->n_templates);
    return r->templates[i];
}
