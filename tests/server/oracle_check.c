/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_check - whether assembled histories agree with what was. */
#include <config.h>
#include "tests/server/oracle_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hop_template.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

#define FAIL(...)                                                             \
    do {                                                                      \
        lh_error_set(error, __VA_ARGS__);                                     \
        return EINVAL;                                                        \
    } while (0)

/* A true hop. */
struct place {
    const struct oracle_packet *packet;
    int hop; /* -1: none. */
};

/* The time of the first postcard of the hop that came, 0 if none did. */
static uint64_t
time_of(const struct oracle_packet *packet, int hop)
{
    uint64_t time = 0;

    for (size_t i = 0; i < packet->n_cards; i++) {
        const struct oracle_card *card = &packet->cards[i];

        if (card->hop == hop && !card->is_lost &&
            (!time || card->p.time_ns < time)) {
            time = card->p.time_ns;
        }
    }
    return time;
}

static bool
is_whole(const struct oracle_packet *packet, int hop)
{
    const struct history_hop *h = &packet->truth->hops[hop];

    /* A double stands in for the one it doubles. */
    for (size_t v = 0; v < h->n_versions; v++) {
        for (size_t i = 0; i < packet->n_cards; i++) {
            const struct oracle_card *card = &packet->cards[i];
            bool has_one = false;

            if (card->hop != hop || !card->is_lost) {
                continue;
            }
            for (size_t k = 0; k < packet->n_cards; k++) {
                const struct oracle_card *other = &packet->cards[k];

                has_one = has_one || (other->hop == hop && !other->is_lost &&
                                      other->p.version == card->p.version &&
                                      other->p.out_port == card->p.out_port);
            }
            if (!has_one) {
                return false;
            }
        }
    }
    return true;
}

/* True when the postcard tells of the rule. */
static bool
tells(const struct postcard *p, uint32_t version)
{
    const struct hop_trail *trail =
        p->visit ? hop_template_trail(p->visit) : NULL;

    for (size_t i = 0; p->visit && i < p->visit->n_trail; i++) {
        if (trail[i].version == version) {
            return true;
        }
    }
    return !p->visit && p->version == version;
}

/* True when a postcard of the rule that sent the packet to 'hop' came. */
static bool
is_sender_seen(const struct oracle_packet *packet, int hop)
{
    for (size_t i = 0; i < packet->n_cards; i++) {
        const struct oracle_card *card = &packet->cards[i];

        if (card->hop == packet->truth->hops[hop].parent && !card->is_lost &&
            tells(&card->p, packet->via[hop])) {
            return true;
        }
    }
    return false;
}

/* True when a postcard of the hop came at that time, whichever. */
static bool
has_time(const struct oracle_packet *packet, int hop, uint64_t time_ns)
{
    for (size_t i = 0; i < packet->n_cards; i++) {
        const struct oracle_card *card = &packet->cards[i];

        if (card->hop == hop && !card->is_lost && card->p.time_ns == time_ns) {
            return true;
        }
    }
    return false;
}

/* True when a postcard of the hop came with the header of 'h'. */
static bool
has_header(const struct oracle_packet *packet, int hop,
           const struct history_hop *h)
{
    for (size_t i = 0; i < packet->n_cards; i++) {
        const struct postcard *p = &packet->cards[i].p;

        if (packet->cards[i].hop == hop && p->caplen == h->caplen &&
            !memcmp(p->header, h->header, h->caplen)) {
            return true;
        }
    }
    return false;
}

/* The true hop that was there then; of several that one with the header. */
static struct place
find_place(const struct oracle_check *c, const struct history_hop *hop)
{
    struct place found = {NULL, -1};

    for (size_t p = 0; p < c->n_packets; p++) {
        const struct oracle_packet *packet = c->packets[p];
        const struct history *truth = packet->truth;

        for (int i = 0; i < (int) truth->n_hops; i++) {
            if (truth->hops[i].dpid == hop->dpid &&
                (truth->hops[i].in_port == hop->in_port ||
                 (c->is_blind && hop->in_port == OF_PORT_UNKNOWN)) &&
                hop->time_ns &&
                (c->has_blind_rounds ? has_time(packet, i, hop->time_ns)
                                     : time_of(packet, i) == hop->time_ns) &&
                (found.hop < 0 || has_header(packet, i, hop))) {
                found = (struct place){packet, i};
            }
        }
    }
    return found;
}

static bool
is_subset(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    for (size_t i = 0; i < n_a; i++) {
        bool is_in = false;

        for (size_t k = 0; k < n_b; k++) {
            is_in = is_in || a[i] == b[k];
        }
        if (!is_in) {
            return false;
        }
    }
    return true;
}

