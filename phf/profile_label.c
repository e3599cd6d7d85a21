/* SPDX-License-Identifier: Apache-2.0 */
/* profile_label - what a row of a profile is at one level. */
#include <config.h>

#include "phf/profile_label.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/bytes.h"
#include "lib/dpid.h"
#include "lib/hdr.h"
#include "lib/jmember.h"
#include "lib/of_port.h"
#include "lib/text_buf.h"
#include "phf/profile_tree.h"

/* --- Order -------------------------------------------------------------- */

static int
compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int
compare_link(const struct profile_link *a, const struct profile_link *b)
{
    int order = compare_u64(a->dpid, b->dpid);

    order = order ? order : compare_u64(a->port, b->port);
    return order ? order : compare_u64(a->is_in, b->is_in);
}

static int
compare_way(const struct profile_way *a, const struct profile_way *b,
            enum profile_level level)
{
    int order;

    if (level == PROFILE_BY_INGRESS) {
        order = compare_u64(a->dpid, b->dpid);
        return order ? order : compare_u64(a->in_port, b->in_port);
    }
    order = compare_u64(a->n, b->n);
    for (uint32_t i = 0; i < a->n && !order; i++) {
        order = compare_u64(a->dpids[i], b->dpids[i]);
    }
    return order;
}

/* Bytes of addresses and ports that belong to a level. */
static void
slice(const struct profile_key *key, enum profile_level level, size_t *ofs,
      size_t *n)
{
    *ofs = level == PROFILE_BY_DST ? key->n_addr : 0;
    *n = level == PROFILE_BY_FLOW    ? sizeof key->flow
         : level == PROFILE_BY_HOSTS ? (size_t) 2 * key->n_addr
                                     : key->n_addr;
}

int
profile_label_compare(const struct profile_table *table,
                      enum profile_level level, const struct profile_key *a,
                      const struct profile_key *b)
{
    size_t ofs, n;
    int order;

    if (level == PROFILE_BY_LINK) {
        return a->link == b->link ? 0
                                  : compare_link(&table->links[a->link],
                                                 &table->links[b->link]);
    }
    if (level == PROFILE_BY_INGRESS || level == PROFILE_BY_PATH) {
        return a->way == b->way ? 0
                                : compare_way(&table->ways[a->way],
                                              &table->ways[b->way], level);
    }
    order = compare_u64(a->n_addr, b->n_addr);
    if (!order && level == PROFILE_BY_FLOW) {
        order = compare_u64(a->proto, b->proto);
        order = order ? order : compare_u64(a->has_ports, b->has_ports);
    }
    slice(a, level, &ofs, &n);
    return order ? order : memcmp(a->flow.bytes + ofs, b->flow.bytes + ofs, n);
}

uint64_t
profile_label_hash(const struct profile_table *table, enum profile_level level,
                   const struct profile_key *key)
{
    uint64_t words[2] = {0, 0};
    size_t ofs, n;

    if (level == PROFILE_BY_PATH) {
        const struct profile_way *way = &table->ways[key->way];

        return XXH3_64bits(way->dpids, way->n * sizeof *way->dpids);
    }
    if (level == PROFILE_BY_LINK) {
        const struct profile_link *link = &table->links[key->link];

        words[0] = link->dpid;
        words[1] = (uint64_t) link->is_in << 32 | link->port;
    } else if (level == PROFILE_BY_INGRESS) {
        words[0] = table->ways[key->way].dpid;
        words[1] = table->ways[key->way].in_port;
    } else {
        slice(key, level, &ofs, &n);
        words[0] = XXH3_64bits(key->flow.bytes + ofs, n);
        words[1] = level == PROFILE_BY_FLOW ? key->proto : 0;
    }
    return XXH3_64bits(words, sizeof words);
}

/* --- Names -------------------------------------------------------------- */

static void
put_switch(struct text_buf *t, uint64_t dpid, const struct topology *topology)
{
    char text[DPID_BUFSIZE];

    text_buf_put(t, "%s", topology_switch_text(topology, dpid, text));
}

static void
put_address(struct text_buf *t, const struct profile_key *key, bool is_dst)
{
    const uint8_t *p = key->flow.bytes + (is_dst ? key->n_addr : 0);

    switch (key->n_addr) {
    case 4:
        text_buf_put_ip4(t, p);
        break;
    case 6:
        text_buf_put_mac(t, p);
        break;
    case 16:
        text_buf_put_ip6(t, p);
        break;
    default:
        text_buf_put(t, "others");
        break;
    }
}

static const char *
proto_name(const struct profile_key *key, char buf[16])
{
    static const struct {
        bool is_ether;
        uint16_t proto;
        const char *name;
    } names[] = {
        {false, HDR_IP_TCP, "tcp"},
        {false, HDR_IP_UDP, "udp"},
        {false, HDR_IP_ICMP, "icmp"},
        {false, HDR_IP_ICMP6, "icmp6"},
        {false, HDR_IP_SCTP, "sctp"},
        {false, HDR_IP_GRE, "gre"},
        {false, 0, "ip"},
        {true, HDR_ETH_ARP, "arp"},
        {true, 0x88cc, "lldp"},
        {true, HDR_ETH_MPLS, "mpls"},
    };
    struct text_buf t = text_buf(buf, 16);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].is_ether == (key->n_addr == 6) &&
            names[i].proto == key->proto) {
            return names[i].name;
        }
    }
    text_buf_put(&t, key->n_addr == 6 ? "0x%04x" : "ip-%u", key->proto);
    return buf;
}

