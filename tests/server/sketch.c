/* SPDX-License-Identifier: Apache-2.0 */
/* sketch - a small network and postcards, written down by hand, for tests. */
#include <config.h>
#include "tests/server/sketch.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/of_port.h"
#include "tests/lib/frame.h"

void
sketch_init(struct sketch *sketch)
{
    struct topology_builder *b = topology_builder_create();

    memset(sketch, 0, sizeof *sketch);
    topology_builder_add_switch(b, 1, "s1", 1, NULL);
    topology_builder_add_switch(b, 2, "s2", 2, NULL);
    topology_builder_add_switch(b, 3, "s3", 3, NULL);
    topology_builder_add_port(b, 1, 1, NULL, true);
    topology_builder_add_port(b, 1, 2, NULL, true);
    topology_builder_add_port(b, 2, 3, NULL, true);
    topology_builder_add_port(b, 3, 3, NULL, true);
    topology_builder_add_port(b, 1, 8, NULL, false);
    topology_builder_add_port(b, 1, 9, NULL, true);
    topology_builder_set_port_down(b, 1, 9, true);
    topology_builder_add_link(b, 1, 4, 2, 1);
    topology_builder_add_link(b, 2, 2, 3, 1);
    topology_builder_add_link(b, 1, 5, 3, 2);
    sketch->topology = topology_build(b, 1);
    sketch->assembler = assembler_create();
}

static void
drop_histories(struct sketch *sketch)
{
    for (size_t i = 0; i < sketch->result.n_histories; i++) {
        history_destroy(sketch->result.histories[i]);
    }
    sketch->result.n_histories = 0;
}

void
sketch_uninit(struct sketch *sketch)
{
    drop_histories(sketch);
    for (size_t i = 0; i < sketch->n_rules; i++) {
        rule_unref(sketch->rules[i]);
    }
    for (size_t i = 0; i < sketch->n_cards; i++) {
        free(sketch->cards[i]);
    }
    topology_unref(sketch->topology);
    assembler_destroy(sketch->assembler);
}

struct rule *
sketch_rule(struct sketch *sketch, uint64_t dpid, uint32_t version, size_t n,
            ...)
{
    struct rule *rule = rule_create();
    va_list ports;

    ck_assert_uint_lt(sketch->n_rules, SKETCH_MAX_RULES);
    rule->dpid = dpid;
    rule->version = version;
    rule->is_instrumented = true;
    va_start(ports, n);
    for (size_t i = 0; i < n; i++) {
        rule_add_output(rule, va_arg(ports, uint32_t));
    }
    va_end(ports);
    sketch->rules[sketch->n_rules++] = rule;
    return rule;
}

struct postcard *
sketch_card(struct sketch *sketch, uint64_t dpid, uint32_t in_port,
            uint32_t out_port, uint32_t version, uint8_t ttl, uint64_t time_us)
{
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct postcard p = {
        .dpid = dpid,
        .packet_id = 7,
        .has_id = true,
        .time_ns = SKETCH_T0 + time_us * 1000,
        .version = version,
        .version_bits = 32,
        .in_port = in_port,
        .out_port = out_port,
    };

    ck_assert_uint_lt(sketch->n_cards, SKETCH_MAX_CARDS);
    frame_ip4(&f, HDR_IP_UDP, ttl, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 4000, 53);
    frame_text(&f, "question");
    frame_finish(&f);
    p.header = f.data;
    p.caplen = (uint16_t) f.len;
    sketch->cards[sketch->n_cards] = postcard_clone(&p);
    return sketch->cards[sketch->n_cards++];
}

const struct rule *
sketch_find_rule(void *sketch_, uint64_t dpid, uint32_t version)
{
    const struct sketch *sketch = sketch_;

    for (size_t i = 0; i < sketch->n_rules; i++) {
        if (sketch->rules[i]->dpid == dpid &&
            sketch->rules[i]->version == version) {
            return sketch->rules[i];
        }
    }
    return NULL;
}

bool
sketch_has_lossless(void *sketch, uint64_t dpid, uint64_t from_ns,
                    uint64_t to_ns)
{
    return ((struct sketch *) sketch)->is_lossless;
}

static bool
is_silent(void *sketch, uint64_t dpid)
{
    return dpid == ((struct sketch *) sketch)->silent_dpid;
}

static bool
is_capped(void *sketch, uint64_t dpid)
{
    const struct sketch *s = sketch;

    return dpid == s->silent_dpid && s->is_capped;
}

const struct assemble_result *
sketch_assemble(struct sketch *sketch)
{
    static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
    const struct postcard *cards[SKETCH_MAX_CARDS];
    struct assemble_env env = {
        .topology = sketch->topology,
        .id_config = &id_config,
        .find_rule = sketch_find_rule,
        .has_lossless = sketch_has_lossless,
        .is_silent = is_silent,
        .is_capped = is_capped,
        .aux = sketch,
    };

    drop_histories(sketch);
    for (size_t i = 0; i < sketch->n_cards; i++) {
        cards[i] = sketch->cards[i];
    }
    ck_assert_int_eq(assemble(sketch->assembler, &env, cards, sketch->n_cards,
                              ASSEMBLE_PARTIAL, &sketch->result),
                     0);
    return &sketch->result;
}

static void
put_hop(const struct history *h, size_t i, char *text, size_t size)
{
    const struct history_hop *hop = &h->hops[i];
    size_t n_children = 0;
    size_t len = strlen(text);

#define PUT(...) len += (size_t) snprintf(text + len, size - len, __VA_ARGS__)
    PUT("%s%s%s%d.", hop->is_deduced ? "~" : "",
        hop->has_gap_before ? "|" : "", hop->is_packet_out ? "!" : "",
        (int) hop->dpid);
    if (hop->in_port == OF_PORT_UNKNOWN) {
        PUT("?>");
    } else {
        PUT("%u>", hop->in_port);
    }
    for (size_t k = 0; k < hop->n_out; k++) {
        const char *name = of_port_name(hop->out_ports[k]);

        if (name) {
            PUT("%s%s", k ? "," : "", name);
        } else {
            PUT("%s%u", k ? "," : "", hop->out_ports[k]);
        }
    }
    for (size_t k = 0; k < h->n_hops; k++) {
        if (h->hops[k].parent == (int) i) {
            PUT("%s", n_children++ ? " " : " (");
            put_hop(h, k, text, size);
            len = strlen(text);
        }
    }
    if (n_children) {
        PUT(")");
    }
#undef PUT
}

const char *
sketch_tree(const struct history *h)
{
    static char text[1024];

    text[0] = '\0';
    for (size_t i = 0; i < h->n_hops; i++) {
        if (h->hops[i].parent < 0) {
            put_hop(h, i, text, sizeof text);
        }
    }
    return text;
}
