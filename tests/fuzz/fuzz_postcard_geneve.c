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
    return 0;
}
