/* SPDX-License-Identifier: Apache-2.0 */
/* of_match - what packets a rule is for, whatever the OpenFlow version. */
#include <config.h>
#include "recorder/of_match.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_match_text.h"
#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

/* Of extensible matches. */
#define MATCH_HEAD      4
#define OXM_HEAD        4
#define TEXT_SIZE       512       /* Of most. */
#define OXM_PACKET_TYPE 0x800058u /* Class and field. */
#define VLAN_VID_BITS   0x1fff    /* And whether there is a tag. */

/* True when 'match' matches all packets; the packet type Ethernet does not
 * count, as all our switches have. */
static bool
matches_all(const struct match *match)
{
    static const struct flow none;
    const uint8_t *masks = (const uint8_t *) &match->wc.masks;
    size_t type = offsetof(struct flow, packet_type);
    size_t rest = type + sizeof none.packet_type;

    return (!match->wc.masks.packet_type ||
            match_has_default_packet_type(match)) &&
           !memcmp(masks, &none, type) &&
           !memcmp(masks + rest, (const uint8_t *) &none + rest,
                   sizeof none - rest);
}

/* The match by which others are equal to 'mini', for minimatch_destroy(). */
static void
init_key(struct minimatch *key, const struct minimatch *mini)
{
    struct match match;

    minimatch_expand(mini, &match);
    match.wc.masks.vlans[0].tci = htons(VLAN_VID_BITS);
    minimatch_init(key, &match);
}

/* Equal matches have equal ones. */
static uint32_t
hash_key(const struct of_match *m, uint32_t basis)
{
    struct minimatch key;
    uint32_t hash;

    if (!m->is_untagged) {
        return minimatch_hash(&m->mini, basis);
    }
    init_key(&key, &m->mini);
    hash = minimatch_hash(&key, basis);
    minimatch_destroy(&key);
    return hash;
}

/* Sets the rest of 'm', which is that 'match'. */
static void
complete(struct of_match *m, const struct match *match)
{
    m->is_all = matches_all(match);
    m->has_gbp =
        match->wc.masks.tunnel.gbp_id || match->wc.masks.tunnel.gbp_flags;
    m->is_untagged = !match->flow.vlans[0].tci &&
                     match->wc.masks.vlans[0].tci == htons(UINT16_MAX);
    m->hash = hash_key(m, 0);
}

struct of_match *
of_match_from_ovs(const struct match *original)
{
    struct of_match *m = lh_alloc(sizeof *m);
    struct match match = *original;

    /* Not every way of writing a match says that packets are Ethernet. */
    match_set_default_packet_type(&match);
    match.flow.tunnel.metadata.tab = NULL;
    match.wc.masks.tunnel.metadata.tab = NULL;
    minimatch_init(&m->mini, &match);
    complete(m, &match);
    return m;
}

struct of_match *
of_match_take_mini(struct minimatch *mini)
{
    struct of_match *m;
    struct match match;

    minimatch_expand(mini, &match);
    if (!match_has_default_packet_type(&match) ||
        match.flow.tunnel.metadata.tab || match.wc.masks.tunnel.metadata.tab) {
        m = of_match_from_ovs(&match);
        minimatch_destroy(mini);
        return m;
    }
    m = lh_alloc(sizeof *m);
    m->mini = *mini;
    complete(m, &match);
    return m;
}

void
of_match_expand(const struct of_match *m, struct match *match)
{
    minimatch_expand(&m->mini, match);
}

void
of_match_expand_wire(const struct of_match *m, struct match *match)
{
    of_match_expand(m, match);
    if (match_has_default_packet_type(match)) {
        match->flow.packet_type = 0;
        match->wc.masks.packet_type = 0;
    }
}

size_t
of_match_wire_len(const uint8_t *match, size_t len)
{
    size_t ofs = MATCH_HEAD, end;

    if (len < 8 || of_wire_get16(match) != 1) {
        return 0;
    }
    end = of_wire_get16(match + 2);
    while (ofs + OXM_HEAD <= end && end <= len) {
        if (of_wire_get32(match + ofs) >> 8 == OXM_PACKET_TYPE) {
            return 0;
        }
        ofs += OXM_HEAD + (size_t) match[ofs + 3];
    }
    end = (end + 7) / 8 * 8;
    return (ofs + 7) / 8 * 8 == end && end <= len ? end : 0;
}

struct ofpbuf *
of_match_widen_11(struct ofpbuf *b, const struct of_match *m)
{
    enum { HEAD = 48 };
    struct match match, fixed;
    struct ofp11_match wire;
    struct ofpbuf *wide;
    size_t rest = HEAD + sizeof wire;

    of_match_expand_wire(m, &match);
    ofputil_match_to_ofp11_match(&match, &wire);
    if (!ofputil_match_from_ofp11_match(&wire, &fixed)) {
        /* Like 'match' it says nothing of the packet type, or all. */
        if (match_has_default_packet_type(&fixed)) {
            fixed.flow.packet_type = 0;
            fixed.wc.masks.packet_type = 0;
        }
        if (match_equal(&match, &fixed)) {
            return b;
        }
    }
    wide = ofpbuf_new(b->size + 128);
    ofpbuf_put(wide, b->data, HEAD);
    ofputil_put_ofp11_match(wide, &match, OFPUTIL_P_OF12_OXM);
    ofpbuf_put(wide, (uint8_t *) b->data + rest, b->size - rest);
    ofpbuf_delete(b);
    return wide;
}

struct of_match *
of_match_create_all(void)
{
    struct match match;

    match_init_catchall(&match);
    return of_match_from_ovs(&match);
}

