/* SPDX-License-Identifier: Apache-2.0 */
/* history_text - the packet history as people read it: the backtrace. */
#include <config.h>
#include "lib/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/hdr.h"
#include "lib/hop_time.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"
#include "lib/time_spec.h"

/* What is carried through the writing of one history. */
struct writer {
    const struct history *h;
    const struct history_text_options *options;
    struct text_line line;
    size_t *n_children; /* Of each hop. */
    int *depth;         /* Of each hop: ancestors with several children. */
    uint64_t first_ns;
    size_t first;  /* Of hop_time_first(). */
    bool is_alone; /* One hop is written, not the whole. */
};

enum text_style
history_verdict_style(enum verdict_name name)
{
    switch (name) {
    case VERDICT_DELIVERED:
        return TEXT_GREEN;
    case VERDICT_CONTROLLER:
        return TEXT_CYAN;
    case VERDICT_OPEN:
        return TEXT_YELLOW;
    case VERDICT_LOST:
        return TEXT_MAGENTA;
    case VERDICT_DROPPED:
    case VERDICT_LOOPED:
        return TEXT_RED;
    case VERDICT_NONE:
    default:
        return TEXT_PLAIN;
    }
}

/* --- names ----------------------------------------------------------------
 */

static void
put_switch(struct writer *w, enum text_style style, uint64_t dpid)
{
    char text[DPID_BUFSIZE];

    text_line_put(&w->line, style, "%s",
                  topology_switch_text(w->options->topology, dpid, text));
}

static void
put_port(struct writer *w, uint64_t dpid, uint32_t no)
{
    const struct topology *t = w->options->topology;
    const struct topology_port *port = t ? topology_port(t, dpid, no) : NULL;

    if (no == OF_PORT_UNKNOWN) {
        text_line_put(&w->line, TEXT_PLAIN, "?");
    } else if (of_port_name(no)) {
        text_line_put(&w->line, TEXT_PLAIN, "%s", of_port_name(no));
    } else {
        text_line_put(&w->line, TEXT_PLAIN, "%" PRIu32, no);
        if (port && port->name) {
            text_line_put(&w->line, TEXT_PLAIN, " (%s)", port->name);
        }
    }
}

static void
put_ports(struct writer *w, uint64_t dpid, const uint32_t *ports, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_line_put(&w->line, TEXT_PLAIN, "%s", i ? ", " : "");
        put_port(w, dpid, ports[i]);
    }
}

/* --- verdicts --------------------------------------------------------------
 */

/* Where a lost packet was sent to, if a link is known. */
static void
put_far_end(struct writer *w, const struct verdict *v)
{
    const struct topology *t = w->options->topology;
    uint64_t peer_dpid;
    uint32_t peer_port;

    if (t && topology_peer(t, v->dpid, v->port, &peer_dpid, &peer_port)) {
        text_line_put(&w->line, TEXT_PLAIN, " on the link to ");
        put_switch(w, TEXT_PLAIN, peer_dpid);
        text_line_put(&w->line, TEXT_PLAIN, " port ");
        put_port(w, peer_dpid, peer_port);
    }
}

/* "dropped at s3 by v12: no output"; a leaf's own line has the place
 * already. */
static void
put_verdict(struct writer *w, const struct verdict *v, bool with_place)
{
    text_line_put(&w->line, history_verdict_style(v->name), "%s",
                  verdict_name_string(v->name));
    if (with_place) {
        text_line_put(&w->line, TEXT_PLAIN, " at ");
        put_switch(w, TEXT_BOLD, v->dpid);
        if (v->port != OF_PORT_UNKNOWN) {
            text_line_put(&w->line, TEXT_PLAIN, " port ");
            put_port(w, v->dpid, v->port);
        }
    }
    if (v->name == VERDICT_LOST) {
        put_far_end(w, v);
    }
    if (v->has_version && v->name == VERDICT_DROPPED) {
        text_line_put(&w->line, TEXT_PLAIN, " by v%" PRIu32, v->version);
    }
    if (v->reason) {
        text_line_put(&w->line, TEXT_PLAIN, ": %s", v->reason);
    }
    if (v->evidence == EVIDENCE_UNCERTAIN) {
        text_line_put(&w->line, TEXT_PLAIN,
                      " (uncertain: postcards are missing too)");
    }
}

