/* SPDX-License-Identifier: Apache-2.0 */
/* app_view - parts of a history as short texts with names. */
#include <config.h>
#include "apps/app_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* --- the way ------------------------------------------------------------- */

/* The first child of hop 'i', or -1.  Children stand behind their parents. */
static int
first_child(const struct history *h, size_t i)
{
    for (size_t j = i + 1; j < h->n_hops; j++) {
        if (h->hops[j].parent == (int) i) {
            return (int) j;
        }
    }
    return -1;
}

/* The hops of the way through 'i', for free(). */
static size_t *
collect_way(const struct history *h, size_t i, size_t *n, size_t *n_before)
{
    size_t *way = lh_alloc_array(NULL, h->n_hops + 1, sizeof *way);
    int hop;

    *n_before = 0;
    for (hop = h->hops[i].parent; hop >= 0; hop = h->hops[hop].parent) {
        (*n_before)++;
    }
    *n = *n_before;
    hop = h->hops[i].parent;
    for (size_t at = *n_before; hop >= 0; hop = h->hops[hop].parent) {
        way[--at] = (size_t) hop;
    }
    for (hop = (int) i; hop >= 0; hop = first_child(h, (size_t) hop)) {
        way[(*n)++] = (size_t) hop;
    }
    return way;
}

size_t
app_view_path_length(const struct history *h, size_t i, size_t *n_before)
{
    size_t n;

    free(collect_way(h, i, &n, n_before));
    return n;
}

char *
app_view_path(const struct app_names *names, const struct history *h, size_t i)
{
    size_t n, n_before, size;
    size_t *way = collect_way(h, i, &n, &n_before);
    char *text = NULL, buf[APP_NAMES_BUFSIZE];
    FILE *out = open_memstream(&text, &size);

    for (size_t j = 0; j < n; j++) {
        const struct history_hop *hop = &h->hops[way[j]];

        fprintf(out, "%s%s%s", j ? " > " : "",
                hop->has_gap_before ? ".. > " : "",
                app_names_switch(names, hop->dpid, buf));
    }
    fclose(out);
    free(way);
    return text;
}

/* --- verdicts and hops --------------------------------------------------- */

char *
app_view_verdict(const struct app_names *names, const struct verdict *v)
{
    char *text = NULL, buf[APP_NAMES_BUFSIZE];
    size_t size;
    FILE *out;

    if (v->name == VERDICT_NONE) {
        return lh_strdup("no verdict");
    }
    out = open_memstream(&text, &size);
    fprintf(out, "%s at %s", verdict_name_string(v->name),
            app_names_switch(names, v->dpid, buf));
    if (v->port != OF_PORT_UNKNOWN &&
        (v->name == VERDICT_DELIVERED || v->name == VERDICT_LOST)) {
        fprintf(out, " port %s", app_names_port(names, v->dpid, v->port, buf));
    }
    if (v->has_version) {
        fprintf(out, " by v%" PRIu32, v->version);
    }
    if (v->reason) {
        fprintf(out, ": %s", v->reason);
    }
    if (v->evidence != EVIDENCE_NONE) {
        fprintf(out, " (%s evidence)",
                v->evidence == EVIDENCE_COMPLETE ? "complete" : "uncertain");
    }
    fclose(out);
    return text;
}

char *
app_view_packet(const struct app_names *names, const struct history_hop *hop)
{
    char text[512] = "";

    if (hop->caplen) {
        hdr_format(hop->header, hop->caplen, text, sizeof text);
    }
    return app_names_in_text(names, text);
}

char *
app_view_outputs(const struct app_names *names, const struct history_hop *hop)
{
    char *text = NULL, buf[APP_NAMES_BUFSIZE];
    size_t size;
    FILE *out;

    if (!hop->n_out) {
        return lh_strdup("DROP");
    }
    out = open_memstream(&text, &size);
    for (size_t i = 0; i < hop->n_out; i++) {
        fprintf(out, "%s%s", i ? "," : "",
                app_names_port(names, hop->dpid, hop->out_ports[i], buf));
    }
    fclose(out);
    return text;
}

char *
app_view_versions(const struct history_hop *hop)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    for (size_t i = 0; i < hop->n_versions; i++) {
        fprintf(out, "%s%" PRIu32, i ? "," : "", hop->versions[i]);
    }
    fclose(out);
    return text;
}

uint32_t
app_view_length(const struct history_hop *hop)
{
    uint32_t len = hop->caplen, own;
    struct hdr hdr;

    if (!hop->caplen) {
        return 0;
    }
    hdr_parse(hop->header, hop->caplen, &hdr);
    own = hdr_has_l3(&hdr) ? hdr.l3_ofs + hdr.own_len : 0;
    return own > len ? own : len;
}