struct of_match *
of_match_create_in_port(uint16_t port)
{
    struct match match;

    match_init_catchall(&match);
    match_set_in_port(&match, of_ovs_port(port));
    return of_match_from_ovs(&match);
}

uint16_t
of_match_in_port(const struct of_match *m)
{
    struct match match;

    minimatch_expand(&m->mini, &match);
    return (uint16_t) match.flow.in_port.ofp_port;
}

struct of_match *
of_match_create_eth(const uint8_t dst[6], uint16_t type)
{
    struct eth_addr mac;
    struct match match;

    memcpy(mac.ea, dst, sizeof mac.ea);
    match_init_catchall(&match);
    match_set_dl_dst(&match, mac);
    match_set_dl_type(&match, htons(type));
    return of_match_from_ovs(&match);
}

struct of_match *
of_match_clone(const struct of_match *m)
{
    struct of_match *copy = lh_alloc(sizeof *copy);

    *copy = *m;
    minimatch_clone(&copy->mini, &m->mini);
    return copy;
}

void
of_match_destroy(struct of_match *m)
{
    if (m) {
        minimatch_destroy(&m->mini);
        free(m);
    }
}

/* The same of two of which one is_untagged. */
static bool
is_same_key(const struct of_match *a, const struct of_match *b)
{
    struct minimatch key_a, key_b;
    bool is_same;

    if (a->is_untagged == b->is_untagged) {
        return false;
    }
    init_key(&key_a, &a->mini);
    init_key(&key_b, &b->mini);
    is_same = minimatch_equal(&key_a, &key_b);
    minimatch_destroy(&key_a);
    minimatch_destroy(&key_b);
    return is_same;
}

bool
of_match_equal(const struct of_match *a, const struct of_match *b)
{
    return a->hash == b->hash &&
           (minimatch_equal(&a->mini, &b->mini) || is_same_key(a, b));
}

uint32_t
of_match_hash(const struct of_match *m)
{
    return m->hash;
}

uint64_t
of_match_hash64(const struct of_match *m)
{
    return (uint64_t) hash_key(m, 0x6c617374) << 32 | m->hash;
}

bool
of_match_is_all(const struct of_match *m)
{
    return m->is_all;
}

bool
of_match_has_gbp(const struct of_match *m)
{
    return m->has_gbp;
}

/* The library lays struct flow out in whole 64-bit words so that it can be
 * compared by them. */
enum { FLOW_WORDS = sizeof(struct flow) / sizeof(uint64_t) };

struct words {
    uint64_t value[FLOW_WORDS];
    uint64_t mask[FLOW_WORDS];
};

static void
get_words(const struct of_match *m, struct words *w)
{
    struct match match;

    minimatch_expand(&m->mini, &match);
    match.flow.tunnel.metadata.tab = NULL;
    match.wc.masks.tunnel.metadata.tab = NULL;
    memcpy(w->value, &match.flow, sizeof w->value);
    memcpy(w->mask, &match.wc.masks, sizeof w->mask);
}

bool
of_match_covers(const struct of_match *wide, const struct of_match *narrow)
{
    struct words w, n;

    if (wide->is_all) {
        return true;
    }
    get_words(wide, &w);
    get_words(narrow, &n);
    for (int i = 0; i < FLOW_WORDS; i++) {
        if (w.mask[i] & ~n.mask[i] || (w.value[i] ^ n.value[i]) & w.mask[i]) {
            return false;
        }
    }
    return true;
}

bool
of_match_overlaps(const struct of_match *a, const struct of_match *b)
{
    struct words x, y;

    if (a->is_all || b->is_all) {
        return true;
    }
    get_words(a, &x);
    get_words(b, &y);
    for (int i = 0; i < FLOW_WORDS; i++) {
        if ((x.value[i] ^ y.value[i]) & x.mask[i] & y.mask[i]) {
            return false;
        }
    }
    return true;
}

char *
of_match_to_text(const struct of_match *m)
{
    struct match match;
    struct ds s = DS_EMPTY_INITIALIZER;
    char *text;

    of_match_expand(m, &match);
    text = of_match_text_plain(&match);
    if (text) {
        return text;
    }
    ds_reserve(&s, TEXT_SIZE); /* Else every part is written twice. */
    match_format(&match, NULL, &s, OFP_DEFAULT_PRIORITY);
    return ds_steal_cstr(&s);
}

/* What a flow may have besides its match, in ovs-ofctl's syntax. */
static const char *const not_match[] = {
    "actions",      "check_overlap", "cookie",           "duration",
    "hard_age",     "hard_timeout",  "idle_age",         "idle_timeout",
    "importance",   "n_bytes",       "n_packets",        "no_byte_counts",
    "out_group",    "out_port",      "no_packet_counts", "priority",
    "reset_counts", "send_flow_rem", "strict",           "table",
};

char *
of_match_from_text(struct of_match **matchp, const char *text)
{
    enum ofputil_protocol usable;
    struct ofputil_flow_mod fm;
    struct match match;
    char *error;

    *matchp = NULL;
    for (const char *p = text; *p; p += strspn(p, ", \t")) {
        size_t len = strcspn(p, "=, \t");

        for (size_t i = 0; i < sizeof not_match / sizeof *not_match; i++) {
            if (len == strlen(not_match[i]) &&
                !strncmp(p, not_match[i], len)) {
                return lh_asprintf("%s is no field of a packet", not_match[i]);
            }
        }
        p += strcspn(p, ", \t");
    }
    error =
        parse_ofp_flow_mod_str(&fm, text, NULL, NULL, OFPFC_DELETE, &usable);
    if (!error) {
        minimatch_expand(&fm.match, &match);
        *matchp = of_match_from_ovs(&match);
        free(fm.ofpacts);
        minimatch_destroy(&fm.match);
    }
    return error;
}
