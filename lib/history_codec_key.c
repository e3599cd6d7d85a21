/* SPDX-License-Identifier: Apache-2.0 */
/* history_codec - histories as compact bytes: by which bytes a record is known
 * again in another payload. */
#include <config.h>

#include "lib/history_codec.h"

#include <string.h>

#include "lib/history_codec_format.h"

/* A record being walked.  Its bytes are the key's but for the numbers of
 * switches, which are another payload's in each. */
struct walk {
    const struct history_decoder *decoder;
    const uint8_t *at, *end;
    const uint8_t *copied; /* From here on nothing is in the key yet. */
    uint8_t *out;          /* Has room for all. */
    bool failed;
};

static uint64_t
skip_long_uvarint(struct walk *w)
{
    struct bytes_reader r = bytes_reader(w->at, (size_t) (w->end - w->at));
    uint64_t value = byte_buf_get_uvarint(&r);

    w->failed = w->failed || r.failed;
    w->at = r.failed ? w->end : w->at + r.ofs;
    return value;
}

/* Most are of one byte. */
static inline uint64_t
skip_uvarint(struct walk *w)
{
    return w->at < w->end && *w->at < 0x80 ? *w->at++ : skip_long_uvarint(w);
}

static inline void
skip_bytes(struct walk *w, uint64_t n)
{
    if (n > (size_t) (w->end - w->at)) {
        w->failed = true;
        w->at = w->end;
    } else {
        w->at += n;
    }
}

static inline void
copy(struct walk *w, const uint8_t *to)
{
    memcpy(w->out, w->copied, (size_t) (to - w->copied));
    w->out += to - w->copied;
    w->copied = w->at;
}

/* Puts the switch in place of its number. */
static void
put_dpid(struct walk *w)
{
    const uint8_t *from = w->at;
    uint64_t i = skip_uvarint(w);

    if (w->failed || i >= w->decoder->n_dpids) {
        w->failed = true;
        return;
    }
    copy(w, from);
    memcpy(w->out, w->decoder->dpids + 8 * i, 8);
    w->out += 8;
}

static void
walk_verdict(struct walk *w)
{
    uint64_t bits = skip_uvarint(w);

    if (bits & CODEC_VERDICT_HAS_PLACE) {
        put_dpid(w);
        skip_uvarint(w);
        skip_uvarint(w);
    }
    if (bits & CODEC_VERDICT_HAS_REASON) {
        skip_bytes(w, skip_uvarint(w));
    }
}

static void
skip_list(struct walk *w)
{
    for (uint64_t n = skip_uvarint(w); n && !w->failed; n--) {
        skip_uvarint(w);
    }
}

static void
skip_header(struct walk *w)
{
    uint64_t left = skip_uvarint(w);

    while (left && !w->failed) {
        uint64_t same = skip_uvarint(w);

        left -= same < left ? same : left;
        if (left) {
            uint64_t n = skip_uvarint(w);

            w->failed = w->failed || !n || n > left;
            left -= w->failed ? 0 : n;
            skip_bytes(w, n);
        }
    }
}

static void
walk_hop(struct walk *w)
{
    uint64_t bits = skip_uvarint(w);

    if (!(bits & CODEC_HOP_CHAINED)) {
        skip_uvarint(w);
    }
    put_dpid(w);
    skip_uvarint(w);
    if (bits & CODEC_HOP_PLAIN) {
        skip_uvarint(w);
        skip_uvarint(w);
    } else {
        skip_list(w);
        skip_list(w);
        skip_list(w);
    }
    skip_uvarint(w);
    skip_header(w);
    if (bits & CODEC_HOP_HEADER_OUT) {
        skip_header(w);
    }
    walk_verdict(w);
}

bool
history_decoder_key(const struct history_decoder *d, size_t offset,
                    struct byte_buf *key)
{
    const struct bytes_reader *all = &d->reader;
    struct walk w = {.decoder = d,
                     .at = all->data + (offset < all->len ? offset : all->len),
                     .end = all->data + all->len};
    size_t start = key->len;
    uint64_t len = skip_uvarint(&w);

    if (w.failed || len > (size_t) (w.end - w.at)) {
        return false;
    }
    w.end = w.at + len;
    skip_uvarint(&w);
    skip_uvarint(&w);
    w.copied = w.at;
    /* The number of a switch has a byte at least, and it eight. */
    w.out = byte_buf_extend(key, 8 * (size_t) (w.end - w.at));

    uint64_t bits = skip_uvarint(&w);

    skip_bytes(&w, (bits & CODEC_STORES_ID ? 8 : 0) +
                       (bits & CODEC_CARRIES ? 8 : 0) +
                       (bits & CODEC_CARRIED_BY ? 8 : 0));
    walk_verdict(&w);
    for (uint64_t n = skip_uvarint(&w); n && !w.failed; n--) {
        walk_hop(&w);
    }
    if (w.failed || w.at != w.end) {
        key->len = start;
        return false;
    }
    copy(&w, w.at);
    key->len = (size_t) (w.out - key->data);
    return true;
}