/* --- headers ---------------------------------------------------------------
 */

/* Begins a line that belongs to hop 'i'. */
static void
begin_detail(struct writer *w, size_t i)
{
    text_line_put(&w->line, TEXT_PLAIN, "%*s", 6 + 4 * w->depth[i], "");
}

/* Says what differs between two captures, if something does. */
static void
put_changes(struct writer *w, size_t i, const char *who, const uint8_t *a,
            size_t a_len, const uint8_t *b, size_t b_len)
{
    char text[1024];

    if (hdr_format_diff(a, a_len, b, b_len, text, sizeof text)) {
        begin_detail(w, i);
        text_line_put(&w->line, TEXT_YELLOW, "%s: %s", who, text);
        text_line_end(&w->line);
    }
}

/* What happened to the header at hop 'i': by tables that the packet passed
 * before the rule that emitted the postcard, and by that rule. */
static void
put_header_changes(struct writer *w, size_t i)
{
    const struct history_hop *hop = &w->h->hops[i];
    const struct history_hop *parent =
        hop->parent < 0 ? NULL : &w->h->hops[hop->parent];

    if (!hop->caplen) {
        return;
    }
    if (parent && parent->has_header_out && !hop->has_gap_before) {
        put_changes(w, i, hop->is_after ? "changed here" : "earlier tables",
                    parent->header_out, parent->header_out_len, hop->header,
                    hop->caplen);
    } else if (parent && parent->caplen) {
        put_changes(w, i, "changed since the hop before", parent->header,
                    parent->caplen, hop->header, hop->caplen);
    }
    if (hop->has_header_out) {
        put_changes(w, i, "this rule", hop->header, hop->caplen,
                    hop->header_out, hop->header_out_len);
    }
}

static void
put_header_bytes(struct writer *w, size_t i)
{
    const struct history_hop *hop = &w->h->hops[i];

    for (size_t ofs = 0; ofs < hop->caplen; ofs += 16) {
        begin_detail(w, i);
        text_line_put(&w->line, TEXT_DIM, "%04zx ", ofs);
        for (size_t j = ofs; j < hop->caplen && j < ofs + 16; j++) {
            text_line_put(&w->line, TEXT_DIM, "%s%02x", j % 2 ? "" : " ",
                          hop->header[j]);
        }
        text_line_end(&w->line);
    }
}

/* One line about the packet, as it was at hop 'i'. */
static void
put_packet(struct writer *w, size_t i)
{
    const struct history_hop *hop = &w->h->hops[i];
    char text[512];

    if (hop->caplen &&
        hdr_format(hop->header, hop->caplen, text, sizeof text)) {
        char *named = w->options->packet_text
                          ? w->options->packet_text(w->options->aux, text)
                          : NULL;

        begin_detail(w, i);
        text_line_put(&w->line, TEXT_BLUE, "%s", named ? named : text);
        text_line_end(&w->line);
        free(named);
    }
}

/* --- hops ------------------------------------------------------------------
 */

/* The rules that matched, one text line or more for each. */
static void
put_rules(struct writer *w, size_t i)
{
    const struct history_hop *hop = &w->h->hops[i];

    for (size_t j = 0; w->options->rule_text && j < hop->n_versions; j++) {
        char *text = w->options->rule_text(w->options->aux, hop->dpid,
                                           hop->versions[j]);
        char *rest = text;

        begin_detail(w, i);
        text_line_put(&w->line, TEXT_DIM, "v%" PRIu32 ": ", hop->versions[j]);
        if (!text) {
            text_line_put(&w->line, TEXT_DIM, "the rule is not known");
        }
        for (char *part; (part = strsep(&rest, "\n"));) {
            if (part != text) {
                text_line_end(&w->line);
                begin_detail(w, i);
            }
            text_line_put(&w->line, TEXT_DIM, "%s", part);
        }
        text_line_end(&w->line);
        free(text);
    }
}

