/* SPDX-License-Identifier: Apache-2.0 */
/* of_records - records of port lists and statistics: openflow.h of 1.0 to
 * 1.5. */
#include <config.h>
#include "recorder/of_records.h"

#include <string.h>

#include "recorder/of_wire.h"

#define FEATURES_HEAD 32
#define STATUS_HEAD   16
#define STATS_HEAD_10 12
#define STATS_HEAD_11 16
#define NICIRA_HEAD   24 /* Of Nicira's statistics over 1.0. */

/* How records lie in a message. */
struct layout {
    size_t size;   /* Of each, the least if 'len_ofs' counts; 0: none. */
    int len_ofs;   /* Where a record has its length, -1: nowhere. */
    size_t no_ofs; /* Where it has its port's number. */
};

static const struct layout none = {0, -1, 0};

/* OpenFlow 1.0; 1.1 and 1.2; 1.3; 1.4 and 1.5. */
enum era { ERA_10, ERA_11, ERA_13, ERA_14, N_ERAS };

static enum era
get_era(uint8_t version)
{
    return version <= OF_WIRE_10   ? ERA_10
           : version <= OF_WIRE_12 ? ERA_11
           : version == OF_WIRE_13 ? ERA_13
                                   : ERA_14;
}

static struct layout
get_layout(enum of_kind kind, uint8_t version)
{
    static const struct layout ports[N_ERAS] = {
        {48, -1, 0}, {64, -1, 0}, {64, -1, 0}, {40, 4, 0}};
    static const struct layout port_stats[N_ERAS] = {
        {104, -1, 0}, {104, -1, 0}, {112, -1, 0}, {80, 0, 4}};
    static const struct layout queue_stats[N_ERAS] = {
        {32, -1, 0}, {32, -1, 0}, {40, -1, 0}, {48, 0, 8}};
    static const struct layout queue_desc = {16, 8, 0};
    static const struct layout table_stats[N_ERAS] = {
        {64, -1, 0}, {88, -1, 0}, {24, -1, 0}, {24, -1, 0}};
    static const struct layout groups[N_ERAS] = {
        {40, 0, 0}, {32, 0, 0}, {40, 0, 0}, {40, 0, 0}};
    enum era era = get_era(version);

    switch ((int) kind) {
    case OF_FEATURES_REPLY:
        return era < ERA_13 ? ports[era] : none;
    case OF_PORT_DESC_REPLY:
    case OF_PORT_STATUS:
        return ports[era];
    case OF_PORT_STATS_REPLY:
        return port_stats[era];
    case OF_QUEUE_STATS_REPLY:
        return queue_stats[era];
    case OF_QUEUE_DESC_REPLY:
        return era == ERA_14 ? queue_desc : none;
    case OF_TABLE_STATS_REPLY:
        return version == OF_WIRE_12 ? (struct layout){128, -1, 0}
                                     : table_stats[era];
    case OF_GROUP_STATS_REPLY:
        return groups[era];
    default:
        return none;
    }
}

void
of_records_open(struct of_records *r, enum of_kind kind, const uint8_t *msg,
                size_t len)
{
    memset(r, 0, sizeof *r);
    r->msg = msg;
    r->len = len;
    r->kind = kind;
    r->ofs = kind == OF_FEATURES_REPLY      ? FEATURES_HEAD
             : kind == OF_PORT_STATUS       ? STATUS_HEAD
             : msg[0] != OF_WIRE_10         ? STATS_HEAD_11
             : kind == OF_GROUP_STATS_REPLY ? NICIRA_HEAD
                                            : STATS_HEAD_10;
}

bool
of_records_next(struct of_records *r)
{
    struct layout layout = get_layout(r->kind, r->msg[0]);
    size_t size = layout.size;

    if (!size || r->ofs > r->len || r->len - r->ofs < size) {
        return false;
    }
    r->record = r->msg + r->ofs;
    if (layout.len_ofs >= 0) {
        size = of_wire_get16(r->record + layout.len_ofs);
        if (size < layout.size || r->len - r->ofs < size) {
            return false;
        }
    }
    r->record_len = size;
    r->ofs += size;
    return true;
}

bool
of_records_port(const struct of_records *r, uint16_t *no)
{
    const uint8_t *p = r->record + get_layout(r->kind, r->msg[0]).no_ofs;
    uint32_t wide;

    if (r->msg[0] == OF_WIRE_10) {
        *no = of_wire_get16(p);
        return true;
    }
    wide = of_wire_get32(p);
    *no = (uint16_t) wide;
    return wide < 0xff00 || wide >= 0xffffff00;
}

void
of_records_table(const struct of_records *r, struct of_records_table *t)
{
    memset(t, 0, sizeof *t);
    t->table_id = r->record[0];
    switch (r->msg[0]) {
    case OF_WIRE_10:
        t->active_ofs = 44;
        break;
    case OF_WIRE_11:
    case OF_WIRE_12:
        t->active_ofs = r->record_len - 20;
        t->has_config = true;
        t->config = of_wire_get32(r->record + r->record_len - 28);
        break;
    default:
        t->active_ofs = 4;
        break;
    }
    t->lookup_ofs = t->active_ofs + 4;
    t->matched_ofs = t->active_ofs + 12;
}

void
of_records_group(const struct of_records *r, struct of_records_group *g)
{
    g->id = of_wire_get32(r->record + 4);
    g->total_ofs = 16;
    g->bucket_ofs = get_layout(r->kind, r->msg[0]).size;
    g->n_buckets = (r->record_len - g->bucket_ofs) / 16;
}

bool
of_records_phy(const struct of_records *r, struct of_records_phy *phy)
{
    bool is_10 = r->msg[0] == OF_WIRE_10;
    const uint8_t *p = r->record;

    memset(phy, 0, sizeof *phy);
    if (!of_records_port(r, &phy->no)) {
        return false;
    }
    memcpy(phy->mac, p + (is_10 ? 2 : 8), sizeof phy->mac);
    memcpy(phy->name, p + (is_10 ? 8 : 16), sizeof phy->name - 1);
    phy->config = of_wire_get32(p + (is_10 ? 24 : 32));
    phy->state = of_wire_get32(p + (is_10 ? 28 : 36));
    return true;
}
