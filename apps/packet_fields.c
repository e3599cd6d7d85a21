/* SPDX-License-Identifier: Apache-2.0 */
/* packet_fields - the header fields of a captured packet, each with its
 * place. */
#include <config.h>
#include "apps/packet_fields.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"

struct finder {
    const uint8_t *data;
    size_t len;
    size_t n;
    struct packet_field *fields;
};

/* How bytes are written. */
enum form { MAC, IP4, IP6, NUMBER, HEX };

/* One more field, with the value to be filled in; NULL when it was not
 * captured. */
static struct packet_field *
add(struct finder *f, const char *name, size_t ofs, size_t len)
{
    struct packet_field *field = &f->fields[f->n];

    if (f->n == PACKET_FIELDS_MAX || ofs > f->len || len > f->len - ofs) {
        return NULL;
    }
    f->n++;
    snprintf(field->name, sizeof field->name, "%s", name);
    field->ofs = ofs;
    field->len = len;
    field->value[0] = '\0';
    return field;
}

static void put(struct finder *, const char *name, size_t ofs, size_t len,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

static void
put(struct finder *f, const char *name, size_t ofs, size_t len,
    const char *format, ...)
{
    struct packet_field *field = add(f, name, ofs, len);
    va_list args;

    if (field) {
        va_start(args, format);
        vsnprintf(field->value, sizeof field->value, format, args);
        va_end(args);
    }
}

static uint64_t
number(const struct finder *f, size_t ofs, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len && ofs + i < f->len; i++) {
        value = value << 8 | f->data[ofs + i];
    }
    return value;
}

static void
take(struct finder *f, const char *name, size_t ofs, size_t len,
     enum form form)
{
    struct packet_field *field = add(f, name, ofs, len);
    const uint8_t *p = f->data + ofs;

    if (!field) {
        return;
    }
    switch (form) {
    case MAC:
        snprintf(field->value, sizeof field->value,
                 "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4],
                 p[5]);
        break;
    case IP4:
        inet_ntop(AF_INET, p, field->value, sizeof field->value);
        break;
    case IP6:
        inet_ntop(AF_INET6, p, field->value, sizeof field->value);
        break;
    case NUMBER:
        snprintf(field->value, sizeof field->value, "%" PRIu64,
                 number(f, ofs, len));
        break;
    case HEX:
        snprintf(field->value, sizeof field->value, "0x%0*" PRIx64,
                 (int) (2 * len), number(f, ofs, len));
        break;
    }
}

/* --- layers -------------------------------------------------------------- */

static void
find_eth(struct finder *f, const struct hdr *h)
{
    take(f, "eth.dst", 0, 6, MAC);
    take(f, "eth.src", 6, 6, MAC);
    for (size_t i = 0; i < h->n_tags; i++) {
        size_t ofs = 14 + 4 * i;
        unsigned int tci = h->tci[i];

        put(f, i ? "vlan2.id" : "vlan.id", ofs, 2, "%u", tci & 0xfff);
        put(f, i ? "vlan2.pcp" : "vlan.pcp", ofs, 2, "%u", tci >> 13);
    }
    take(f, "eth.type", 12 + 4 * (size_t) h->n_tags, 2, HEX);
    for (size_t i = 0; i < h->n_labels; i++) {
        size_t ofs = 14 + 4 * ((size_t) h->n_tags + i);

        put(f, i ? "mpls2.label" : "mpls.label", ofs, 3, "%u",
            (unsigned) (h->label[i] >> 12));
        put(f, i ? "mpls2.ttl" : "mpls.ttl", ofs + 3, 1, "%u",
            (unsigned) (h->label[i] & 0xff));
        if (i) {
            break; /* Two have names. */
        }
    }
}

