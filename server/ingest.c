/* SPDX-License-Identifier: Apache-2.0 */
/* ingest - from received bytes to postcards for the path table. */
#include <config.h>

#include "server/ingest.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/postcard_mac.h"
#include "lib/say.h"

struct ingest {
    struct ingest_config config;
    struct topology *topology; /* Owned reference, or NULL. */
    struct ingest_counters counters;
    uint8_t buf[65536]; /* Of a mac postcard without its tag. */
};

struct ingest *
ingest_create(const struct ingest_config *config)
{
    struct ingest *ingest = lh_alloc_zero(sizeof *ingest);

    ingest->config = *config;
    return ingest;
}

void
ingest_destroy(struct ingest *ingest)
{
    if (ingest) {
        topology_unref(ingest->topology);
        free(ingest);
    }
}

void
ingest_set_topology(struct ingest *ingest, const struct topology *topology)
{
    topology_unref(ingest->topology);
    ingest->topology = topology ? topology_ref(topology) : NULL;
}

const struct ingest_counters *
ingest_counters(const struct ingest *ingest)
{
    return &ingest->counters;
}

void
ingest_collect(const struct ingest *ingest, struct counters *c)
{
    const struct ingest_counters *from = &ingest->counters;

    c->received = from->received;
    c->foreign = from->foreign;
    c->other = from->bad[POSTCARD_OTHER];
    c->truncated = from->bad[POSTCARD_TRUNCATED];
    c->malformed = from->bad[POSTCARD_MALFORMED];
    c->no_option = from->bad[POSTCARD_NO_OPTION];
    c->unknown_format = from->bad[POSTCARD_UNKNOWN_FORMAT];
    c->unknown_index = from->bad[POSTCARD_UNKNOWN_SWITCH];
    c->postcards = from->postcards;
    c->short_headers = from->short_headers;
    c->no_l3 = from->no_l3;
    c->unknown_switch = from->unknown_switch;
}

/* Completes a decoded postcard and gives it on. */
static void
give(struct ingest *ingest, struct postcard *p, uint64_t time_ns)
{
    struct ingest_counters *counters = &ingest->counters;
    struct hdr h;

    p->time_ns = time_ns;
    if (p->version_bits < 32) {
        p->version = rule_cache_resolve(ingest->config.rules, p->dpid,
                                        p->version, time_ns);
        p->version_bits = 32;
    }
    hdr_parse(p->header, p->caplen, &h);
    switch (packet_id(&ingest->config.id_config, p->header, p->caplen, &h,
                      &p->packet_id)) {
    case PACKET_ID_OK:
        p->has_id = true;
        break;
    case PACKET_ID_NO_L3:
        p->has_id = true;
        counters->no_l3++;
        break;
    case PACKET_ID_SHORT:
        p->has_id = false;
        counters->short_headers++;
        break;
    }
    if (!ingest->topology || !topology_find(ingest->topology, p->dpid)) {
        counters->unknown_switch++;
    }
    counters->postcards++;
    ingest->config.give(ingest->config.aux, p);
}

/* Whether the sender is accepted; counts when not. */
static bool
accept_sender(struct ingest *ingest, const struct accept_address *from)
{
    const struct accept_list *accept = ingest->config.accept;
    char text[64];

    if (!accept || accept_list_has(accept, from)) {
        return true;
    }
    ingest->counters.foreign++;
    accept_address_format(from, text, sizeof text);
    if (accept_list_is_empty(accept)) {
        say_warn("postcards from %s refused: no switch is known yet; "
                 "--accept %s takes them",
                 text, text);
    } else {
        say_warn("postcards from %s refused: it is no switch of the topology "
                 "and not in --accept",
                 text);
    }
    return false;
}

void
ingest_datagram(struct ingest *ingest, const uint8_t *data, size_t len,
                uint64_t time_ns, const struct accept_address *from)
{
    struct postcard p;

    ingest->counters.received++;
    if (!accept_sender(ingest, from)) {
        return;
    }

    enum postcard_result result = postcard_geneve_decode(data, len, &p);

    if (result == POSTCARD_OK) {
        give(ingest, &p, time_ns);
    } else {
        ingest->counters.bad[result]++;
    }
}

static bool
find_switch(void *aux, uint16_t index, uint64_t *dpid)
{
    const struct ingest *ingest = aux;
    const struct topology_switch *sw =
        ingest->topology ? topology_find_index(ingest->topology, index) : NULL;

    if (sw) {
        *dpid = sw->dpid;
    }
    return sw != NULL;
}

/* Decodes a frame that is tagged as mac postcards are. */
static enum postcard_result
decode_mac(struct ingest *ingest, const uint8_t *data, size_t len,
           struct postcard *p)
{
    struct postcard_mac_config config = {
        .vlan = ingest->config.mac_vlan,
        .find_switch = find_switch,
        .aux = ingest,
    };

    return postcard_mac_decode(&config, data, len, ingest->buf,
                               sizeof ingest->buf, p);
}

/* The sender's address; false where there is none. */
static bool
get_sender(const uint8_t *data, size_t len, const struct hdr *outer,
           struct accept_address *from)
{
    if (outer->is_ip4 && outer->l3_ofs && outer->l3_ofs + 20u <= len) {
        *from = accept_address_ip4(data + outer->l3_ofs + 12);
        return true;
    }
    if (outer->is_ip6 && outer->l3_ofs && outer->l3_ofs + 40u <= len) {
        memcpy(from->bytes, data + outer->l3_ofs + 8, 16);
        return true;
    }
    return false;
}

void
ingest_frame(struct ingest *ingest, enum ingest_encap encap,
             const uint8_t *data, size_t len, uint64_t time_ns)
{
    enum postcard_result result = POSTCARD_OTHER;
    struct postcard p;

    ingest->counters.received++;
    if (encap != INGEST_MAC) {
        struct hdr outer;
        struct accept_address from;

        result = postcard_geneve_decode_frame(data, len, &outer, &p);
        if (result == POSTCARD_OK && (!get_sender(data, len, &outer, &from) ||
                                      !accept_sender(ingest, &from))) {
            return;
        }
    }
    if (result == POSTCARD_OTHER && encap != INGEST_GENEVE) {
        result = decode_mac(ingest, data, len, &p);
    }
    if (result == POSTCARD_OK) {
        give(ingest, &p, time_ns);
    } else {
        ingest->counters.bad[result]++;
    }
}
