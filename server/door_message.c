/* SPDX-License-Identifier: Apache-2.0 */
/* door_message - implementation. */
#include <config.h>
#include "server/door_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/byte_buf.h"
#include "lib/bytes.h"

#define SEND_MS 2000

void
door_message_put(const struct door_message *m, uint8_t out[DOOR_MESSAGE_SIZE])
{
    struct byte_buf bytes = BYTE_BUF_INIT;

    byte_buf_put_u8(&bytes, DOOR_MESSAGE_VERSION);
    byte_buf_put_u8(&bytes, (uint8_t) m->kind);
    byte_buf_put_u32(&bytes, m->k);
    byte_buf_put_u64(&bytes, m->door);
    byte_buf_put_u64(&bytes, m->first);
    byte_buf_put_u64(&bytes, m->last);
    memcpy(out, bytes.data, DOOR_MESSAGE_SIZE);
    byte_buf_uninit(&bytes);
}

bool
door_message_read(const uint8_t *data, size_t size, struct door_message *m)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in);
    uint8_t kind = bytes_get_u8(&in);

    *m = (struct door_message){.kind = (enum door_message_kind) kind};
    m->k = bytes_get_u32(&in);
    m->door = bytes_get_u64(&in);
    m->first = bytes_get_u64(&in);
    m->last = bytes_get_u64(&in);
    return !in.failed && !bytes_left(&in) && version == DOOR_MESSAGE_VERSION &&
           kind >= DOOR_AGAIN && kind <= DOOR_ASK;
}

bool
door_message_answers(const struct door_message *asked,
                     struct door_message *will)
{
    /* What is committed a door has not got any more. */
    if (will->kind != DOOR_WILL || will->k != asked->k ||
        will->door != asked->door || !will->first ||
        will->last >= will->first) {
        return false;
    }
    if (will->first > asked->last) {
        will->first = asked->last + (asked->last < UINT64_MAX);
    }
    if (will->last > asked->last) {
        will->last = asked->last;
    }
    return true;
}

void
door_message_send(struct bus *bus, const char *subject,
                  const struct door_message *m)
{
    uint8_t bytes[DOOR_MESSAGE_SIZE];
    const struct bus_letter letter = {
        .subject = subject, .data = bytes, .size = sizeof bytes};

    door_message_put(m, bytes);
    bus_send(bus, &letter, NULL, SEND_MS, NULL);
}

void
door_message_door_subject(char subject[DOOR_SUBJECT_SIZE], uint64_t door)
{
    snprintf(subject, DOOR_SUBJECT_SIZE, "lh.door.%016" PRIx64, door);
}

void
door_message_shard_subject(char subject[DOOR_SUBJECT_SIZE], uint32_t k)
{
    snprintf(subject, DOOR_SUBJECT_SIZE, "lh.shard.%" PRIu32, k);
}