static void
find_l3(struct finder *f, const struct hdr *h)
{
    size_t o = h->l3_ofs;

    if (h->is_arp) {
        take(f, "arp.hw", o, 2, NUMBER);
        take(f, "arp.op", o + 6, 2, NUMBER);
        take(f, "arp.sha", o + 8, 6, MAC);
        take(f, "arp.spa", o + 14, 4, IP4);
        take(f, "arp.tha", o + 18, 6, MAC);
        take(f, "arp.tpa", o + 24, 4, IP4);
    } else if (h->is_ip4) {
        put(f, "ip.ver", o, 1, "4");
        put(f, "ip.dscp", o + 1, 1, "%u", h->tos >> 2);
        put(f, "ip.ecn", o + 1, 1, "%u", h->tos & 3);
        take(f, "ip.len", o + 2, 2, NUMBER);
        take(f, "ip.id", o + 4, 2, HEX);
        put(f, "ip.frag", o + 6, 2, "%u%s", h->frag_ofs,
            h->more_frags ? "+" : "");
        take(f, "ip.ttl", o + 8, 1, NUMBER);
        take(f, "ip.proto", o + 9, 1, NUMBER);
        take(f, "ip.sum", o + 10, 2, HEX);
        take(f, "ip.src", o + 12, 4, IP4);
        take(f, "ip.dst", o + 16, 4, IP4);
    } else if (h->is_ip6) {
        put(f, "ip6.ver", o, 1, "6");
        put(f, "ip6.dscp", o, 2, "%u", h->tos >> 2);
        put(f, "ip6.label", o + 1, 3, "0x%05" PRIx64,
            number(f, o + 1, 3) & 0xfffff);
        take(f, "ip6.len", o + 4, 2, NUMBER);
        take(f, "ip6.next", o + 6, 1, NUMBER);
        take(f, "ip6.hops", o + 7, 1, NUMBER);
        take(f, "ip6.src", o + 8, 16, IP6);
        take(f, "ip6.dst", o + 24, 16, IP6);
    }
}

static void
find_tcp(struct finder *f, const struct hdr *h)
{
    static const char letters[] = "FSRPAUEC";
    size_t o = h->l4_ofs, n = 0;
    char flags[sizeof letters] = "";

    for (size_t i = 0; letters[i]; i++) {
        if (h->tcp_flags >> i & 1) {
            flags[n++] = letters[i];
        }
    }
    flags[n] = '\0';
    take(f, "tcp.src", o, 2, NUMBER);
    take(f, "tcp.dst", o + 2, 2, NUMBER);
    take(f, "tcp.seq", o + 4, 4, NUMBER);
    take(f, "tcp.ack", o + 8, 4, NUMBER);
    put(f, "tcp.flags", o + 13, 1, "%s", n ? flags : "none");
    take(f, "tcp.window", o + 14, 2, NUMBER);
    take(f, "tcp.sum", o + 16, 2, HEX);
}

static void
find_l4(struct finder *f, const struct hdr *h)
{
    size_t o = h->l4_ofs;

    if (!o) {
        return;
    }
    switch (h->ip_proto) {
    case HDR_IP_TCP:
        find_tcp(f, h);
        break;
    case HDR_IP_UDP:
        take(f, "udp.src", o, 2, NUMBER);
        take(f, "udp.dst", o + 2, 2, NUMBER);
        take(f, "udp.len", o + 4, 2, NUMBER);
        take(f, "udp.sum", o + 6, 2, HEX);
        break;
    case HDR_IP_SCTP:
        take(f, "sctp.src", o, 2, NUMBER);
        take(f, "sctp.dst", o + 2, 2, NUMBER);
        take(f, "sctp.tag", o + 4, 4, HEX);
        break;
    case HDR_IP_ICMP:
    case HDR_IP_ICMP6:
        take(f, "icmp.type", o, 1, NUMBER);
        take(f, "icmp.code", o + 1, 1, NUMBER);
        take(f, "icmp.sum", o + 2, 2, HEX);
        break;
    default:
        break;
    }
}

size_t
packet_fields_find(const uint8_t *data, size_t len,
                   struct packet_field fields[PACKET_FIELDS_MAX])
{
    struct finder f = {.data = data, .len = len, .fields = fields};
    struct hdr h;

    hdr_parse(data, len, &h);
    find_eth(&f, &h);
    if (hdr_has_l3(&h)) {
        find_l3(&f, &h);
        find_l4(&f, &h);
    }
    if (h.payload_ofs && h.payload_ofs < len) {
        put(&f, "payload", h.payload_ofs, len - h.payload_ofs, "%zu bytes",
            len - h.payload_ofs);
    }
    return f.n;
}

const struct packet_field *
packet_fields_named(const struct packet_field *fields, size_t n,
                    const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}
