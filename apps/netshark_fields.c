/* SPDX-License-Identifier: Apache-2.0 */
/* netshark_fields - chosen fields of histories, for scripts and tables. */
#include <config.h>
#include "apps/netshark.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_view.h"
#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/hop_time.h"
#include "lib/lh_alloc.h"
#include "lib/nearest.h"
#include "lib/of_port.h"
#include "lib/text_buf.h"

/* What a field is taken from. */
struct context {
    struct netshark *shark;
    const struct history *h;
    size_t i;              /* The hop; 0 for fields of the history. */
    const uint8_t *header; /* Of the hop. */
    struct hdr hdr;        /* Of 'header'. */
};

struct netshark_field {
    const char *name;
    const char *help;
    void (*put)(const struct context *, FILE *);
};

static const struct history_hop *
hop_of(const struct context *c)
{
    return &c->h->hops[c->i];
}

static void
put_owned(FILE *out, char *text)
{
    fputs(text, out);
    free(text);
}

/* --- of the history ------------------------------------------------------ */

static void
put_packet_id(const struct context *c, FILE *out)
{
    if (c->h->has_packet_id) {
        fprintf(out, "%016" PRIx64, c->h->packet_id);
    }
}

static void
put_time_of(const struct context *c, uint64_t ns, FILE *out)
{
    char buf[TIME_SPEC_BUFSIZE];

    fputs(ns ? app_format_time(c->shark->app, ns, buf) : "", out);
}

static void
put_time(const struct context *c, FILE *out)
{
    put_time_of(c, history_first_ns(c->h), out);
}

static void
put_time_ns(const struct context *c, FILE *out)
{
    fprintf(out, "%" PRIu64, history_first_ns(c->h));
}

/* --- of time between hops -------------------------------------------------
 */

static const struct topology *
topology_of(const struct context *c)
{
    return app_names_topology(c->shark->names);
}

static void
put_span(struct hop_time t, FILE *out)
{
    if (t.is_there) {
        fprintf(out, "%" PRId64, t.after_ns);
    }
}

/* Nothing where two clocks could not be compared. */
static void
put_error(struct hop_time t, FILE *out)
{
    if (t.is_there && (!t.is_across || t.is_compared)) {
        fprintf(out, "%" PRIu64, t.error_ns);
    }
}

static struct hop_time
duration_of(const struct context *c)
{
    struct hop_time t = hop_time_duration(c->h, topology_of(c));

    t.is_there = true; /* A single hop takes no time. */
    return t;
}

static void
put_duration_ns(const struct context *c, FILE *out)
{
    put_span(duration_of(c), out);
}

static void
put_duration_error_ns(const struct context *c, FILE *out)
{
    put_error(duration_of(c), out);
}

/* After the first hop, which is 0 after itself. */
static struct hop_time
after_of(const struct context *c)
{
    size_t first = hop_time_first(c->h, topology_of(c));
    struct hop_time t = hop_time_between(c->h, first, c->i, topology_of(c));

    t.is_there |= first == c->i;
    return t;
}

static void
put_hop_after_ns(const struct context *c, FILE *out)
{
    put_span(after_of(c), out);
}

static void
put_hop_after_error_ns(const struct context *c, FILE *out)
{
    put_error(after_of(c), out);
}

static void
put_hop_latency_ns(const struct context *c, FILE *out)
{
    put_span(hop_time_latency(c->h, c->i, topology_of(c)), out);
}

static void
put_hop_latency_error_ns(const struct context *c, FILE *out)
{
    put_error(hop_time_latency(c->h, c->i, topology_of(c)), out);
}

/* --- of the history, but for time -----------------------------------------
 */

static void
put_length(const struct context *c, FILE *out)
{
    fprintf(out, "%zu", c->h->n_hops);
}

static void
put_path(const struct context *c, FILE *out)
{
    put_owned(out, app_view_path(c->shark->names, c->h, c->i));
}

static void
put_verdict_name(const struct context *c, FILE *out)
{
    if (c->h->verdict.name != VERDICT_NONE) {
        fputs(verdict_name_string(c->h->verdict.name), out);
    }
}

