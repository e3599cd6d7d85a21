/* SPDX-License-Identifier: Apache-2.0 */
/* api_peer - one client of an API server, as the handlers of requests see it.
 *
 * A handler gets an api_call and ends it with exactly one answer, at once or
 * later:
 *
 *     api_call_answer(call, json_pack("{s:I}", "trigger", 1));
 *     api_call_fail(call, API_NOT_FOUND, "no switch %s", name);
 *
 * A call outlives its client: when the client closes, answering has no effect
 * but to end the call.
 *
 * Events follow on the same connection under the id of the request they
 * belong to (api_call_id(), with a reference of one's own).  What waits to be
 * written to one client is bounded:
 *
 *   - api_peer_offer() drops the event when the client is too slow, counts
 *     it, and tells the client the number in an event `missed` once it reads
 *     again.
 *   - api_peer_send() and answers are never dropped; a client for which more
 *     than the bound waits is closed.  Who has much to send asks
 *     api_peer_is_busy() and goes on when the server's on_drain is called.
 *
 * Nothing here blocks, and no peer goes away inside a call into it: closing
 * is done from the event loop, which calls the server's on_close first.
 *
 * Ownership: JSON arguments called 'members' are taken, also on failure.
 *
 * Threads: that of the server's event loop. */
#ifndef LIB_API_PEER_H
#define LIB_API_PEER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/api_code.h"
#include "lib/lh_error.h"

struct api_call;
struct api_peer;

/* Borrowed: the request's id (null when it had none). */
json_t *api_call_id(const struct api_call *);
/* NULL when the client has gone. */
struct api_peer *api_call_peer(const struct api_call *);

/* Answers ok with 'members' (NULL: none) and ends the call. */
void api_call_answer(struct api_call *, json_t *members);
/* The same with 'members' as text, a JSON object on one line for free(), which
 * is taken: for a large answer that another thread has written, so that the
 * loop need not. */
void api_call_answer_text(struct api_call *, char *members);
/* Answers with an error and ends the call. */
void api_call_fail(struct api_call *, enum api_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the text and, if there is one, the position of 'error'. */
void api_call_fail_error(struct api_call *, enum api_code,
                         const struct lh_error *error);

/* Sends the event, or drops and counts it: then returns false. */
bool api_peer_offer(struct api_peer *, json_t *id, const char *event,
                    json_t *members);
/* Counts 'n' events of request 'id' as dropped, as if they had been offered to
 * a client that is too slow. */
void api_peer_miss(struct api_peer *, json_t *id, uint64_t n);
/* Sends the event, with one more member, of the event's name, that is JSON
 * already. */
void api_peer_send_text(struct api_peer *, json_t *id, const char *event,
                        json_t *members, const char *text);
/* Sends bytes between lines (docs/formats/stream.md) to a client that wants
 * them. */
void api_peer_send_frame(struct api_peer *, const void *head, size_t head_len,
                         const void *body, size_t len);
/* Sends the event. */
void api_peer_send(struct api_peer *, json_t *id, const char *event,
                   json_t *members);
/* True when an offered event would be dropped. */
bool api_peer_is_busy(const struct api_peer *);

/* What a client may do; what asks for none of these everybody may who is let
 * in. */
enum api_right {
    API_RIGHT_NONE = 0,
    API_RIGHT_BYTES = 1 << 0,    /* See the bytes of packets. */
    API_RIGHT_TRIGGERS = 1 << 1, /* Set live filters. */
    API_RIGHT_CONTROL = 1 << 2,  /* Change what the daemon does. */
    API_RIGHT_ALL = 7
};

/* What is known of a client; texts are borrowed until it is changed. */
struct api_peer_info {
    uint64_t number;
    const char *address; /* "unix", or "ssl:" and the name of its
                          * certificate. */
    const char *program; /* As it calls itself; NULL: it has not said. */
    unsigned int rights; /* enum api_right. */
    unsigned int frame;  /* The highest version of histories as bytes that it
                          * wants (docs/formats/stream.md); 0: as text. */
    uint64_t since_ns;
    uint64_t n_requests, n_events, n_missed;
    size_t n_waiting; /* Bytes that it has not read. */
};
void api_peer_info(const struct api_peer *, struct api_peer_info *);
bool api_peer_has(const struct api_peer *, enum api_right);
unsigned int api_peer_frame(const struct api_peer *);
/* As it says in `hello`; 'program' may be NULL. */
void api_peer_introduce(struct api_peer *, const char *program,
                        unsigned int frame);

/* A pointer of the server's, NULL at first. */
void api_peer_set_data(struct api_peer *, void *data);
void *api_peer_data(const struct api_peer *);
/* Number of this client, never given twice by one server. */
uint64_t api_peer_number(const struct api_peer *);

/* Closes it, soon. */
void api_peer_close(struct api_peer *);

#endif /* lib/api_peer.h */