static void
put_versions(struct writer *w, const struct history_hop *hop)
{
    text_line_put(&w->line, TEXT_PLAIN, "%s", hop->n_versions ? "  [" : "");
    for (size_t i = 0; i < hop->n_versions; i++) {
        text_line_put(&w->line, TEXT_PLAIN, "%sv%" PRIu32, i ? " " : "",
                      hop->versions[i]);
    }
    text_line_put(&w->line, TEXT_PLAIN, "%s", hop->n_versions ? "]" : "");
}

/* How long after the first postcard this hop's came. */
static void
put_delay(struct writer *w, size_t i)
{
    struct hop_time t =
        hop_time_between(w->h, w->first, i, w->options->topology);
    char text[HOP_TIME_BUFSIZE];

    if (t.is_there && (t.after_ns || t.is_across)) {
        text_line_put(&w->line, TEXT_DIM, "  %s", hop_time_format(&t, text));
    }
}

/* True when hop 'i' is one of several that its parent led to. */
static bool
is_branch(const struct writer *w, size_t i)
{
    int parent = w->h->hops[i].parent;

    return parent >= 0 && w->n_children[parent] > 1;
}

/* "  #1 s2  in 1 (eth1)  out 2 (eth2)  [v7]  +12 us" */
static void
put_hop_line(struct writer *w, size_t i)
{
    const struct history_hop *hop = &w->h->hops[i];

    text_line_put(&w->line, TEXT_BOLD, "%c%*s#%zu ",
                  (int) i == w->options->current ? '*' : ' ',
                  4 * w->depth[i] + 1, is_branch(w, i) ? "- " : "", i);
    put_switch(w, TEXT_BOLD, hop->dpid);
    if (hop->is_packet_out) {
        text_line_put(&w->line, TEXT_CYAN, "  packet-out");
    }
    if (!hop->is_packet_out || hop->in_port != OF_PORT_UNKNOWN) {
        text_line_put(&w->line, TEXT_PLAIN, "  in ");
        put_port(w, hop->dpid, hop->in_port);
    }
    if (hop->n_out) {
        text_line_put(&w->line, TEXT_PLAIN, "  out ");
        put_ports(w, hop->dpid, hop->out_ports, hop->n_out);
    } else if (!hop->is_deduced) {
        text_line_put(&w->line, TEXT_PLAIN, "  no output");
    }
    if (hop->n_branches) {
        text_line_put(&w->line, TEXT_PLAIN, " {");
        put_ports(w, hop->dpid, hop->branches, hop->n_branches);
        text_line_put(&w->line, TEXT_PLAIN, "}");
    }
    put_versions(w, hop);
    put_delay(w, i);
    if (hop->is_deduced) {
        text_line_put(&w->line, TEXT_YELLOW, "  deduced: no postcard");
    }
    text_line_end(&w->line);
}

static void
put_verdict_line(struct writer *w, size_t i, const char *what,
                 const struct verdict *v, bool with_place)
{
    begin_detail(w, i);
    text_line_put(&w->line, TEXT_PLAIN, "%s", what);
    put_verdict(w, v, with_place);
    text_line_end(&w->line);
}

/* The fate of the packet at hop 'i', or of the copies of it that ended there
 * while others went on. */
static void
put_fate(struct writer *w, size_t i)
{
    const struct topology *t = w->options->topology;
    const struct history_hop *hop = &w->h->hops[i];
    const struct verdict *v = &hop->verdict;
    bool went_on = w->n_children[i] > 0;

    for (size_t j = 0; t && went_on && j < hop->n_out; j++) {
        struct verdict delivered = {
            .name = VERDICT_DELIVERED,
            .dpid = hop->dpid,
            .port = hop->out_ports[j],
        };

        if (topology_is_edge(t, hop->dpid, delivered.port) &&
            (v->name == VERDICT_NONE || v->port != delivered.port)) {
            put_verdict_line(w, i, "=> one copy ", &delivered, true);
        }
    }
    if (v->name != VERDICT_NONE) {
        put_verdict_line(w, i, went_on ? "=> one copy " : "=> ", v,
                         went_on || v->dpid != hop->dpid);
    }
}

