/* SPDX-License-Identifier: Apache-2.0 */
/* sample_tally - how many packets were kept at which sample threshold. */
#include <config.h>

#include "lib/sample_tally.h"

#include <errno.h>
#include <string.h>

#include "lib/bytes.h"

double
sample_tally_ratio_of(uint32_t left_out)
{
    const double all = 4294967296.0;

    return all / (all - left_out);
}

/* The entry next to 'left_out'; there is one. */
static struct sample_tally_entry *
nearest(struct sample_tally *t, uint32_t left_out)
{
    struct sample_tally_entry *best = &t->of[0];
    uint32_t distance = UINT32_MAX;

    for (size_t i = 0; i < t->n; i++) {
        uint32_t other = t->of[i].left_out;
        uint32_t d = other > left_out ? other - left_out : left_out - other;

        if (d < distance) {
            distance = d;
            best = &t->of[i];
        }
    }
    return best;
}

void
sample_tally_add(struct sample_tally *t, uint32_t left_out, uint64_t packets)
{
    size_t i = 0;

    if (!packets) {
        return;
    }
    while (i < t->n && t->of[i].left_out < left_out) {
        i++;
    }
    if (i < t->n && t->of[i].left_out == left_out) {
        t->of[i].packets += packets;
    } else if (t->n == SAMPLE_TALLY_MAX) {
        nearest(t, left_out)->packets += packets;
    } else {
        memmove(&t->of[i + 1], &t->of[i], (t->n - i) * sizeof t->of[i]);
        t->of[i] = (struct sample_tally_entry){packets, left_out};
        t->n++;
    }
}

void
sample_tally_merge(struct sample_tally *t, const struct sample_tally *other)
{
    for (size_t i = 0; i < other->n; i++) {
        sample_tally_add(t, other->of[i].left_out, other->of[i].packets);
    }
}

bool
sample_tally_is_sampled(const struct sample_tally *t)
{
    return t->n && t->of[t->n - 1].left_out;
}

double
sample_tally_ratio(const struct sample_tally *t)
{
    double kept = 0, all = 0;

    for (size_t i = 0; i < t->n; i++) {
        kept += (double) t->of[i].packets;
        all += (double) t->of[i].packets *
               sample_tally_ratio_of(t->of[i].left_out);
    }
    return t->n ? all / kept : 1;
}

void
sample_tally_put(const struct sample_tally *t, struct byte_buf *out)
{
    for (size_t i = 0; i < t->n && sample_tally_is_sampled(t); i++) {
        byte_buf_put_uvarint(out, t->of[i].left_out);
        byte_buf_put_uvarint(out, t->of[i].packets);
    }
}

int
sample_tally_read(struct sample_tally *t, const uint8_t *data, size_t len,
                  struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, len);
    uint64_t before = 0;

    memset(t, 0, sizeof *t);
    while (bytes_left(&in)) {
        uint64_t left_out = byte_buf_get_uvarint(&in);
        uint64_t packets = byte_buf_get_uvarint(&in);

        if (in.failed || t->n == SAMPLE_TALLY_MAX || left_out > UINT32_MAX ||
            (t->n && left_out <= before) || !packets || packets > UINT32_MAX) {
            lh_error_set(error, "what was left out is broken");
            memset(t, 0, sizeof *t);
            return EBADMSG;
        }
        t->of[t->n++] =
            (struct sample_tally_entry){packets, (uint32_t) left_out};
        before = left_out;
    }
    return 0;
}
