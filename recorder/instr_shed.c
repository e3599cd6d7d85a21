/* SPDX-License-Identifier: Apache-2.0 */
/* instr_shed - which rules lose their postcards when these are too many. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"
#include "recorder/selection.h"

#define NS_PER_S     1000000000.0
#define TOO_LATE_NS  UINT64_C(10000000000) /* A reading is given up. */
#define MAX_PER_CARD 64.0 /* Postcards that a packet may be taken for. */

/* A rule, or a table-miss rule, that may go or come back. */
struct candidate {
    struct shadow_load *load;
    uint32_t version;
    uint16_t priority;
    double pps;
};

struct candidates {
    struct candidate *all; /* Owned. */
    size_t n;
    double pps; /* Of all together. */
};

/* --- Reading. --- */

bool
instr_read_packets(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct of_flow_request request = {.match = instr->all_packets,
                                      .table_id = OF_FLOW_ALL_TABLES,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    struct instr_load *load = &instr->load;
    struct instr_link *link = instr_link_choose(instr);
    struct instr_change c;
    uint8_t *msg;
    size_t len;

    if (!instr->is_ready || !link ||
        (load->tag && now_ns - load->asked_ns < TOO_LATE_NS)) {
        return false;
    }
    instr_change_init(&c, link, out, now_ns, "recorder");
    load->last_ns = load->asked_ns;
    load->asked_ns = now_ns;
    load->tag = c.tag;
    load->n++;
    instr_pend(&c, PENDING_PACKETS);
    of_flow_request_encode(&request, link->of_version, true, 0, &msg, &len);
    instr_emit_own(&c, msg, len);
    return true;
}

/* Takes the count of a rule; returns its packets since the last one. */
static uint64_t
take(const struct instr *instr, struct shadow_load *load, uint64_t n_packets)
{
    const struct instr_load *times = &instr->load;
    uint64_t elapsed = times->asked_ns - times->last_ns;
    uint64_t n = 0;

    if (load->reading && load->reading + 1 == times->n && elapsed &&
        n_packets >= load->n_packets) {
        n = n_packets - load->n_packets;
        load->pps = (float) ((double) n * NS_PER_S / (double) elapsed);
    } else if (!load->is_shed) {
        load->pps = 0;
    }
    load->n_packets = n_packets;
    load->reading = times->n;
    return n;
}

static void
take_record(struct instr *instr, const struct of_flow_record *record)
{
    struct instr_miss *miss = &instr->miss[record->table_id];
    struct shadow_rule *rule;
    uint64_t n;

    if ((record->cookie & OWN_COOKIE_MASK) == OWN_COOKIE) {
        if ((record->cookie & ~OWN_COOKIE_MASK) == OWN_MISS && miss->version) {
            instr->load.n_cards += take(instr, &miss->load, record->n_packets);
        }
        return;
    }
    rule = instr_shadow_find(instr->shadow, record->table_id, record->priority,
                             record->match);
    if (rule) {
        n = take(instr, &rule->load, record->n_packets);
        instr->load.n_cards += rule->is_instrumented ? n : 0;
    }
}

void
instr_shed_reply(struct instr_change *c, struct instr_pending *p,
                 const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    struct of_flow_reader *reader;
    struct of_flow_record record;

    if (p->tag != instr->load.tag) {
        return; /* It was given up. */
    }
    reader = of_flow_reader_open_bytes(msg, len);
    while (of_flow_reader_next(reader, &record) > 0) {
        take_record(instr, &record);
        of_flow_record_uninit(&record);
    }
    of_flow_reader_close(reader);
    if (of_wire_is_last_reply(msg, len)) {
        instr->load.tag = 0;
        c->out->packets_read = true;
    }
}

uint64_t
instr_n_cards(const struct instr *instr)
{
    return instr->load.n_cards;
}

/* --- Choosing. --- */

static void
add(struct candidates *c, const struct candidate *candidate)
{
    c->all[c->n++] = *candidate;
    c->pps += candidate->pps;
}

/* Those that are shed, or those that are not and send postcards. */
static struct candidates
find(struct instr *instr, bool is_shed)
{
    struct candidates found = {.n = 0};
    struct shadow_rule **rules;
    size_t n;

    rules = instr_shadow_all(instr->shadow, &n);
    found.all = lh_alloc_array(NULL, n + N_TABLES, sizeof *found.all);
    for (size_t i = 0; i < n; i++) {
        struct shadow_rule *rule = rules[i];

        if (rule->load.is_shed == is_shed &&
            (is_shed || (rule->is_instrumented && rule->load.pps > 0))) {
            add(&found, &(struct candidate){
                            .load = &rule->load,
                            .version = rule->version,
                            .priority = instr_select_priority(instr, rule),
                            .pps = (double) rule->load.pps});
        }
    }
    free(rules);
    for (unsigned int t = 0; t < N_TABLES; t++) {
        struct instr_miss *miss = &instr->miss[t];

        if (miss->load.is_shed == is_shed &&
            (is_shed || (miss->version && miss->load.pps > 0))) {
            add(&found, &(struct candidate){.load = &miss->load,
                                            .version = miss->version,
                                            .priority = SELECTION_PRIORITY,
                                            .pps = (double) miss->load.pps});
        }
    }
    return found;
}

/* The lowest priority first, of one priority the busiest. */
static int
compare(const void *a_, const void *b_)
{
    const struct candidate *a = a_, *b = b_;

    if (a->priority != b->priority) {
        return a->priority < b->priority ? -1 : 1;
    }
    return a->pps > b->pps ? -1 : a->pps < b->pps;
}

static void
mark(struct instr_shed *shed, const struct candidate *c, bool is_shed,
     double scale)
{
    c->load->is_shed = is_shed;
    if (shed->n_rules < INSTR_SHED_TOLD) {
        shed->versions[shed->n_rules] = c->version;
    }
    shed->n_rules++;
    shed->pps += (uint64_t) (c->pps * scale + 0.5);
}

/* Brings the switch in line. */
static void
apply(struct instr *instr, const struct instr_shed *shed, uint64_t now_ns,
      struct instr_out *out)
{
    if (shed->n_rules) {
        const struct instr_selection selection = instr->config.selection;

        instr_select(instr, &selection, now_ns, out);
    }
}

struct instr_shed
instr_shed(struct instr *instr, uint64_t pps, uint64_t excess, uint64_t now_ns,
           struct instr_out *out)
{
    struct candidates found = find(instr, false);
    struct instr_shed shed = {.n_rules = 0};
    double freed = 0;

    if (found.n) {
        /* A packet may give several postcards, or none (a meter). */
        instr->load.scale = (double) pps / found.pps;
        if (instr->load.scale > MAX_PER_CARD) {
            instr->load.scale = MAX_PER_CARD;
        }
        qsort(found.all, found.n, sizeof *found.all, compare);
    }
    for (size_t i = 0; i < found.n && freed < (double) excess; i++) {
        mark(&shed, &found.all[i], true, instr->load.scale);
        freed += found.all[i].pps * instr->load.scale;
    }
    free(found.all);
    apply(instr, &shed, now_ns, out);
    return shed;
}

struct instr_shed
instr_unshed(struct instr *instr, uint64_t room, uint64_t now_ns,
             struct instr_out *out)
{
    struct candidates found = find(instr, true);
    struct instr_shed back = {.n_rules = 0};
    double left = (double) room;

    if (found.n) {
        qsort(found.all, found.n, sizeof *found.all, compare);
    }
    for (size_t i = found.n; i--;) {
        struct candidate *c = &found.all[i];

        if (c->pps * instr->load.scale <= left) {
            left -= c->pps * instr->load.scale;
            mark(&back, c, false, instr->load.scale);
        } else if (c->load->reading != instr->load.n) {
            c->load->pps /= 2; /* Nobody counts it. */
        }
    }
    free(found.all);
    apply(instr, &back, now_ns, out);
    return back;
}

struct instr_shed
instr_get_shed(const struct instr *instr)
{
    struct instr_shed shed = {.n_rules = 0};
    struct candidates found = find((struct instr *) instr, true);

    for (size_t i = 0; i < found.n; i++) {
        mark(&shed, &found.all[i], true, instr->load.scale);
    }
    free(found.all);
    return shed;
}
