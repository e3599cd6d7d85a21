/* SPDX-License-Identifier: Apache-2.0 */
/* door_message - what a door and the owner of a shard tell each other of the
 * door's messages (docs/formats/cluster.md): which of them are there for good,
 * and which have to be sent again, because NATS has not got them although it
 * acknowledged them.
 *
 * The owner to lh.door.<door>: DOOR_AGAIN, a request which the door answers by
 * DOOR_WILL, and DOOR_COVERED.  The door to lh.shard.<k>: DOOR_ASK.  NATS does
 * not keep them; what gets lost is told again.
 *
 * Threads: pure functions. */
#ifndef SERVER_DOOR_MESSAGE_H
#define SERVER_DOOR_MESSAGE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;

#define DOOR_MESSAGE_VERSION 1
#define DOOR_MESSAGE_SIZE    30
#define DOOR_SUBJECT_SIZE    32

enum door_message_kind {
    DOOR_AGAIN = 1,   /* Messages 'first' to 'last' are missing. */
    DOOR_WILL = 2,    /* Those from 'first' on come again, of those up to
                       * 'last' the owner had said that they are covered,
                       * between is what the door has not got any more. */
    DOOR_COVERED = 3, /* What came of those up to 'last' is committed. */
    DOOR_ASK = 4      /* Those up to 'last' were acknowledged long ago. */
};

struct door_message {
    enum door_message_kind kind;
    uint32_t k;
    uint64_t door;
    uint64_t first, last;
};

/* Sends it to 'subject'; it may get lost. */
void door_message_send(struct bus *, const char *subject,
                       const struct door_message *);
void door_message_put(const struct door_message *,
                      uint8_t out[DOOR_MESSAGE_SIZE]);
/* False: it is none that is known here. */
bool door_message_read(const uint8_t *data, size_t size,
                       struct door_message *);

/* Whether 'will' can be what a door says to 'asked', which is DOOR_AGAIN. What
 * it says of messages that it was not asked for is taken out: 'first' is then
 * not above what comes behind the last of these. */
bool door_message_answers(const struct door_message *asked,
                          struct door_message *will);

void door_message_door_subject(char subject[DOOR_SUBJECT_SIZE], uint64_t door);
void door_message_shard_subject(char subject[DOOR_SUBJECT_SIZE], uint32_t k);

#endif /* server/door_message.h */
