/* SPDX-License-Identifier: Apache-2.0 */
/* of_framing - one direction of an OpenFlow connection, cut into messages.
 *
 * Bytes that cannot be OpenFlow are noticed early: the first message must be
 * a HELLO, no message is shorter than its header, and no version is above both
 * OF_FRAMING_MAX_VERSION and that of the HELLO.
 *
 * Threads: plain data. */
#ifndef RECORDER_OF_FRAMING_H
#define RECORDER_OF_FRAMING_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"

#define OF_FRAMING_MAX_VERSION 6 /* OpenFlow 1.5. */
#define OF_FRAMING_MAX_MESSAGE 65535

struct of_framing {
    bool seen_hello;
    uint8_t hello_version; /* The highest that the sender knows. */
};

#define OF_FRAMING_INIT                                                       \
    {                                                                         \
        false, 0                                                              \
    }

enum of_framing_result {
    OF_FRAMING_MORE,    /* The message is not whole yet. */
    OF_FRAMING_MESSAGE, /* Its length is in '*msg_len'. */
    OF_FRAMING_GARBAGE  /* This is no OpenFlow; '*error' says why. */
};

/* Looks at the 'len' bytes at 'data', the next of the stream.  With
 * OF_FRAMING_MORE, '*msg_len' is how many bytes are needed to say more. */
enum of_framing_result of_framing_next(struct of_framing *,
                                       const uint8_t *data, size_t len,
                                       size_t *msg_len, struct lh_error *);

#endif /* recorder/of_framing.h */
