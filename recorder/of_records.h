/* SPDX-License-Identifier: Apache-2.0 */
/* of_records - the records of port lists and of port, queue, table and group
 * statistics, where each version of OpenFlow has them.
 *
 *     struct of_records r;
 *     for (of_records_open(&r, kind, msg, len); of_records_next(&r);) {
 *         r.record, r.record_len ..
 *     }
 *
 * Threads: plain data and pure functions. */
#ifndef RECORDER_OF_RECORDS_H
#define RECORDER_OF_RECORDS_H 1

#include "recorder/of_msg.h"

struct of_records {
    /* Set by of_records_open(). */
    const uint8_t *msg;
    size_t len;
    enum of_kind kind;

    /* The record that of_records_next() has found; borrowed from 'msg'. */
    const uint8_t *record;
    size_t record_len;

    size_t ofs; /* Where the next one begins. */
};

/* Before the first record of 'msg', which is of one of the kinds that have
 * records (OF_FEATURES_REPLY, OF_PORT_DESC_REPLY, OF_PORT_STATUS,
 * OF_PORT_STATS_REPLY, OF_QUEUE_STATS_REPLY, OF_QUEUE_DESC_REPLY,
 * OF_TABLE_STATS_REPLY, OF_GROUP_STATS_REPLY). */
void of_records_open(struct of_records *, enum of_kind, const uint8_t *msg,
                     size_t len);
/* False at the end, and at the first record that is not whole. */
bool of_records_next(struct of_records *);

/* The port that the record is about, as in lib/of_port.h; false when its
 * number has no 16-bit form. */
bool of_records_port(const struct of_records *, uint16_t *no);

/* A record of table statistics. */
struct of_records_table {
    uint8_t table_id;
    bool has_config;
    uint32_t config; /* OpenFlow 1.1 and 1.2. */
    /* Where in the record these stand. */
    size_t active_ofs, lookup_ofs, matched_ofs;
};
void of_records_table(const struct of_records *, struct of_records_table *);

/* A record of group statistics. */
struct of_records_group {
    uint32_t id;
    size_t n_buckets;
    /* Where in the record the packets stand, of the group and of bucket 0;
     * the bytes are 8 after them, the next bucket 16. */
    size_t total_ofs, bucket_ofs;
};
void of_records_group(const struct of_records *, struct of_records_group *);

/* What stands in a record of a port list, in every version. */
struct of_records_phy {
    uint16_t no;
    uint8_t mac[6];
    char name[17];
    uint32_t config, state;
};
bool of_records_phy(const struct of_records *, struct of_records_phy *);

#endif /* recorder/of_records.h */
