/* SPDX-License-Identifier: Apache-2.0 */
/* instr_stats - flow, aggregate and table statistics, as the controller would
 * see them without us. */
#include <config.h>
#include "recorder/instr_miss.h"
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_records.h"
#include "recorder/of_wire.h"

static bool
is_own(const struct of_flow_record *record)
{
    return (record->cookie & OWN_COOKIE_MASK) == OWN_COOKIE;
}

void
instr_stats_request(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    struct of_flow_request request;
    struct instr_pending *p;
    uint8_t *sent;
    size_t sent_len;

    if (!of_flow_request_decode(msg, len, &request)) {
        instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        return;
    }
    /* The switch knows the outputs that we installed, we know those that the
     * controller wrote. */
    p = instr_pend(c,
                   request.is_aggregate ? PENDING_AGGREGATE : PENDING_FLOWS);
    p->is_nicira = request.is_nicira;
    p->out_port = request.out_port;
    p->out_group = request.out_group;
    request.out_port = request.out_group = OF_ACTS_ANY;
    of_flow_request_encode(&request, c->link->of_version, true,
                           of_wire_xid(msg), &sent, &sent_len);
    instr_emit(c, sent, sent_len);
    of_flow_request_uninit(&request);
}

static bool
has_filter(const struct instr_pending *p)
{
    return p->out_port != OF_ACTS_ANY || p->out_group != OF_ACTS_ANY;
}

/* Makes 'record' what the controller wrote; false: it is not to see it. */
static bool
restore(const struct instr_change *c, const struct instr_pending *p,
        struct of_flow_record *record)
{
    struct instr *instr = c->instr;
    const struct shadow_rule *rule;

    if (is_own(record)) {
        return false;
    }
    rule = instr_shadow_find(instr->shadow, record->table_id, record->priority,
                             record->match);
    if (rule) {
        record->shown = &rule->acts;
        if (!rule->is_foreign) {
            record->flags = rule->flags;
        }
        if (rule->is_renewed) {
            record->hard_age = instr_expiry_hard_age(c, rule);
        }
        instr->counters.restored++;
    } else {
        instr->counters.unknown_rules++;
    }
    return !has_filter(p) ||
           of_acts_pass_filter(rule ? &rule->acts : &record->acts, p->out_port,
                               p->out_group);
}

/* Reads a reply, looking at actions only if they are asked for. */
static struct of_flow_reader *
open_reply(const struct instr_pending *p, const uint8_t *msg, size_t len)
{
    return has_filter(p) ? of_flow_reader_open(msg, len)
                         : of_flow_reader_open_bytes(msg, len);
}

static void
emit(void *c_, uint8_t *msg, size_t len)
{
    struct instr_change *c = c_;

    instr_emit_up(c, msg, len);
}

static void
discard(void *aux, uint8_t *msg, size_t len)
{
    free(msg);
}

static void
reply_flows(struct instr_change *c, struct instr_pending *p,
            const uint8_t *msg, size_t len)
{
    struct of_flow_writer *writer = of_flow_writer_open(msg[0], p->is_nicira);
    struct of_flow_reader *reader = open_reply(p, msg, len);
    struct of_flow_record record;
    int result;

    while ((result = of_flow_reader_next(reader, &record)) > 0) {
        if (restore(c, p, &record)) {
            of_flow_writer_add(writer, &record);
        }
        of_flow_record_uninit(&record);
    }
    of_flow_reader_close(reader);
    if (result < 0) {
        c->instr->counters.passed_malformed++;
        of_flow_writer_close(writer, 0, false, discard, NULL);
        instr_emit_up(c, lh_memdup(msg, len), len);
    } else {
        of_flow_writer_close(writer, of_wire_xid(msg),
                             !of_wire_is_last_reply(msg, len), emit, c);
    }
}

static void
reply_aggregate(struct instr_change *c, struct instr_pending *p,
                const uint8_t *msg, size_t len)
{
    struct of_flow_reader *reader = open_reply(p, msg, len);
    struct of_flow_record record;

    while (of_flow_reader_next(reader, &record) > 0) {
        if (restore(c, p, &record)) {
            p->n_packets += record.n_packets;
            p->n_bytes += record.n_bytes;
            p->n_flows++;
        }
        of_flow_record_uninit(&record);
    }
    of_flow_reader_close(reader);
    if (of_wire_is_last_reply(msg, len)) {
        uint8_t *reply;
        size_t reply_len;

        of_flow_aggregate(p->request, p->request_len, p->n_packets, p->n_bytes,
                          p->n_flows, &reply, &reply_len);
        instr_emit_up(c, reply, reply_len);
    }
}

static void
add_hits(struct instr_hits *hits, uint64_t cookie, uint64_t n)
{
    if ((cookie & ~OWN_COOKIE_MASK) == OWN_MISS) {
        hits->n_missed += n;
    } else {
        hits->n_others += n;
    }
}

