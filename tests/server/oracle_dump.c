/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_dump - packets, their postcards and what was made of them, for a
 * person who looks for what is wrong. */
#include <config.h>

#include <stdio.h>

#include "tests/server/oracle_check.h"

static void
dump(const struct history *h, const char *title)
{
    fprintf(stderr, "%s: %s\n", title, verdict_name_string(h->verdict.name));
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        fprintf(stderr, "  #%zu <- %d s%d in %u%s%s%s time %llu ttl %u out", i,
                hop->parent, (int) hop->dpid, hop->in_port,
                hop->is_packet_out ? " packet-out" : "",
                hop->is_deduced ? " deduced" : "",
                hop->has_gap_before ? " gap" : "",
                (unsigned long long) hop->time_ns,
                hop->caplen > 22 ? hop->header[22] : 0);
        for (size_t k = 0; k < hop->n_out; k++) {
            fprintf(stderr, " %u", hop->out_ports[k]);
        }
        fprintf(stderr, " v");
        for (size_t k = 0; k < hop->n_versions; k++) {
            fprintf(stderr, " %u", hop->versions[k]);
        }
        fprintf(stderr, " %s %s\n", verdict_name_string(hop->verdict.name),
                hop->verdict.reason ? hop->verdict.reason : "");
    }
}

void
oracle_check_dump(const struct oracle_check *c)
{
    for (size_t p = 0; p < c->n_packets; p++) {
        const struct oracle_packet *packet = c->packets[p];

        dump(packet->truth, "truth");
        for (size_t i = 0; i < packet->n_cards; i++) {
            const struct oracle_card *card = &packet->cards[i];

            fprintf(stderr,
                    "  card of %d s%d in %u out %u v%u time %llu%s%s\n",
                    card->hop, (int) card->p.dpid, card->p.in_port,
                    card->p.out_port, card->p.version,
                    (unsigned long long) card->p.time_ns,
                    card->is_lost ? " lost" : "",
                    card->is_double ? " double" : "");
            fprintf(stderr, "    ");
            for (size_t b = 0; b < card->p.caplen; b++) {
                fprintf(stderr, "%02x%s", card->p.header[b],
                        b == 13 || b == 33 ? " " : "");
            }
            fprintf(stderr, "\n");
        }
    }
    for (size_t i = 0; i < c->n_histories; i++) {
        dump(c->histories[i], "assembled");
    }
}