static void
put_verdict_text(const struct context *c, FILE *out)
{
    put_owned(out, app_view_verdict(c->shark->names, &c->h->verdict));
}

static void
put_verdict_switch(const struct context *c, FILE *out)
{
    char buf[APP_NAMES_BUFSIZE];

    if (c->h->verdict.name != VERDICT_NONE) {
        fputs(app_names_switch(c->shark->names, c->h->verdict.dpid, buf), out);
    }
}

static void
put_verdict_version(const struct context *c, FILE *out)
{
    if (c->h->verdict.has_version) {
        fprintf(out, "%" PRIu32, c->h->verdict.version);
    }
}

static void
put_verdict_reason(const struct context *c, FILE *out)
{
    fputs(c->h->verdict.reason ? c->h->verdict.reason : "", out);
}

/* --- of the packet ------------------------------------------------------- */

static void
put_packet(const struct context *c, FILE *out)
{
    put_owned(out, app_view_packet(c->shark->names, hop_of(c)));
}

static void
put_frame_len(const struct context *c, FILE *out)
{
    fprintf(out, "%" PRIu32, app_view_length(hop_of(c)));
}

static void
put_header(const struct context *c, FILE *out)
{
    const struct history_hop *hop = hop_of(c);
    char *hex = lh_alloc(2 * (size_t) hop->caplen + 1);

    bytes_to_hex(hop->header, hop->caplen, hex);
    put_owned(out, hex);
}

static void
put_address(const struct context *c, const char *address, FILE *out)
{
    const char *name = app_names_host(c->shark->names, address);

    fputs(name ? name : address, out);
}

static void
put_mac(const struct context *c, size_t ofs, FILE *out)
{
    char text[32] = "";
    struct text_buf t = text_buf(text, sizeof text);

    if (hop_of(c)->caplen >= ofs + 6) {
        text_buf_put_mac(&t, c->header + ofs);
        put_address(c, text, out);
    }
}

static void
put_eth_dst(const struct context *c, FILE *out)
{
    put_mac(c, 0, out);
}

static void
put_eth_src(const struct context *c, FILE *out)
{
    put_mac(c, 6, out);
}

static void
put_eth_type(const struct context *c, FILE *out)
{
    if (hop_of(c)->caplen) {
        fprintf(out, "0x%04x", c->hdr.eth_type);
    }
}

static void
put_vlan(const struct context *c, FILE *out)
{
    if (c->hdr.n_tags) {
        fprintf(out, "%u", c->hdr.tci[0] & 0xfff);
    }
}

static void
put_ip(const struct context *c, size_t ip4_ofs, size_t ip6_ofs, FILE *out)
{
    char text[64] = "";
    struct text_buf t = text_buf(text, sizeof text);

    if (c->hdr.is_ip4) {
        text_buf_put_ip4(&t, c->header + c->hdr.l3_ofs + ip4_ofs);
    } else if (c->hdr.is_ip6) {
        text_buf_put_ip6(&t, c->header + c->hdr.l3_ofs + ip6_ofs);
    }
    put_address(c, text, out);
}

static void
put_ip_src(const struct context *c, FILE *out)
{
    put_ip(c, 12, 8, out);
}

static void
put_ip_dst(const struct context *c, FILE *out)
{
    put_ip(c, 16, 24, out);
}

static void
put_ip_proto(const struct context *c, FILE *out)
{
    if (c->hdr.is_ip4 || c->hdr.is_ip6) {
        fprintf(out, "%u", c->hdr.ip_proto);
    }
}

static void
put_ip_ttl(const struct context *c, FILE *out)
{
    if (c->hdr.is_ip4 || c->hdr.is_ip6) {
        fprintf(out, "%u", c->hdr.ttl);
    }
}

static bool
has_ports(const struct context *c)
{
    return c->hdr.l4_ofs &&
           (c->hdr.ip_proto == HDR_IP_TCP || c->hdr.ip_proto == HDR_IP_UDP ||
            c->hdr.ip_proto == HDR_IP_SCTP);
}

static void
put_tp_src(const struct context *c, FILE *out)
{
    if (has_ports(c)) {
        fprintf(out, "%u", c->hdr.src_port);
    }
}