static bool
is_before(const struct history *truth, int first, int second)
{
    for (int i = truth->hops[second].parent; i >= 0;
         i = truth->hops[i].parent) {
        if (i == first) {
            return true;
        }
    }
    return false;
}

/* True when the hop says that its outputs are not known, and a pass that would
 * have told them was lost. */
static bool
is_pass_missing(const struct history_hop *hop, const struct place *at)
{
    for (size_t i = 0; i < at->packet->n_cards; i++) {
        const struct oracle_card *card = &at->packet->cards[i];

        if (card->hop == at->hop && card->is_lost &&
            card->p.flags & POSTCARD_CONTINUED) {
            return hop->n_out == 1 && hop->out_ports[0] == OF_PORT_UNKNOWN &&
                   (hop->verdict.name == VERDICT_OPEN ||
                    hop->verdict.name == VERDICT_LOOPED);
        }
    }
    return false;
}

/* What must hold of an observed hop, with or without loss. */
static int
check_hop(const struct history_hop *hop, const struct place *at,
          struct lh_error *error)
{
    const struct history_hop *truth = &at->packet->truth->hops[at->hop];

    if (!is_subset(hop->out_ports, hop->n_out, truth->out_ports,
                   truth->n_out) &&
        !is_pass_missing(hop, at) &&
        !(truth->is_packet_out && hop->out_ports[0] == OF_PORT_TABLE)) {
        FAIL("an output of true hop %d is wrong", at->hop);
    }
    if (!is_subset(hop->versions, hop->n_versions, truth->versions,
                   truth->n_versions)) {
        FAIL("a version of true hop %d is wrong", at->hop);
    }
    if (!is_subset(hop->branches, hop->n_branches, truth->branches,
                   truth->n_branches)) {
        FAIL("a branch of true hop %d is wrong", at->hop);
    }
    return 0;
}

static int
check_verdict_equal(const struct verdict *v, const struct verdict *truth,
                    struct lh_error *error)
{
    if (v->name != truth->name) {
        FAIL("verdict %s, true is %s", verdict_name_string(v->name),
             verdict_name_string(truth->name));
    }
    if (v->name == VERDICT_NONE || v->name == VERDICT_LOOPED) {
        return 0;
    }
    if (v->dpid != truth->dpid || v->has_version != truth->has_version ||
        (v->has_version && v->version != truth->version)) {
        FAIL("verdict %s names the wrong place", verdict_name_string(v->name));
    }
    if (v->name == VERDICT_DROPPED &&
        (!v->reason || strcmp(v->reason, truth->reason))) {
        FAIL("dropped for \"%s\", true is \"%s\"", v->reason ? v->reason : "",
             truth->reason);
    }
    if (v->name != VERDICT_DROPPED && v->port != truth->port) {
        FAIL("verdict %s at port %" PRIu32 ", true is %" PRIu32,
             verdict_name_string(v->name), v->port, truth->port);
    }
    return 0;
}

/* True for a start whose in_port is not known and that sends the packet back
 * by it: nothing tells that this is dropped. */
static bool
is_start_unsure(const struct history_hop *hop, const struct history_hop *truth)
{
    return hop->in_port == OF_PORT_UNKNOWN && truth->parent < 0 &&
           is_subset(&truth->in_port, 1, truth->out_ports, truth->n_out);
}

static int
check_exact_hop(const struct oracle_check *c, const struct history *h, int i,
                struct lh_error *error)
{
    const struct history_hop *hop = &h->hops[i];
    struct place at = find_place(c, hop), before = {NULL, -1};
    const struct history_hop *truth;
    int result;

    if (at.hop < 0) {
        FAIL("hop %d is no true one", i);
    }
    truth = &at.packet->truth->hops[at.hop];
    if (hop->parent >= 0) {
        before = find_place(c, &h->hops[hop->parent]);
    }
    if (before.hop != truth->parent ||
        (before.hop >= 0 && before.packet != at.packet)) {
        FAIL("hop %d follows true hop %d, not %d", i, before.hop,
             truth->parent);
    }
    if (hop->in_port != truth->in_port && truth->parent >= 0 &&
        !truth->is_packet_out) {
        FAIL("hop %d lacks its in_port", i);
    }
    if (hop->is_deduced || hop->has_gap_before ||
        hop->is_packet_out != truth->is_packet_out) {
        FAIL("hop %d is deduced, has a gap before it or is no packet-out", i);
    }
    result = check_hop(hop, &at, error);
    if (result) {
        return result;
    }
    if (hop->n_out != truth->n_out || hop->n_versions != truth->n_versions ||
        hop->n_branches != truth->n_branches) {
        FAIL("hop %d lacks outputs, versions or branches", i);
    }
    if (hop->has_header_out && hop->n_out == 1) {
        size_t skip = c->is_blind ? 6 : 0;

        for (size_t k = 0; k < at.packet->truth->n_hops; k++) {
            const struct history_hop *next = &at.packet->truth->hops[k];

            if (next->parent == at.hop && !next->is_packet_out &&
                (next->caplen != hop->header_out_len ||
                 memcmp(next->header + skip, hop->header_out + skip,
                        next->caplen - skip))) {
                FAIL("hop %d's header_out is not what came next", i);
            }
        }
    }
    if (is_start_unsure(hop, truth)) {
        return 0;
    }
    result = check_verdict_equal(&hop->verdict, &truth->verdict, error);
    if (result) {
        lh_error_prefix(error, "hop %d", i);
    }
    return result;
}

