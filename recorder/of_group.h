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
    OF_GROUP_OTHER /* Add-or-modify, and commands on single buckets. */
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
size_t of_group_n_buckets(const struct of_group *);
/* The actions of bucket 'i', borrowed: '*acts' is not to be freed. */
void of_group_get_bucket(const struct of_group *, size_t i,
                         struct of_acts *acts);
/* Copies 'acts'. */
void of_group_set_bucket(struct of_group *, size_t i, const struct of_acts *);

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
/* A request for the description of all groups (1.3). */
void of_group_desc_request(uint8_t version, uint8_t **msg, size_t *msg_len);

#endif /* recorder/of_group.h */