static void
put_tp_dst(const struct context *c, FILE *out)
{
    if (has_ports(c)) {
        fprintf(out, "%u", c->hdr.dst_port);
    }
}

/* --- of a hop ------------------------------------------------------------ */

static void
put_hop_n(const struct context *c, FILE *out)
{
    fprintf(out, "%zu", c->i);
}

static void
put_hop_switch(const struct context *c, FILE *out)
{
    char buf[APP_NAMES_BUFSIZE];

    fputs(app_names_switch(c->shark->names, hop_of(c)->dpid, buf), out);
}

static void
put_hop_dpid(const struct context *c, FILE *out)
{
    fprintf(out, "%016" PRIx64, hop_of(c)->dpid);
}

static void
put_hop_in(const struct context *c, FILE *out)
{
    const struct history_hop *hop = hop_of(c);
    char buf[APP_NAMES_BUFSIZE];

    fputs(hop->is_packet_out && hop->in_port == OF_PORT_UNKNOWN
              ? "packet-out"
              : app_names_port(c->shark->names, hop->dpid, hop->in_port, buf),
          out);
}

static void
put_hop_out(const struct context *c, FILE *out)
{
    put_owned(out, app_view_outputs(c->shark->names, hop_of(c)));
}

static void
put_hop_version(const struct context *c, FILE *out)
{
    put_owned(out, app_view_versions(hop_of(c)));
}

static void
put_hop_rule(const struct context *c, FILE *out)
{
    const struct history_hop *hop = hop_of(c);

    for (size_t i = 0; i < hop->n_versions; i++) {
        const char *text =
            app_rules_text(c->shark->rules, hop->dpid, hop->versions[i]);

        fprintf(out, "%s%s", i ? "; " : "", text ? text : "?");
    }
}

static void
put_hop_time(const struct context *c, FILE *out)
{
    put_time_of(c, hop_of(c)->time_ns, out);
}

static void
put_hop_time_ns(const struct context *c, FILE *out)
{
    fprintf(out, "%" PRIu64, hop_of(c)->time_ns);
}

static void
put_hop_verdict(const struct context *c, FILE *out)
{
    const struct verdict *v = &hop_of(c)->verdict;

    if (v->name != VERDICT_NONE) {
        put_owned(out, app_view_verdict(c->shark->names, v));
    }
}

/* --- all of them --------------------------------------------------------- */

static const struct netshark_field fields[] = {
    {"packet_id", "16 hex digits, the same at all hops", put_packet_id},
    {"time", "of the first hop, as --time-format wants it", put_time},
    {"time_ns", "the same in nanoseconds since the epoch", put_time_ns},
    {"duration_ns",
     "from the first to the last hop, corrected as hop.after_ns",
     put_duration_ns},
    {"duration_error_ns", "how wrong that is at most, as hop.after_error_ns",
     put_duration_error_ns},
    {"length", "how many hops the history has", put_length},
    {"path", "the switches on the way: s1 > s2 > s3", put_path},
    {"verdict", "delivered, dropped, lost, looped, controller or open",
     put_verdict_name},
    {"verdict.text", "the verdict in words", put_verdict_text},
    {"verdict.switch", "where it was decided", put_verdict_switch},
    {"verdict.version", "the rule that dropped it", put_verdict_version},
    {"verdict.reason", "why, in words", put_verdict_reason},
    {"packet", "a line about the packet at that hop", put_packet},
    {"frame.len", "bytes on the wire, as far as its header tells",
     put_frame_len},
    {"header", "the captured bytes in hex", put_header},
    {"eth.src", "source MAC", put_eth_src},
    {"eth.dst", "destination MAC", put_eth_dst},
    {"eth.type", "EtherType", put_eth_type},
    {"vlan", "VLAN ID of the outer tag", put_vlan},
    {"ip.src", "source address, IPv4 or IPv6", put_ip_src},
    {"ip.dst", "destination address", put_ip_dst},
    {"ip.proto", "protocol number", put_ip_proto},
    {"ip.ttl", "TTL or hop limit", put_ip_ttl},
    {"tp.src", "source port of TCP, UDP or SCTP", put_tp_src},
    {"tp.dst", "destination port", put_tp_dst},
    {"hop.n", "number of the hop, from 0", put_hop_n},
    {"hop.switch", "name of the switch", put_hop_switch},
    {"hop.dpid", "its datapath ID", put_hop_dpid},
    {"hop.in", "the port it came in at", put_hop_in},
    {"hop.out", "the ports it went out of", put_hop_out},
    {"hop.version", "the rules that matched", put_hop_version},
    {"hop.rule", "what they say", put_hop_rule},
    {"hop.time", "when it was there", put_hop_time},
    {"hop.time_ns", "the same in nanoseconds since the epoch",
     put_hop_time_ns},
    {"hop.after_ns",
     "how long after the first hop, corrected by how far clocks are apart",
     put_hop_after_ns},
    {"hop.after_error_ns",
     "how wrong that is at most; 0: one clock, nothing: not known",
     put_hop_after_error_ns},
    {"hop.latency_ns", "how long after the hop before, in the same way",
     put_hop_latency_ns},
    {"hop.latency_error_ns", "how wrong that is at most",
     put_hop_latency_error_ns},
    {"hop.verdict", "of a hop at which it ended", put_hop_verdict},
};

