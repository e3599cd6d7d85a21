/* SPDX-License-Identifier: Apache-2.0 */
/* xid_map - transaction IDs of the messages sent to one switch.
 *
 * Every message that may be answered gets a fresh ID, so that answers to the
 * recorder's own messages and to the controller's never meet.  For each the
 * map remembers whose it is, the controller's ID and the first bytes of its
 * message, which an error must quote.
 *
 * Open vSwitch quotes whole messages, so whole ones are kept while they are
 * open, and their first XID_MAP_QUOTE bytes after that.
 *
 * A switch answers in order, so a complete answer settles its message and all
 * before it.  Settled messages stay in the map until their place is needed: a
 * bundle's errors come when it is committed.  The map holds at most
 * XID_MAP_MAX messages; when that many, or messages of XID_MAP_MAX_BYTES, are
 * open, xid_map_is_full() says that the controller should be kept waiting, and
 * what is added all the same overwrites the oldest, which is counted.
 *
 * Threads: that of the session. */
#ifndef RECORDER_XID_MAP_H
#define RECORDER_XID_MAP_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XID_MAP_MAX       32768
#define XID_MAP_MAX_BYTES (16 * 1024 * 1024)
#define XID_MAP_QUOTE     64

struct xid_map;

struct xid_entry {
    uint32_t fresh; /* The ID on the wire; 0: no entry. */
    uint32_t xid;   /* The controller's; 0 when is_own. */
    uint64_t tag;
    bool is_own;
    bool is_settled;
    size_t quote_len;
    uint8_t *quote; /* The controller's message.  Of the map. */
};

struct xid_map *xid_map_create(void);
void xid_map_destroy(struct xid_map *);

/* Remembers a message and returns its fresh ID.  'quote', from malloc(), is
 * taken; it is NULL and 'xid' 0 when the message is the recorder's own. */
uint32_t xid_map_add(struct xid_map *, bool is_own, uint64_t tag, uint32_t xid,
                     uint8_t *quote, size_t quote_len);

/* What was remembered of 'fresh', or NULL.  Good until the next add or
 * settle. */
const struct xid_entry *xid_map_find(const struct xid_map *, uint32_t fresh);

/* A complete answer to 'fresh' has come. */
void xid_map_settle(struct xid_map *, uint32_t fresh);

/* Messages that are not settled. */
size_t xid_map_n_open(const struct xid_map *);
bool xid_map_is_full(const struct xid_map *);
/* Open messages that were overwritten. */
uint64_t xid_map_n_lost(const struct xid_map *);

/* Rewrites the OFPT_ERROR 'msg' so that it answers the controller's own
 * message: its ID, and its bytes instead of those quoted by the switch.
 * '*out' is for free(); returns its length, or 0 when 'msg' is no error. */
size_t xid_map_restore_error(const struct xid_entry *, const uint8_t *msg,
                             size_t len, uint8_t **out);

#endif /* recorder/xid_map.h */
