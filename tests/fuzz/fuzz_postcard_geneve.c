/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the Geneve postcard decoders: what they take lies within the capture
 * and is taken again when encoded anew. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/postcard_geneve.h"
#include "tests/fuzz/fuzz.h"

static void
must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void
check_postcard(const uint8_t *data, size_t size, const struct postcard *p)
{
    must(p->caplen > 0 && p->header > data);
    must(p->header + p->caplen <= data + size);

    size_t room = (size_t) p->caplen + POSTCARD_GENEVE_OVERHEAD;
    uint8_t *out = malloc(room);
    struct postcard back = {.time_ns = p->time_ns};

    must(postcard_geneve_encode(p, out, room) == room);
    must(postcard_geneve_decode(out, room, &back) == POSTCARD_OK);
    must(back.dpid == p->dpid && back.version == p->version &&
         back.in_port == p->in_port && back.out_port == p->out_port &&
         back.flags == p->flags && back.caplen == p->caplen &&
         !memcmp(back.header, p->header, p->caplen));
    free(out);
}

static bool
is_same(const struct postcard *a, const struct postcard *b)
{
    return a->dpid == b->dpid && a->packet_id == b->packet_id &&
           a->time_ns == b->time_ns && a->version == b->version &&
           a->in_port == b->in_port && a->out_port == b->out_port &&
           a->flags == b->flags && a->version_bits == b->version_bits &&
           a->has_id == b->has_id && a->caplen == b->caplen &&
           a->header == b->header;
}

/* The quick way finds what the other one found, or nothing. */
static void
check_plain(const uint8_t *data, size_t size)
{
    struct postcard quick = {.time_ns = 5}, slow = {.time_ns = 5};
    const uint8_t *ip_src = NULL;
    struct hdr outer;

    if (postcard_geneve_decode_plain(data, size, &quick)) {
        must(postcard_geneve_decode(data, size, &slow) == POSTCARD_OK);
        must(is_same(&quick, &slow));
    } else {
        must(!quick.header);
    }
    quick = slow = (struct postcard){.time_ns = 5};
    if (postcard_geneve_decode_plain_frame(data, size, &ip_src, &quick)) {
        must(postcard_geneve_decode_frame(data, size, &outer, &slow) ==
             POSTCARD_OK);
        must(is_same(&quick, &slow));
        must(outer.is_ip4 && ip_src == data + outer.l3_ofs + 12);
    } else {
        must(!quick.header && !ip_src);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct postcard p = {.dpid = 77};
    struct hdr outer;

    if (postcard_geneve_decode(data, size, &p) == POSTCARD_OK) {
        check_postcard(data, size, &p);
    } else {
        must(p.dpid == 77 && !p.header);
    }
    p = (struct postcard){.dpid = 77};
    if (postcard_geneve_decode_frame(data, size, &outer, &p) == POSTCARD_OK) {
        check_postcard(data, size, &p);
    } else {
        must(p.dpid == 77 && !p.header);
    }
    check_plain(data, size);
    return 0;
}
