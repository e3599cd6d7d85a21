/* SPDX-License-Identifier: Apache-2.0 */
/* of_group - groups: group-mods and group descriptions.
 *
 * Ownership: made by decoding or of_group_clone(), of_group_destroy() frees.
 * Bucket actions that a getter returns are borrowed.
 *
 * Threads: plain data. */
#ifndef RECORDER_OF_GROUP_H
#define RECORDER_OF_GROUP_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/of_acts.h"

enum of_group_command {
    OF_GROUP_ADD,
    OF_GROUP_MODIFY,
    OF_GROUP_DELETE,
    OF_GROUP_ADD_OR_MODIFY,  /* Of Open vSwitch. */
    OF_GROUP_INSERT_BUCKETS, /* OpenFlow 1.5, and Nicira's group-mod of 1.0. */
    OF_GROUP_REMOVE_BUCKET,
    OF_GROUP_OTHER /* None that a switch takes. */
};

#define OF_GROUP_ALL UINT32_C(0xfffffffc) /* Delete: every group. */

struct of_group;

/* NULL when malformed. */
struct of_group *of_group_decode(const uint8_t *msg, size_t len);
struct of_group *of_group_clone(const struct of_group *);
void of_group_destroy(struct of_group *);

enum of_group_command of_group_command(const struct of_group *);
void of_group_set_command(struct of_group *, enum of_group_command);
uint32_t of_group_id(const struct of_group *);
bool of_group_is_select(const struct of_group *);
size_t of_group_n_buckets(const struct of_group *);
/* What bucket 'i' is called: its place in the list up to OpenFlow 1.4. */
uint32_t of_group_bucket_id(const struct of_group *, size_t i);
/* The actions of bucket 'i', borrowed: '*acts' is not to be freed. */
void of_group_get_bucket(const struct of_group *, size_t i,
                         struct of_acts *acts);
/* Copies 'acts'. */
void of_group_set_bucket(struct of_group *, size_t i, const struct of_acts *);

/* The group, as an ADD, that 'change', which inserts or removes buckets, makes
 * of 'old'; NULL when the switch is going to refuse it.  (*from)[i],
 * malloc()ed, says which bucket its bucket i was: one of 'old', or, counted
 * from 'old's number of buckets on, one of 'change'. */
struct of_group *of_group_edit(const struct of_group *old,
                               const struct of_group *change, size_t **from);

/* As a group-mod.  0 or EMSGSIZE. */
int of_group_encode(const struct of_group *, uint8_t version, uint32_t xid,
                    uint8_t **msg, size_t *msg_len);

/* Calls 'found' with every group of a group description reply (owned by the
 * callee, as an ADD).  False: malformed. */
bool of_group_read_desc(const uint8_t *msg, size_t len,
                        void (*found)(void *aux, struct of_group *),
                        void *aux);
/* Rewrites a group description reply: where 'restore' has a group of that
 * number, it is shown instead of the switch's; the messages, with the
 * transaction ID and MORE flag of 'msg', go to 'emit'.  False: malformed,
 * nothing was emitted. */
bool of_group_restore_desc(const uint8_t *msg, size_t len,
                           const struct of_group *(*restore)(void *aux,
                                                             uint32_t id),
                           void (*emit)(void *aux, uint8_t *msg, size_t len),
                           void *aux);
/* A request for the description of all groups (1.0: of Nicira's form). */
void of_group_desc_request(uint8_t version, uint8_t **msg, size_t *msg_len);

/* One for the statistics of 'id', which may be OF_GROUP_ALL. */
void of_group_stats_request(uint8_t version, uint32_t id, uint8_t **msg,
                            size_t *msg_len);

#endif /* recorder/of_group.h */