static void
put_hop(struct writer *w, size_t i)
{
    const struct history_hop *hop = &w->h->hops[i];

    if (hop->has_gap_before) {
        text_line_put(&w->line, TEXT_YELLOW,
                      "%*s... postcards are missing here", 4 * w->depth[i] + 2,
                      "");
        text_line_end(&w->line);
    }
    put_hop_line(w, i);
    if (hop->parent < 0 || w->is_alone) {
        put_packet(w, i);
    }
    put_rules(w, i);
    put_header_changes(w, i);
    if (w->options->full) {
        put_header_bytes(w, i);
    }
    put_fate(w, i);
}

/* --- the whole --------------------------------------------------------------
 */

static void
put_headline(struct writer *w)
{
    const struct history *h = w->h;
    char when[TIME_SPEC_BUFSIZE];

    text_line_put(&w->line, TEXT_BOLD, "packet ");
    if (h->has_packet_id) {
        text_line_put(&w->line, TEXT_BOLD, "%016" PRIx64, h->packet_id);
    } else {
        text_line_put(&w->line, TEXT_BOLD, "without ID");
    }
    if (w->first_ns) {
        char *text = w->options->time_text
                         ? w->options->time_text(w->options->aux, w->first_ns)
                         : NULL;

        time_spec_format(w->first_ns, w->options->utc, 6, when);
        text_line_put(&w->line, TEXT_PLAIN, "  %s", text ? text : when);
        free(text);
    }
    text_line_put(&w->line, TEXT_PLAIN, "  ");
    if (h->verdict.name != VERDICT_NONE) {
        put_verdict(w, &h->verdict, true);
    } else {
        text_line_put(&w->line, TEXT_PLAIN, "no verdict");
    }
    text_line_end(&w->line);
}

static void
put_tunnel(struct writer *w, const char *how, uint64_t packet_id)
{
    if (packet_id) {
        text_line_put(&w->line, TEXT_CYAN, "  %s packet %016" PRIx64, how,
                      packet_id);
        text_line_end(&w->line);
    }
}

/* Counts children, then sets the depths.  Parents stand before children. */
static void
measure(struct writer *w)
{
    const struct history *h = w->h;

    for (size_t i = 0; i < h->n_hops; i++) {
        if (h->hops[i].parent >= 0) {
            w->n_children[h->hops[i].parent]++;
        }
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        int parent = h->hops[i].parent;

        w->depth[i] = parent < 0 ? 0 : w->depth[parent] + is_branch(w, i);
    }
}

static struct writer
begin(const struct history *h, const struct history_text_options *options,
      FILE *stream)
{
    struct writer w = {
        .h = h,
        .options = options,
        .line = {.stream = stream,
                 .color = options->color,
                 .width = options->width},
        .n_children = lh_alloc_zero(h->n_hops * sizeof *w.n_children),
        .depth = lh_alloc_zero(h->n_hops * sizeof *w.depth),
        .first_ns = history_first_ns(h),
        .first = hop_time_first(h, options->topology),
    };

    measure(&w);
    return w;
}

static void
end(struct writer *w)
{
    text_line_uninit(&w->line);
    free(w->n_children);
    free(w->depth);
}

void
history_to_text(const struct history *h,
                const struct history_text_options *options, FILE *stream)
{
    struct writer w = begin(h, options, stream);

    put_headline(&w);
    put_tunnel(&w, "carries", h->carries);
    put_tunnel(&w, "carried by", h->carried_by);
    for (size_t i = 0; i < h->n_hops; i++) {
        put_hop(&w, i);
    }
    end(&w);
}

void
history_hop_to_text(const struct history *h, size_t i,
                    const struct history_text_options *options, FILE *stream)
{
    struct writer w = begin(h, options, stream);

    w.depth[i] = 0;
    w.is_alone = true;
    put_hop(&w, i);
    end(&w);
}
