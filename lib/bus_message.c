/* SPDX-License-Identifier: Apache-2.0 */
/* bus_message - implementation. */
#include <config.h>
#include "lib/bus_message.h"

#include <nats/nats.h>
#include <stdlib.h>

void
bus_message_init(struct bus_message *message, const void *nats_msg)
{
    const natsMsg *msg = nats_msg;

    *message = (struct bus_message){
        .subject = natsMsg_GetSubject(msg),
        .reply = natsMsg_GetReply(msg),
        .data = (const uint8_t *) natsMsg_GetData(msg),
        .size = (size_t) natsMsg_GetDataLength(msg),
        .impl = nats_msg,
    };
    if (!message->size) {
        const char *status = bus_message_header(message, "Status");

        message->status =
            status ? (unsigned int) strtoul(status, NULL, 10) : 0;
    }
}

const char *
bus_message_header(const struct bus_message *message, const char *name)
{
    const char *value;

    if (!message->impl || natsMsgHeader_Get((natsMsg *) message->impl, name,
                                            &value) != NATS_OK) {
        return NULL;
    }
    return value;
}