int
oracle_check_exact(const struct oracle_check *c, struct lh_error *error)
{
    size_t n_true = 0, n = 0;

    if (c->n_histories != c->n_packets) {
        FAIL("%zu histories of %zu packets", c->n_histories, c->n_packets);
    }
    for (size_t i = 0; i < c->n_packets; i++) {
        n_true += c->packets[i]->truth->n_hops;
    }
    for (size_t i = 0; i < c->n_histories; i++) {
        const struct history *h = c->histories[i];
        struct place at = find_place(c, &h->hops[0]);

        n += h->n_hops;
        for (size_t k = 0; k < h->n_hops; k++) {
            if (check_exact_hop(c, h, (int) k, error)) {
                return EINVAL;
            }
        }
        if (h->verdict.name != at.packet->truth->verdict.name &&
            !is_start_unsure(&h->hops[0], &at.packet->truth->hops[at.hop])) {
            FAIL("verdict of the history is %s, true is %s",
                 verdict_name_string(h->verdict.name),
                 verdict_name_string(at.packet->truth->verdict.name));
        }
    }
    if (n != n_true) {
        FAIL("%zu hops, true are %zu", n, n_true);
    }
    return 0;
}

/* --- With loss. -----------------------------------------------------------
 */

/* True when the deduced hop is the true one, as far as it says anything. */
static bool
is_deduced_right(const struct history_hop *hop,
                 const struct history_hop *truth)
{
    return truth->dpid == hop->dpid &&
           (hop->in_port == OF_PORT_UNKNOWN ||
            truth->in_port == hop->in_port) &&
           (is_subset(hop->out_ports, hop->n_out, truth->out_ports,
                      truth->n_out) ||
            is_subset(hop->out_ports, hop->n_out, truth->branches,
                      truth->n_branches));
}

/* Checks that the deduced hops before 'i', from near to far, are the true
 * ones before 'at', and gives the first observed ancestor in '*beforep'. */
static int
check_deduced(const struct oracle_check *c, const struct history *h, int i,
              const struct place *at, struct place *beforep,
              struct lh_error *error)
{
    const struct history *truth = at->packet->truth;
    int true_hop = at->hop;
    bool has_gap = h->hops[i].has_gap_before;

    if (truth->hops[true_hop].is_packet_out && !h->hops[i].is_packet_out) {
        /* The packet-out's own postcard is missing, and nothing told that it
         * was one. */
        true_hop = truth->hops[true_hop].parent;
    }
    *beforep = (struct place){NULL, -1};
    for (int k = h->hops[i].parent; k >= 0; k = h->hops[k].parent) {
        const struct history_hop *hop = &h->hops[k];

        if (!hop->is_deduced) {
            *beforep = find_place(c, hop);
            return 0;
        }
        true_hop = truth->hops[true_hop].parent;
        /* By way of the controller, as far as anybody can tell. */
        if (true_hop >= 0 && truth->hops[true_hop].is_packet_out) {
            true_hop = truth->hops[true_hop].parent;
        }
        while (has_gap && true_hop >= 0 &&
               !is_deduced_right(hop, &truth->hops[true_hop])) {
            true_hop = truth->hops[true_hop].parent;
        }
        if (true_hop < 0 ||
            (!is_deduced_right(hop, &truth->hops[true_hop]) &&
             truth->hops[true_hop].n_out &&
             truth->hops[true_hop].out_ports[0] != OF_PORT_CONTROLLER)) {
            FAIL("deduced hop %d was not so", k);
        }
        has_gap = hop->has_gap_before;
    }
    return 0;
}

