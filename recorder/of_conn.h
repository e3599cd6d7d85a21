/* SPDX-License-Identifier: Apache-2.0 */
/* of_conn - one OpenFlow connection: whole messages in and out of a socket.
 *
 * Memory is bounded: bytes wait in the kernel once OF_CONN_MAX_INPUT have
 * been read and not taken, and who sends asks of_conn_is_full() first.
 *
 *     incoming  ->  message()   true: taken.  false: not now; the message and
 *                               all after it wait until of_conn_resume()
 *     outgoing  <-  of_conn_send()
 *                   drained()   there is room again after of_conn_is_full()
 *
 * A peer that is gone without a word is found: one that sends half a message
 * and nothing more for OF_CONN_MESSAGE_S is closed, and so is one whose host
 * does not answer TCP for OF_CONN_ALIVE_S.
 *
 * When the other side closes, everything that it sent before is given to
 * message() first, then closed() is called, once.  Nothing is called after
 * closed() nor during any function but of_conn_resume().
 *
 * Ownership: of_conn_destroy() may be called at any time, also from the
 * callbacks.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_OF_CONN_H
#define RECORDER_OF_CONN_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "recorder/endpoint.h"

#define OF_CONN_MAX_INPUT (512 * 1024)
#define OF_CONN_FULL      (1024 * 1024)
#define OF_CONN_DRAINED   (256 * 1024)
#define OF_CONN_CONNECT_S 10
#define OF_CONN_FINISH_S  5
#define OF_CONN_MESSAGE_S 15
#define OF_CONN_ALIVE_S   30

struct event_base;
struct of_conn;
struct tls;

struct of_conn_callbacks {
    bool (*message)(void *aux, const uint8_t *msg, size_t len);
    void (*drained)(void *aux);
    /* 'reason' in words: "closed by the other side", "Connection refused",
     * "not OpenFlow: ...". */
    void (*closed)(void *aux, const char *reason);
};

/* Takes the connected socket 'fd'.  With a tls (else NULL) here and below the
 * connection is encrypted; it is_connected when both ends have agreed. */
struct of_conn *of_conn_accept(struct event_base *, int fd, struct tls *,
                               const struct of_conn_callbacks *, void *aux);
/* Begins to connect; what is sent before it is there waits.  NULL, with errno,
 * when it fails at once. */
struct of_conn *of_conn_connect(struct event_base *, const struct endpoint *,
                                struct tls *, const struct of_conn_callbacks *,
                                void *aux);
void of_conn_destroy(struct of_conn *);
/* As of_conn_destroy(), but what was sent is written first, for up to
 * OF_CONN_FINISH_S. */
void of_conn_finish(struct of_conn *);

bool of_conn_is_connected(const struct of_conn *);

void of_conn_send(struct of_conn *, const void *msg, size_t len);
bool of_conn_is_full(const struct of_conn *);

/* Gives waiting messages to message() again. */
void of_conn_resume(struct of_conn *);

#endif /* recorder/of_conn.h */