#define N_FIELDS_KNOWN (sizeof fields / sizeof *fields)

static bool
is_of_hop(const struct netshark_field *field)
{
    return !strncmp(field->name, "hop.", 4);
}

int
netshark_fields_add(struct netshark *shark, const char *name,
                    struct lh_error *error)
{
    struct nearest nearest = nearest_init(name);

    for (size_t i = 0; i < N_FIELDS_KNOWN; i++) {
        if (!strcmp(fields[i].name, name)) {
            shark->fields =
                lh_alloc_grow(shark->fields, shark->n_fields,
                              &shark->allocated_fields, sizeof *shark->fields);
            shark->fields[shark->n_fields++] = &fields[i];
            return 0;
        }
        nearest_try(&nearest, fields[i].name);
    }
    if (nearest_name(&nearest)) {
        lh_error_set(error, "there is no field \"%s\"; is \"%s\" meant?", name,
                     nearest_name(&nearest));
    } else {
        lh_error_set(error,
                     "there is no field \"%s\"; --list-fields lists "
                     "them",
                     name);
    }
    return EINVAL;
}

void
netshark_fields_put_header(struct netshark *shark)
{
    for (size_t i = 0; i < shark->n_fields; i++) {
        fprintf(shark->out, "%s%s", i ? shark->separator : "",
                shark->fields[i]->name);
    }
    fputc('\n', shark->out);
}

static void
put_line(struct netshark *shark, const struct history *h, size_t hop)
{
    struct context c = {.shark = shark, .h = h, .i = hop};

    c.header = h->hops[hop].header;
    if (h->hops[hop].caplen) {
        hdr_parse(c.header, h->hops[hop].caplen, &c.hdr);
    }
    for (size_t i = 0; i < shark->n_fields; i++) {
        fputs(i ? shark->separator : "", shark->out);
        shark->fields[i]->put(&c, shark->out);
    }
    fputc('\n', shark->out);
}

void
netshark_fields_put(struct netshark *shark, const struct history *h)
{
    bool has_hops = false;

    for (size_t i = 0; i < shark->n_fields; i++) {
        has_hops |= is_of_hop(shark->fields[i]);
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        if (has_hops ? netshark_shows_hop(shark, h, i) : !i) {
            put_line(shark, h, i);
        }
    }
}

void
netshark_fields_list(FILE *out)
{
    for (size_t i = 0; i < N_FIELDS_KNOWN; i++) {
        fprintf(out, "%-20s %s\n", fields[i].name, fields[i].help);
    }
}

void
netshark_fields_document(FILE *out)
{
    fputs(".Bl -tag -width hop.latency_error_ns -compact\n", out);
    for (size_t i = 0; i < N_FIELDS_KNOWN; i++) {
        fprintf(out, ".It Va %s\n%s\n", fields[i].name, fields[i].help);
    }
    fputs(".El\n", out);
}
