/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_header - what a packet looked like as it left, and whether it is
 * the one that came in at the far end. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <string.h>

#include "lib/hdr.h"
#include "lib/of_port.h"

/* A header may grow by this much in a rule (tags and labels pushed). */
#define MAX_GROWTH 64

static uint64_t
mix(uint64_t hash, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ data[i]) * 0x100000001b3ULL;
    }
    return hash;
}

/* Takes from the 'len' bytes at 'data' what joins ask for. */
static void
brief_of(const uint8_t *data, size_t len, struct assemble_brief *brief)
{
    struct hdr h;
    uint64_t flow = 0xcbf29ce484222325ULL, src = flow, dst = flow;

    *brief = (struct assemble_brief){.is_known = true};
    hdr_parse(data, len, &h);
    if (h.l3_ofs) {
        const uint8_t *l3 = data + h.l3_ofs;

        if (h.is_ip4 && len >= h.l3_ofs + 20u) {
            flow = mix(flow, l3 + 12, 8);
            src = mix(src, l3 + 12, 4);
            dst = mix(dst, l3 + 16, 4);
            brief->has_ttl = true;
        } else if (h.is_ip6 && len >= h.l3_ofs + 40u) {
            flow = mix(flow, l3 + 8, 32);
            src = mix(src, l3 + 8, 16);
            dst = mix(dst, l3 + 24, 16);
            brief->has_ttl = true;
        } else if (h.is_arp && len >= h.l3_ofs + 28u) {
            flow = mix(flow, l3 + 8, 20);
        }
        brief->ttl = h.ttl;
    }
    if (h.l4_ofs) {
        uint8_t ports[4] = {(uint8_t) (h.src_port >> 8), (uint8_t) h.src_port,
                            (uint8_t) (h.dst_port >> 8), (uint8_t) h.dst_port};

        flow = mix(flow, ports, sizeof ports);
        src = mix(src, ports, 2);
        dst = mix(dst, ports + 2, 2);
    }
    brief->flow = flow;
    brief->src = src;
    brief->dst = dst;
}

const struct assemble_brief *
assemble_header_of_card(struct assembler *a, int card)
{
    struct assemble_card *c = &a->cards[card];

    if (!c->brief.is_known) {
        brief_of(c->p->header, c->p->caplen, &c->brief);
    }
    return &c->brief;
}

bool
assemble_header_is_equal(const struct postcard *p, const struct postcard *q)
{
    return p->caplen == q->caplen &&
           (!p->caplen || !memcmp(p->header, q->header, p->caplen));
}

/* Which output of 'rule' leads to 'port', counted from 0; -1 when none. */
static int
output_index(const struct rule *rule, uint32_t port)
{
    int n = 0;

    for (size_t i = 0; i < rule->n_steps; i++) {
        if (rule->steps[i].type == STEP_OUTPUT) {
            if (rule->steps[i].port == port) {
                return n;
            }
            n++;
        }
    }
    return -1;
}

/* The same, for a postcard whose port the rule may name otherwise. */
static int
output_index_of_out(const struct assembler *a, const struct rule *rule,
                    const struct assemble_out *out)
{
    int n = output_index(rule, out->port);

    if (n < 0 && out->port == a->cards[out->card].in_port) {
        n = output_index(rule, OF_PORT_IN_PORT);
    }
    if (n < 0) {
        n = output_index(rule, OF_PORT_ALL);
    }
    return n < 0 ? output_index(rule, OF_PORT_UNKNOWN) : n;
}

static void
compute_out(struct assembler *a, struct assemble_out *out)
{
    const struct assemble_card *card;
    const struct rule *rule;
    size_t size;
    int n;

    out->state = ASSEMBLE_HEADER_UNKNOWN;
    if (out->card < 0) {
        return;
    }
    card = &a->cards[out->card];
    if (card->p->visit) {
        assemble_whole_compute_out(a, out);
        a->n_bytes +=
            out->state == ASSEMBLE_HEADER_KNOWN ? out->header_len : 0;
        return;
    }
    rule = card->rule;
    size = (size_t) card->p->caplen + MAX_GROWTH;
    if (!assemble_scratch_grow(a, (void **) &a->bytes, &a->allocated_bytes,
                               a->n_bytes + size, 1)) {
        return;
    }
    out->header_ofs = a->n_bytes;
    if (card->flags & POSTCARD_AFTER && !out->is_expected) {
        if (card->p->caplen) {
            memcpy(a->bytes + a->n_bytes, card->p->header, card->p->caplen);
        }
        out->header_len = card->p->caplen;
        out->state = ASSEMBLE_HEADER_KNOWN;
    } else if (rule && card->p->caplen) {
        n = output_index_of_out(a, rule, out);
        if (n >= 0) {
            switch (rule_apply(rule, (size_t) n, card->p->header,
                               card->p->caplen, a->bytes + a->n_bytes, size,
                               &out->header_len)) {
            case RULE_APPLY_OK:
                out->state = ASSEMBLE_HEADER_KNOWN;
                break;
            case RULE_APPLY_TTL:
                out->state = ASSEMBLE_HEADER_TTL;
                break;
            case RULE_APPLY_UNKNOWN:
                break;
            }
        }
    }
    if (out->state == ASSEMBLE_HEADER_KNOWN) {
        a->n_bytes += out->header_len;
    }
}