/* Whether the four bytes behind the addresses are ports. */
static bool
has_l4_ports(const struct profile_key *key)
{
    return key->has_ports && key->proto != HDR_IP_ICMP &&
           key->proto != HDR_IP_ICMP6;
}

/* "10.0.0.1:4321 > 10.0.0.2:80 tcp" */
static void
put_flow(struct text_buf *t, const struct profile_key *key)
{
    const uint8_t *ports = key->flow.bytes + 2 * key->n_addr;
    bool has_ports = has_l4_ports(key);
    char buf[16];

    for (int i = 0; i < 2; i++) {
        text_buf_put(t, "%s%s", i ? " > " : "",
                     has_ports && key->n_addr == 16 ? "[" : "");
        put_address(t, key, i);
        if (has_ports) {
            text_buf_put(t, "%s:%u", key->n_addr == 16 ? "]" : "",
                         bytes_be16(ports + 2 * i));
        }
    }
    text_buf_put(t, " %s", proto_name(key, buf));
    if (key->has_ports && !has_ports) {
        text_buf_put(t, " %u/%u", ports[0], ports[1]);
    }
}

static void
put_path(struct text_buf *t, const struct profile_way *way,
         const struct topology *topology)
{
    for (uint32_t i = 0; i < way->n; i++) {
        if (i) {
            text_buf_put(t, " > ");
        }
        put_switch(t, way->dpids[i], topology);
    }
}

static void
put_name(struct text_buf *t, const struct profile_table *table,
         enum profile_level level, const struct profile_key *key,
         const struct topology *topology)
{
    const struct profile_way *way = &table->ways[key->way];
    struct profile_link in = {way->dpid, way->in_port, true};
    char buf[256];

    switch (level) {
    case PROFILE_BY_LINK:
        text_buf_put(t, "%s",
                     profile_link_name(&table->links[key->link], topology, buf,
                                       sizeof buf));
        break;
    case PROFILE_BY_INGRESS:
        /* Without the arrow. */
        text_buf_put(t, "%s",
                     profile_link_name(&in, topology, buf, sizeof buf) + 3);
        break;
    case PROFILE_BY_PATH:
        put_path(t, way, topology);
        break;
    case PROFILE_BY_SRC:
    case PROFILE_BY_DST:
        put_address(t, key, level == PROFILE_BY_DST);
        break;
    case PROFILE_BY_HOSTS:
    case PROFILE_BY_FLOW:
    case N_PROFILE_LEVELS:
    default:
        if (!key->n_addr) {
            text_buf_put(t, "others");
        } else if (level == PROFILE_BY_FLOW) {
            put_flow(t, key);
        } else {
            put_address(t, key, false);
            text_buf_put(t, " > ");
            put_address(t, key, true);
        }
        break;
    }
}

/* --- Members ------------------------------------------------------------ */

static void
set_port(json_t *o, uint64_t dpid, uint32_t port)
{
    json_object_set_new(o, "dpid", jmember_dpid_new(dpid));
    json_object_set_new(
        o, "port", port == OF_PORT_UNKNOWN ? json_null() : json_integer(port));
}

static void
set_address(json_t *o, const struct profile_key *key, bool is_dst)
{
    char buf[64];
    struct text_buf t = text_buf(buf, sizeof buf);

    put_address(&t, key, is_dst);
    json_object_set_new(o, is_dst ? "dst" : "src", json_string(buf));
}

static void
set_parts(json_t *o, const struct profile_table *table,
          enum profile_level level, const struct profile_key *key)
{
    const struct profile_way *way = &table->ways[key->way];
    char buf[16];

    if (level == PROFILE_BY_LINK) {
        const struct profile_link *link = &table->links[key->link];

        set_port(o, link->dpid, link->port);
        json_object_set_new(o, "direction",
                            json_string(link->is_in ? "in" : "out"));
    } else if (level == PROFILE_BY_INGRESS) {
        set_port(o, way->dpid, way->in_port);
    } else if (level == PROFILE_BY_PATH) {
        json_t *dpids = json_array();

        for (uint32_t i = 0; i < way->n; i++) {
            json_array_append_new(dpids, jmember_dpid_new(way->dpids[i]));
        }
        json_object_set_new(o, "path", dpids);
    } else if (key->n_addr) {
        if (level != PROFILE_BY_DST) {
            set_address(o, key, false);
        }
        if (level != PROFILE_BY_SRC) {
            set_address(o, key, true);
        }
    }
    if (level == PROFILE_BY_FLOW && key->n_addr) {
        json_object_set_new(o, "protocol", json_string(proto_name(key, buf)));
        if (has_l4_ports(key)) {
            const uint8_t *ports = key->flow.bytes + 2 * key->n_addr;

            json_object_set_new(o, "src_port",
                                json_integer(bytes_be16(ports)));
            json_object_set_new(o, "dst_port",
                                json_integer(bytes_be16(ports + 2)));
        }
    }
}

json_t *
profile_label_json(const struct profile_table *table, enum profile_level level,
                   const struct profile_key *key,
                   const struct topology *topology)
{
    json_t *o = json_object();
    char buf[1024];
    struct text_buf t = text_buf(buf, sizeof buf);

    put_name(&t, table, level, key, topology);
    json_object_set_new(o, "by", json_string(profile_level_name(level)));
    json_object_set_new(o, "name", jmember_text_new(buf));
    set_parts(o, table, level, key);
    return o;
}
