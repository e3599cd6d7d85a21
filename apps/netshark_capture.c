/* SPDX-License-Identifier: Apache-2.0 */
/* netshark_capture - histories as pcapng: docs/formats/pcapng.md. */
#include <config.h>
#include "apps/netshark.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_view.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/pcapng.h"

/* An interface: a port of a switch. */
struct side {
    uint64_t dpid;
    uint32_t port;
};

struct netshark_capture {
    struct byte_buf buf;
    size_t n_sides, allocated_sides;
    struct side *sides; /* In order of their numbers.  Owned. */
};

static void
flush(struct netshark *shark)
{
    struct byte_buf *buf = &shark->capture->buf;

    fwrite(buf->data, 1, buf->len, shark->out);
    byte_buf_clear(buf);
}

void
netshark_capture_begin(struct netshark *shark, const char *filter)
{
    char *comment = lh_asprintf("packet history filter: %s", filter);

    shark->capture = lh_alloc_zero(sizeof *shark->capture);
    pcapng_put_section(&shark->capture->buf, "netshark " PACKAGE_VERSION,
                       comment);
    free(comment);
    flush(shark);
}

void
netshark_capture_end(struct netshark *shark)
{
    if (shark->capture) {
        byte_buf_uninit(&shark->capture->buf);
        free(shark->capture->sides);
        free(shark->capture);
        shark->capture = NULL;
    }
}

/* --- interfaces ---------------------------------------------------------- */

/* The number of the interface of 'port', which is described when it is seen
 * first. */
static uint32_t
interface_of(struct netshark *shark, uint64_t dpid, uint32_t port)
{
    struct netshark_capture *capture = shark->capture;
    char sw[APP_NAMES_BUFSIZE], name[APP_NAMES_BUFSIZE];
    char *text, *description;
    size_t i = 0;

    while (i < capture->n_sides && (capture->sides[i].dpid != dpid ||
                                    capture->sides[i].port != port)) {
        i++;
    }
    if (i < capture->n_sides) {
        return (uint32_t) i;
    }
    capture->sides =
        lh_alloc_grow(capture->sides, capture->n_sides,
                      &capture->allocated_sides, sizeof *capture->sides);
    capture->sides[capture->n_sides++] = (struct side){dpid, port};
    text = lh_asprintf("%s:%s", app_names_switch(shark->names, dpid, sw),
                       app_names_port(shark->names, dpid, port, name));
    description =
        port == OF_PORT_UNKNOWN
            ? lh_asprintf(
                  "switch %016" PRIx64 ", port not known or packet-out", dpid)
            : lh_asprintf("switch %016" PRIx64 ", port %" PRIu32, dpid, port);
    pcapng_put_interface(&capture->buf, text, description);
    free(description);
    free(text);
    return (uint32_t) i;
}

/* --- packets ------------------------------------------------------------- */

/* Writes "key: value", without the newlines a value may hold. */
static void
put_line(FILE *out, const char *key, const char *value)
{
    fprintf(out, "%s: ", key);
    for (; *value; value++) {
        fputc((unsigned char) *value < ' ' ? ' ' : *value, out);
    }
    fputc('\n', out);
}

static void
put_owned(FILE *out, const char *key, char *value)
{
    put_line(out, key, value);
    free(value);
}

static void
put_rules(struct netshark *shark, FILE *out, const struct history_hop *hop)
{
    for (size_t i = 0; i < hop->n_versions; i++) {
        const char *text =
            app_rules_text(shark->rules, hop->dpid, hop->versions[i]);

        put_owned(out, "rule",
                  lh_asprintf("v%" PRIu32 " %s", hop->versions[i],
                              text ? text : "(not known)"));
    }
}

/* What plain Wireshark shows as the packet's comment, and the dissector
 * reads. */
static char *
make_comment(struct netshark *shark, const struct history *h, size_t i)
{
    const struct history_hop *hop = &h->hops[i];
    char buf[APP_NAMES_BUFSIZE], *text = NULL;
    size_t size, n_before, n = app_view_path_length(h, i, &n_before);
    FILE *out = open_memstream(&text, &size);

    fputs("lasthop 1\n", out);
    if (h->has_packet_id) {
        fprintf(out, "packet: %016" PRIx64 "\n", h->packet_id);
    }
    fprintf(out, "hop: %zu\nlength: %zu\n", n_before, n);
    put_line(out, "switch", app_names_switch(shark->names, hop->dpid, buf));
    put_line(out, "in",
             hop->is_packet_out && hop->in_port == OF_PORT_UNKNOWN
                 ? "packet-out"
                 : app_names_port(shark->names, hop->dpid, hop->in_port, buf));
    put_owned(out, "out", app_view_outputs(shark->names, hop));
    put_owned(out, "version", app_view_versions(hop));
    put_owned(out, "path", app_view_path(shark->names, h, i));
    put_owned(out, "verdict", app_view_verdict(shark->names, &h->verdict));
    put_rules(shark, out, hop);
    fclose(out);
    /* Without the last newline. */
    text[strlen(text) - 1] = '\0';
    return text;
}

static void
put_hop(struct netshark *shark, const struct history *h, size_t i)
{
    const struct history_hop *hop = &h->hops[i];
    bool is_out = hop->is_after && hop->n_out;
    uint32_t port = is_out ? hop->out_ports[0] : hop->in_port;
    char *comment = make_comment(shark, h, i);
    struct pcapng_packet packet = {
        .interface = interface_of(shark, hop->dpid, port),
        /* A hop that was deduced has no time of its own. */
        .time_ns = hop->time_ns ? hop->time_ns : history_first_ns(h),
        .data = hop->header,
        .caplen = hop->caplen,
        .len = app_view_length(hop),
        .direction = is_out ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
        .has_packet_id = h->has_packet_id,
        .packet_id = h->packet_id,
        .comment = comment,
    };

    pcapng_put_packet(&shark->capture->buf, &packet);
    free(comment);
}

void
netshark_capture_put(struct netshark *shark, const struct history *h)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        if (netshark_shows_hop(shark, h, i)) {
            put_hop(shark, h, i);
        }
    }
    flush(shark);
}