static int
check_lossy_verdict(const struct oracle_check *c, const struct place *at,
                    const struct history_hop *hop, struct lh_error *error)
{
    const struct history *truth = at->packet->truth;
    const struct verdict *v = &hop->verdict;
    /* A flood may have come by the link that nobody took. */
    bool is_sure =
        is_whole(at->packet, at->hop) && hop->in_port != OF_PORT_UNKNOWN;

    for (size_t i = 0; i < truth->n_hops; i++) {
        if (truth->hops[i].parent == at->hop &&
            !is_whole(at->packet, (int) i)) {
            is_sure = false;
        }
    }
    if (v->name == VERDICT_LOST && v->evidence == EVIDENCE_COMPLETE &&
        truth->hops[at->hop].verdict.name != VERDICT_LOST) {
        FAIL("lost for sure at true hop %d, where it was not", at->hop);
    }
    if (c->links_changed &&
        (v->name == VERDICT_OPEN ||
         (v->name == VERDICT_LOST && v->evidence == EVIDENCE_UNCERTAIN))) {
        return 0;
    }
    if (is_sure) {
        /* A gap earlier hides that it is a loop. */
        if (truth->hops[at->hop].verdict.name == VERDICT_LOOPED &&
            v->name != VERDICT_NONE) {
            return 0;
        }
        return check_verdict_equal(v, &truth->hops[at->hop].verdict, error);
    }
    if (v->name != VERDICT_NONE && v->name != VERDICT_OPEN &&
        v->name != VERDICT_LOST && v->name != VERDICT_LOOPED &&
        v->name != truth->hops[at->hop].verdict.name &&
        !(v->name == VERDICT_DELIVERED || v->name == VERDICT_CONTROLLER)) {
        FAIL("verdict %s at true hop %d", verdict_name_string(v->name),
             at->hop);
    }
    return 0;
}

static int
check_lossy_hop(const struct oracle_check *c, const struct history *h, int i,
                const struct place *at, struct lh_error *error)
{
    const struct history *truth = at->packet->truth;
    const struct history_hop *hop = &h->hops[i];
    int true_parent = truth->hops[at->hop].parent;
    struct place before;
    bool is_parent_seen = is_sender_seen(at->packet, at->hop);

    if (check_hop(hop, at, error)) {
        return EINVAL;
    }
    if (c->has_blind_rounds) {
        return 0;
    }
    if (check_deduced(c, h, i, at, &before, error)) {
        return EINVAL;
    }
    if (before.hop >= 0 && (before.packet != at->packet ||
                            (!is_before(truth, before.hop, at->hop)))) {
        FAIL("hop %d (true %d) follows true hop %d", i, at->hop, before.hop);
    }
    if (truth->hops[at->hop].is_packet_out && !is_whole(at->packet, at->hop)) {
        /* The packet-out's own postcard is missing. */
        return check_lossy_verdict(c, at, hop, error);
    }
    if (is_parent_seen) {
        if (before.hop != true_parent || hop->has_gap_before ||
            h->hops[hop->parent].is_deduced) {
            FAIL("true parent %d of hop %d (true %d) was seen, yet it "
                 "follows %d",
                 true_parent, i, at->hop, before.hop);
        }
    } else if (true_parent >= 0 && !hop->has_gap_before &&
               hop->in_port != OF_PORT_UNKNOWN && before.hop != true_parent &&
               !(hop->parent >= 0 && h->hops[hop->parent].is_deduced)) {
        /* A packet-out is a start of its own when what it answers is not
         * known. */
        if (!hop->is_packet_out) {
            FAIL("no gap marked before hop %d (true %d)", i, at->hop);
        }
    }
    return check_lossy_verdict(c, at, hop, error);
}

/* Counts the true hops of which a postcard came. */
static size_t
count_seen(const struct oracle_check *c)
{
    size_t n = 0;

    for (size_t p = 0; p < c->n_packets; p++) {
        for (size_t i = 0; i < c->packets[p]->truth->n_hops; i++) {
            n += time_of(c->packets[p], (int) i) != 0;
        }
    }
    return n;
}

int
oracle_check_lossy(const struct oracle_check *c, struct lh_error *error)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_histories; i++) {
        const struct history *h = c->histories[i];

        for (size_t k = 0; k < h->n_hops; k++) {
            struct place at;

            if (h->hops[k].is_deduced) {
                continue;
            }
            at = find_place(c, &h->hops[k]);
            if (at.hop < 0) {
                FAIL("history %zu: hop %zu is no true one", i, k);
            }
            n++;
            if (check_lossy_hop(c, h, (int) k, &at, error)) {
                lh_error_prefix(error, "history %zu", i);
                return EINVAL;
            }
        }
    }
    if (n != count_seen(c) && !c->has_blind_rounds) {
        FAIL("%zu observed hops, true are %zu", n, count_seen(c));
    }
    return 0;
}