/* True when the switch tells flow-removeds on that link. */
static bool
is_told(const struct instr_link *link)
{
    return link->is_known && instr_link_is_told(link) &&
           !instr_role_is_slave(link);
}

/* The link that stands in for those that are not told; NULL: none can. */
static struct instr_link *
first_told(const struct instr *instr)
{
    struct instr_link *l = instr->links;

    while (l && !is_told(l)) {
        l = l->next;
    }
    return l;
}

void
instr_stats_own_gone(struct instr_change *c,
                     const struct of_flow_removed *removed)
{
    bool is_first = c->link == first_told(c->instr);

    for (struct instr_link *l = c->instr->links; l; l = l->next) {
        if (l == c->link || (is_first && !is_told(l))) {
            add_hits(&l->gone_hits[removed->table_id], removed->cookie,
                     removed->n_packets);
        }
    }
}

void
instr_stats_join(struct instr_link *link)
{
    const struct instr_link *first = first_told(link->instr);

    if (first && first != link) {
        memcpy(link->gone_hits, first->gone_hits, sizeof link->gone_hits);
    }
}

/* Counts the packets that our own rules took. */
static void
reply_own(struct instr_change *c, struct instr_pending *p, const uint8_t *msg,
          size_t len)
{
    struct of_flow_reader *reader = of_flow_reader_open(msg, len);
    struct of_flow_record record;

    if (!p->n_flows++) {
        memset(c->link->own_hits, 0, sizeof c->link->own_hits);
    }
    while (of_flow_reader_next(reader, &record) > 0) {
        if (is_own(&record)) {
            c->link->own_hits[record.table_id].n_rules++;
            add_hits(&c->link->own_hits[record.table_id], record.cookie,
                     record.n_packets);
        }
        of_flow_record_uninit(&record);
    }
    of_flow_reader_close(reader);
}

bool
instr_stats_reply(struct instr_change *c, const uint8_t *msg, size_t len,
                  uint64_t tag)
{
    static const struct {
        enum pending_kind kind;
        void (*reply)(struct instr_change *, struct instr_pending *,
                      const uint8_t *, size_t);
    } kinds[] = {
        {PENDING_FLOWS, reply_flows},
        {PENDING_AGGREGATE, reply_aggregate},
        {PENDING_TABLES, reply_own},
        {PENDING_CHECK, instr_watch_checked},
        {PENDING_PACKETS, instr_shed_reply},
        {PENDING_MISS, instr_miss_checked},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct instr_pending *p =
            instr_pending_find(c->link, tag, kinds[i].kind);

        if (p) {
            kinds[i].reply(c, p, msg, len);
            if (of_wire_is_last_reply(msg, len)) {
                instr_pending_drop(c->link, p);
            }
            return true;
        }
    }
    return instr_is_own_tag(tag);
}

/* Table statistics: a request of ours for the counts of our rules goes right
 * before the controller's. */
void
instr_stats_tables_request(struct instr_change *c, const uint8_t *msg,
                           size_t len)
{
    struct instr *instr = c->instr;
    struct of_flow_request request = {.match = instr->all_packets,
                                      .table_id = OF_FLOW_ALL_TABLES,
                                      .cookie = OWN_COOKIE,
                                      .cookie_mask = OWN_COOKIE_MASK,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    struct instr_change own;
    uint8_t *sent;
    size_t sent_len;

    instr_change_init(&own, c->link, c->out, c->now_ns, c->who);
    of_flow_request_encode(&request, c->link->of_version, true, 0, &sent,
                           &sent_len);
    instr_pend(&own, PENDING_TABLES);
    instr_emit_own(&own, sent, sent_len);
    instr_pass(c, msg, len);
}

static uint64_t
minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void
instr_stats_tables_reply(struct instr_change *c, const uint8_t *msg,
                         size_t len)
{
    uint8_t *reply = lh_memdup(msg, len);
    struct of_records r;

    for (of_records_open(&r, OF_TABLE_STATS_REPLY, msg, len);
         of_records_next(&r);) {
        uint8_t *record = reply + (r.record - msg);
        struct of_records_table t;
        const struct instr_hits *own, *gone;
        uint8_t *active, *lookup, *matched;
        uint64_t n_others;

        of_records_table(&r, &t);
        active = record + t.active_ofs;
        lookup = record + t.lookup_ofs;
        matched = record + t.matched_ofs;
        own = &c->link->own_hits[t.table_id];
        gone = &c->link->gone_hits[t.table_id];
        n_others = own->n_others + gone->n_others;
        of_wire_put32(active,
                      (uint32_t) minus(of_wire_get32(active), own->n_rules));
        of_wire_put64(lookup, minus(of_wire_get64(lookup), n_others));
        of_wire_put64(matched,
                      minus(of_wire_get64(matched),
                            n_others + own->n_missed + gone->n_missed));
    }
    instr_emit_up(c, reply, len);
}