struct assemble_out *
assemble_header_of_out(struct assembler *a, int o)
{
    struct assemble_out *out = &a->outs[o];

    if (out->state == ASSEMBLE_HEADER_UNASKED) {
        compute_out(a, out);
    }
    return out;
}

static const struct assemble_brief *
brief_of_out(struct assembler *a, struct assemble_out *out)
{
    if (!out->brief.is_known) {
        if (out->state == ASSEMBLE_HEADER_KNOWN) {
            brief_of(a->bytes + out->header_ofs, out->header_len, &out->brief);
        } else if (out->card >= 0) {
            out->brief = *assemble_header_of_card(a, out->card);
        } else {
            out->brief.is_known = true;
        }
    }
    return &out->brief;
}

/* True when tables before the one that captured 'card' may have edited it, so
 * that it need not look as it did on the link. */
static bool
may_be_edited(const struct assemble_card *card)
{
    if (card->p->visit) {
        return card->flags & POSTCARD_CONTINUED;
    }
    return card->flags & POSTCARD_AFTER || !card->rule ||
           card->rule->kind == RULE_GROUP || card->rule->table_id > 0;
}

bool
assemble_header_fall(struct assembler *a, int o, int v, int *fallp,
                     bool *same_flowp)
{
    struct assemble_out *out = assemble_header_of_out(a, o);
    const struct assemble_brief *sent, *seen;
    const struct assemble_card *card;
    int fall, slack;

    *fallp = 0;
    *same_flowp = true;
    if (out->state == ASSEMBLE_HEADER_TTL) {
        return false;
    }
    if (a->visits[v].rep < 0 || out->card < 0) {
        return true;
    }
    card = &a->cards[a->visits[v].rep];
    sent = brief_of_out(a, out);
    seen = assemble_header_of_card(a, a->visits[v].rep);
    *same_flowp = sent->flow == seen->flow;
    if (sent->has_ttl && seen->has_ttl) {
        /* A rule that is not known may take one, so may earlier tables. */
        slack = (out->state == ASSEMBLE_HEADER_KNOWN ? 0 : 1) +
                (may_be_edited(card) ? 1 : 0);
        fall = (int) sent->ttl - (int) seen->ttl;
        if (fall < 0) {
            return false;
        }
        *fallp = fall > slack ? fall - slack : 0;
    }
    return true;
}

/* True when source or destination is what the output sent. */
static bool
has_same_end(struct assembler *a, int o, int v)
{
    const struct assemble_brief *sent = brief_of_out(a, &a->outs[o]);
    const struct assemble_brief *seen =
        assemble_header_of_card(a, a->visits[v].rep);

    return sent->src == seen->src || sent->dst == seen->dst;
}

enum assemble_fit
assemble_header_fit(struct assembler *a, int o, int v)
{
    /* In the place of a destination MAC that the encapsulation lost. */
    static const uint8_t no_mac[6];
    struct assemble_out *out = assemble_header_of_out(a, o);
    const struct assemble_card *card;
    bool same_flow;
    int fall;

    if (out->state == ASSEMBLE_HEADER_KNOWN && a->visits[v].rep >= 0) {
        const struct postcard *p = a->cards[a->visits[v].rep].p;
        size_t len = out->header_len < p->caplen ? out->header_len : p->caplen;
        size_t skip = len >= 6 && !memcmp(p->header, no_mac, 6) ? 6 : 0;

        if (!len || !memcmp(a->bytes + out->header_ofs + skip,
                            p->header + skip, len - skip)) {
            return ASSEMBLE_FIT_EXACT;
        }
    }
    if (!assemble_header_fall(a, o, v, &fall, &same_flow)) {
        return ASSEMBLE_FIT_NO;
    }
    if (a->visits[v].rep < 0 || out->card < 0) {
        return ASSEMBLE_FIT_EDITED;
    }
    card = &a->cards[a->visits[v].rep];
    if (!same_flow && out->state == ASSEMBLE_HEADER_KNOWN &&
        !may_be_edited(card)) {
        return ASSEMBLE_FIT_NO;
    }
    if (fall > 0) {
        return ASSEMBLE_FIT_LATER;
    }
    if (same_flow) {
        return ASSEMBLE_FIT_FLOW;
    }
    return has_same_end(a, o, v) ? ASSEMBLE_FIT_ONE_END : ASSEMBLE_FIT_EDITED;
}
