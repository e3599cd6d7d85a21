/* SPDX-License-Identifier: Apache-2.0 */
/* postcard - the record that one packet met one switch. */
#include <config.h>
#include "lib/postcard.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hop_template.h"

void
postcard_set_visit(struct postcard *p, const struct hop_template *visit,
                   bool is_dropped)
{
    p->dpid = visit->dpid;
    p->version = (uint32_t) visit->hash;
    p->version_bits = 32;
    p->in_port = visit->in_port;
    p->out_port = (uint32_t) (visit->hash >> 32);
    p->flags = POSTCARD_VISIT;
    if (is_dropped) {
        p->flags |= POSTCARD_DROPPED;
    }
    if (visit->flags & HOP_PACKET_OUT) {
        p->flags |= POSTCARD_PACKET_OUT;
    }
    if (visit->flags & HOP_CONTINUED) {
        p->flags |= POSTCARD_CONTINUED;
    }
    if (visit->flags & HOP_CONTINUES && !is_dropped) {
        p->flags |= POSTCARD_CONTINUES;
    }
    p->visit = visit;
}

struct postcard *
postcard_clone(const struct postcard *p)
{
    size_t visit_size = p->visit ? p->visit->size : 0;
    struct postcard *copy = malloc(sizeof *copy + visit_size + p->caplen);

    if (copy) {
        uint8_t *header = (uint8_t *) (copy + 1) + visit_size;

        *copy = *p;
        if (visit_size) {
            memcpy(copy + 1, p->visit, visit_size);
            copy->visit = (const struct hop_template *) (copy + 1);
        }
        if (p->caplen) {
            memcpy(header, p->header, p->caplen);
        }
        copy->header = header;
    }
    return copy;
}
