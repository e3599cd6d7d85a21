/* SPDX-License-Identifier: Apache-2.0 */
/* agent_batch - packs postcards of patched switches. */
#include <config.h>

#include "lib/agent_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compress.h"
#include "lib/lh_alloc.h"

struct agent_batch_writer {
    struct compressor *compressor; /* Owned. */
    struct byte_buf templates, visits;
    const struct hop_template *known[AGENT_BATCH_MAX];
    uint32_t n_known, n;
    uint64_t first_ns, last_ns, previous_ns;
    size_t n_bytes;
};

struct agent_batch_writer *
agent_batch_writer_create(void)
{
    struct agent_batch_writer *w = lh_alloc_zero(sizeof *w);

    w->compressor = compressor_create();
    return w;
}

void
agent_batch_writer_destroy(struct agent_batch_writer *w)
{
    if (w) {
        compressor_destroy(w->compressor);
        byte_buf_uninit(&w->templates);
        byte_buf_uninit(&w->visits);
        free(w);
    }
}

static uint32_t
find_template(struct agent_batch_writer *w, const struct hop_template *t)
{
    for (uint32_t i = w->n_known; i > 0; i--) {
        if (w->known[i - 1] == t) {
            return i - 1;
        }
    }
    hop_template_put(&w->templates, t);
    w->known[w->n_known] = t;
    return w->n_known++;
}

bool
agent_batch_writer_add(struct agent_batch_writer *w,
                       const struct agent_postcard *p)
{
    if (w->n == AGENT_BATCH_MAX ||
        (w->n && w->n_bytes + p->caplen > AGENT_BATCH_MAX_BYTES)) {
        return false;
    }
    assert(p->caplen <= AGENT_BATCH_MAX_CAPLEN);
    byte_buf_put_uvarint(&w->visits, find_template(w, p->template));
    byte_buf_put_u8(&w->visits, (uint8_t) p->kind);
    byte_buf_put_uvarint(&w->visits, p->reason);
    byte_buf_put_svarint(&w->visits, (int64_t) (p->time_ns - w->previous_ns));
    byte_buf_put_uvarint(&w->visits, p->packet_len);
    byte_buf_put_uvarint(&w->visits, p->caplen);
    byte_buf_put(&w->visits, p->header, p->caplen);
    if (!w->n || p->time_ns < w->first_ns) {
        w->first_ns = p->time_ns;
    }
    if (!w->n || p->time_ns > w->last_ns) {
        w->last_ns = p->time_ns;
    }
    w->previous_ns = p->time_ns;
    w->n_bytes += p->caplen;
    w->n++;
    return true;
}

bool
agent_batch_writer_is_full(const struct agent_batch_writer *w)
{
    return w->n == AGENT_BATCH_MAX ||
           (w->n &&
            w->n_bytes + AGENT_BATCH_MAX_CAPLEN > AGENT_BATCH_MAX_BYTES);
}

uint32_t
agent_batch_writer_n(const struct agent_batch_writer *w)
{
    return w->n;
}

void
agent_batch_writer_finish(struct agent_batch_writer *w, struct byte_buf *out,
                          struct agent_batch_stats *stats)
{
    struct byte_buf raw = BYTE_BUF_INIT, packed = BYTE_BUF_INIT;

    byte_buf_put_uvarint(&raw, w->n_known);
    byte_buf_put(&raw, w->templates.data, w->templates.len);
    byte_buf_put(&raw, w->visits.data, w->visits.len);
    byte_buf_put_u8(
        out, compressor_put(w->compressor, 1, raw.data, raw.len, &packed));
    byte_buf_put_uvarint(out, raw.len);
    byte_buf_put(out, packed.data, packed.len);
    *stats = (struct agent_batch_stats){w->n, w->first_ns, w->last_ns};
    byte_buf_uninit(&raw);
    byte_buf_uninit(&packed);
    byte_buf_clear(&w->templates);
    byte_buf_clear(&w->visits);
    w->n = w->n_known = 0;
    w->n_bytes = 0;
    w->previous_ns = 0;
}
