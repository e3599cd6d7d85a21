/* SPDX-License-Identifier: Apache-2.0 */
/* lasthop/client.h - packet histories for programs of yours: the client of
 * lasthop-server and lasthop-recorder, liblasthop(3).
 *
 *     cc program.c $(pkg-config --cflags --libs lasthop)
 *
 * A client is one connection to one server.  Each thing that is asked of it is
 * a request: its `op` and members are those of docs/api.md, which has them
 * all, with examples.  This prints the last ten packets that were dropped:
 *
 *     static void
 *     show(struct lasthop_request *r, struct lasthop_history *h, void *aux)
 *     {
 *         lasthop_history_print(h, stdout, 0);
 *     }
 *
 *     struct lasthop_client *client = lasthop_client_create(NULL);
 *     struct lasthop_request *query = lasthop_request_create(client, "query");
 *
 *     lasthop_request_set_text(query, "phf", "{{--verdict dropped}}");
 *     lasthop_request_set_text(query, "order", "desc");
 *     lasthop_request_set_number(query, "limit", 10);
 *     lasthop_request_on_history(query, show, NULL);
 *     if (lasthop_client_connect(client) || lasthop_request_start(query) ||
 *         lasthop_request_wait(query, -1)) {
 *         fprintf(stderr, "%s\n", lasthop_client_error(client));
 *     }
 *     lasthop_client_destroy(client);
 *
 * Use it in one of three ways:
 *
 *   - Blocking, as above.  Whoever waits for live histories without an end
 *     calls lasthop_client_process() again and again.
 *   - In an event loop of libevent: lasthop_client_attach(), then everything
 *     comes by callbacks.
 *   - In any other loop: poll() what lasthop_client_pollfds() gives and call
 *     lasthop_client_process(client, 0).
 *
 * Nothing waits for a dead or hung server longer than the time-out of
 * lasthop_client_set_timeout() (10 seconds): an answer that does not come ends
 * its request with ETIMEDOUT, and a server that answers nothing at all for so
 * long is taken for gone, as if it had closed the connection.
 *
 * Results.  Functions that can fail return 0 or a positive errno; the reason
 * in words is lasthop_client_error() or lasthop_request_error().
 *
 *     ENOENT, ECONNREFUSED, EACCES, EAGAIN, ..   as connect(2)
 *     ETIMEDOUT     no answer in time
 *     ECONNRESET    the server closed the connection, or answers nothing
 *     ENOTCONN      there is no connection
 *     EPROTO        it sent something that is not the protocol
 *     EINTR         a signal came; nothing is lost, wait again
 *     ECANCELED     the request was cancelled
 *     EDEADLK       waiting is not possible with a loop of one's own
 *
 * and what the server answers, by its error codes:
 *
 *     EBADMSG  bad-request     EOPNOTSUPP    unknown-op
 *     EINVAL   bad-filter      ENOENT        not-found
 *     EDQUOT   limit           EHOSTUNREACH  unavailable
 *     EACCES   denied          EREMOTEIO     internal
 *
 * Memory.  Strings given are copied.  What a getter returns is borrowed and
 * lasts until the next call about the same object.  When there is no memory
 * the program ends.
 *
 * Threads.  A client, its requests and its callbacks belong to one thread at a
 * time.  A history may be handed to another thread whole, with its references.
 * The library writes nothing to standard output or error.  It has SIGPIPE
 * ignored by a program that does not handle it.
 *
 * Versions.  What is here stays: functions are only added, each under a symbol
 * version (LASTHOP_0, then LASTHOP_1, LASTHOP_2), and structs are opaque. */
#ifndef LASTHOP_CLIENT_H
#define LASTHOP_CLIENT_H 1

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct lasthop_client;
struct lasthop_history;
struct lasthop_hop;
struct lasthop_request;

/* A port, a version of a rule, that is not known.  Ports have the 16-bit
 * numbers of OpenFlow 1.0: 65533 is the controller, 65534 the switch itself.
 */
#define LASTHOP_PORT_UNKNOWN    0x10000u
#define LASTHOP_VERSION_UNKNOWN UINT32_MAX

/* The version of the library ("0.1.0"). */
const char *lasthop_version(void);

/* --- The connection ------------------------------------------------------ */

enum lasthop_state {
    LASTHOP_DOWN, /* Not connected, or not yet. */
    LASTHOP_UP    /* Requests go through. */
};

/* A client of the server at 'address':
 *
 *     "/run/lasthop/server.sock", "unix:/run/lasthop/server.sock"
 *     "ssl:server.example.net:7654", "ssl:[2001:db8::1]:7654"
 *     "tcp:server.example.net:7654": the same; TCP is always with TLS
 *     "recorder": recorder.sock in the run directory
 *     NULL or "server": $LASTHOP_SERVER where that is set, else server.sock
 *     in the run directory
 *
 * The run directory is $LASTHOP_RUNDIR, or /run/lasthop.  Nothing is connected
 * yet; what is wrong with the address lasthop_client_connect() says. */
struct lasthop_client *lasthop_client_create(const char *address);
/* Ends all requests and frees them too; no callback is called any more.  NULL
 * is fine, and so is calling it in a callback. */
void lasthop_client_destroy(struct lasthop_client *);

/* What follows up to lasthop_client_connect() is set before that. */

/* What this program is called where the server lists its clients; by default
 * "liblasthop". */
void lasthop_client_set_name(struct lasthop_client *, const char *name);
/* PEM files for "ssl:": our key and certificate, and the CA that signed that
 * of the server.  Default: $LASTHOP_KEY, $LASTHOP_CERT, $LASTHOP_CA. */
void lasthop_client_set_tls(struct lasthop_client *, const char *private_key,
                            const char *certificate, const char *ca_cert);
/* How long the server may take to accept us and to answer (default 10000).
 * Set later, it holds for what is asked from then on. */
void lasthop_client_set_timeout(struct lasthop_client *, unsigned int ms);
/* Connects again whenever the connection is lost, after growing pauses up to
 * 'max_pause_ms' (0: does not, the default).  Triggers and subscriptions are
 * then set again by themselves and told what they may have missed; other
 * requests end with ECONNRESET. */
void lasthop_client_set_reconnect(struct lasthop_client *,
                                  unsigned int max_pause_ms);
/* Histories as text even if the server can send them as bytes, which is
 * faster. */
void lasthop_client_set_json(struct lasthop_client *, bool is_json);
/* Told at each change, with the reason where it is LASTHOP_DOWN (else NULL).
 * Also each time when connecting again fails with another reason. */
void lasthop_client_on_state(struct lasthop_client *,
                             void (*callback)(struct lasthop_client *,
                                              enum lasthop_state,
                                              const char *why, void *aux),
                             void *aux);
/* Events missed that the server could not tell apart any more by request
 * (it does so for up to 32 of them). */
void lasthop_client_on_missed(struct lasthop_client *,
                              void (*callback)(struct lasthop_client *,
                                               uint64_t n, void *aux),
                              void *aux);
/* Runs in this loop, which must outlive the client. */
void lasthop_client_attach(struct lasthop_client *, struct event_base *);

/* Connects, and waits until that is done; in a loop of libevent it only begins
 * to, and on_state tells the rest.  When there is no connection, returns why,
 * even if it goes on trying (set_reconnect). */
int lasthop_client_connect(struct lasthop_client *);
enum lasthop_state lasthop_client_state(const struct lasthop_client *);
/* The last reason why something failed; "" at first. */
const char *lasthop_client_error(const struct lasthop_client *);
/* The address in full ("/run/lasthop/server.sock", "ssl:192.0.2.1:7654"). */
const char *lasthop_client_address(const struct lasthop_client *);
/* What the server says it can do, by the names of docs/api.md ("binary").
 * False while there is no connection. */
bool lasthop_client_has_feature(const struct lasthop_client *,
                                const char *name);

/* Waits up to 'timeout_ms' (negative: without end) until something has
 * happened, and calls its callbacks.  Returns 0, ETIMEDOUT, EINTR, or
 * ECONNRESET or another reason when there is no connection and none is tried
 * any more. */
int lasthop_client_process(struct lasthop_client *, int timeout_ms);
/* What to poll() for before lasthop_client_process(client, 0): fills up to
 * 'max' (8 are enough) of 'fds' and returns how many there are;
 * '*timeout_ms' is after how long to call it anyway (-1: no limit). */
size_t lasthop_client_pollfds(struct lasthop_client *, struct pollfd *fds,
                              size_t max, int *timeout_ms);

/* --- Requests ------------------------------------------------------------ */

/* A request for 'op', not sent yet. */
struct lasthop_request *lasthop_request_create(struct lasthop_client *,
                                               const char *op);
/* Cancels it if it runs; no callback is called any more.  NULL is fine, and so
 * is calling it in a callback. */
void lasthop_request_destroy(struct lasthop_request *);

/* Members of the request.  Text that is not UTF-8 and JSON that is none make
 * lasthop_request_start() fail with EINVAL. */
void lasthop_request_set_text(struct lasthop_request *, const char *name,
                              const char *value);
void lasthop_request_set_number(struct lasthop_request *, const char *name,
                                int64_t value);
void lasthop_request_set_bool(struct lasthop_request *, const char *name,
                              bool value);
void lasthop_request_set_json(struct lasthop_request *, const char *name,
                              const char *json);

/* The callbacks, each of which may be left out.  'aux' is passed on. */

/* It was accepted: lasthop_request_answer(). */
void lasthop_request_on_answer(struct lasthop_request *,
                               void (*callback)(struct lasthop_request *,
                                                void *aux),
                               void *aux);
/* A packet history, borrowed; keep it with lasthop_history_ref(). */
void lasthop_request_on_history(struct lasthop_request *,
                                void (*callback)(struct lasthop_request *,
                                                 struct lasthop_history *,
                                                 void *aux),
                                void *aux);
/* How far a query is. */
void lasthop_request_on_progress(struct lasthop_request *,
                                 void (*callback)(struct lasthop_request *,
                                                  uint64_t blocks_read,
                                                  uint64_t blocks, void *aux),
                                 void *aux);
/* Histories that did not come: 'n' of them because we were too slow, or, where
 * 'n' is 0, an unknown number, those of packets seen from 'since_ns' to
 * 'until_ns', when there was no connection, or between servers of a cluster
 * some may have been lost (ask the archive for them, by a query). */
void lasthop_request_on_missed(struct lasthop_request *,
                               void (*callback)(struct lasthop_request *,
                                                uint64_t n, uint64_t since_ns,
                                                uint64_t until_ns, void *aux),
                               void *aux);
/* In that callback, where 'n' is 0: what happened, as a person is told it
 * ("matches may have been lost on their way from another server").  Else, and
 * of a server that does not say, NULL. */
const char *lasthop_request_missed_why(const struct lasthop_request *);
/* Any other event, as JSON: those of `subscribe`. */
void lasthop_request_on_event(struct lasthop_request *,
                              void (*callback)(struct lasthop_request *,
                                               const char *json, void *aux),
                              void *aux);
/* Nothing follows; 'result' is lasthop_request_result().  Not called by what
 * ends inside lasthop_request_start(). */
void lasthop_request_on_end(struct lasthop_request *,
                            void (*callback)(struct lasthop_request *,
                                             int result, void *aux),
                            void *aux);

/* Sends it.  Returns 0, EINVAL for a member that cannot be sent, EALREADY if
 * it runs, or ENOTCONN; a trigger or subscription of a client that connects
 * again by itself is then sent as soon as it is connected.  One that has ended
 * may be started again. */
int lasthop_request_start(struct lasthop_request *);
/* Waits until it has ended, or up to 'timeout_ms' (negative: as long as the
 * server is alive).  A query ends after its last history, a trigger or
 * subscription does not end by itself, all others end with their answer.
 * Returns lasthop_request_result(), or EINPROGRESS after 'timeout_ms', or
 * EINTR. */
int lasthop_request_wait(struct lasthop_request *, int timeout_ms);
/* Waits until it was answered; otherwise the same. */
int lasthop_request_wait_answer(struct lasthop_request *, int timeout_ms);
/* start, then wait. */
int lasthop_request_run(struct lasthop_request *, int timeout_ms);
/* Ends a query or a trigger: on_end follows, with ECANCELED.  ENOENT when it
 * does not run. */
int lasthop_request_cancel(struct lasthop_request *);

/* EINPROGRESS while it runs, then 0 or what went wrong; ENOENT before it was
 * started. */
int lasthop_request_result(const struct lasthop_request *);
/* The reason in words; NULL when nothing is wrong. */
const char *lasthop_request_error(const struct lasthop_request *);
/* The byte of the filter that is wrong, or -1. */
int lasthop_request_error_pos(const struct lasthop_request *);
/* The answer, or the event `end` of what has ended so, as a JSON object; NULL
 * when there is none. */
const char *lasthop_request_answer(const struct lasthop_request *);
const char *lasthop_request_end(const struct lasthop_request *);
/* The number 'name' of the event `end`, else of the answer ("scanned",
 * "lost", "trigger"); false when neither has one. */
bool lasthop_request_number(const struct lasthop_request *, const char *name,
                            int64_t *value);

/* --- Histories ----------------------------------------------------------- */

struct lasthop_history *lasthop_history_ref(struct lasthop_history *);
void lasthop_history_unref(struct lasthop_history *);

/* False when too little was captured to tell packets apart. */
bool lasthop_history_packet_id(const struct lasthop_history *, uint64_t *);
/* "delivered", "dropped", "lost", "looped", "controller", "open"; NULL:
 * none. */
const char *lasthop_history_verdict(const struct lasthop_history *);
/* Where it was decided; '*port' and '*version' may be unknown. */
void lasthop_history_verdict_at(const struct lasthop_history *, uint64_t *dpid,
                                uint32_t *port, uint32_t *version);
/* For people; NULL: none. */
const char *lasthop_history_verdict_reason(const struct lasthop_history *);
/* Of the first and last postcard, nanoseconds since 1970; 0: not known. */
uint64_t lasthop_history_first_ns(const struct lasthop_history *);
uint64_t lasthop_history_last_ns(const struct lasthop_history *);
/* How long after the first hop, or after the one that sent it there
 * (lasthop_hop_parent()), hop 'i' was.  Where those have different clocks, as
 * on switches that make postcards themselves, '*ns' is corrected by how far
 * the server found them apart, and '*error_ns' is how wrong that may be at
 * most (0: one clock); -1: the clocks could not be compared, and '*ns' is the
 * plain difference.  False when there is nothing to compare. */
bool lasthop_history_after_ns(const struct lasthop_history *, size_t i,
                              int64_t *ns, int64_t *error_ns);
bool lasthop_history_latency_ns(const struct lasthop_history *, size_t i,
                                int64_t *ns, int64_t *error_ns);
/* As docs/formats/history.md has it, for free(). */
char *lasthop_history_json(const struct lasthop_history *);

/* What lasthop_history_print() does besides. */
#define LASTHOP_PRINT_COLOR 1 /* Colours of a terminal. */
#define LASTHOP_PRINT_UTC   2 /* Times in UTC. */
#define LASTHOP_PRINT_FULL  4 /* The header's bytes too. */
/* Writes it for people. */
void lasthop_history_print(const struct lasthop_history *, FILE *, int flags);

/* Hops are in depth-first order, where a packet was flooded; else in the order
 * of the packet's way. */
size_t lasthop_history_n_hops(const struct lasthop_history *);
const struct lasthop_hop *lasthop_history_hop(const struct lasthop_history *,
                                              size_t i);

uint64_t lasthop_hop_dpid(const struct lasthop_hop *);
/* The number of the hop that sent it here; -1: the first. */
int lasthop_hop_parent(const struct lasthop_hop *);
uint32_t lasthop_hop_in_port(const struct lasthop_hop *);
/* '*n' ports; LASTHOP_PORT_UNKNOWN alone when they are not known, none when
 * the packet was dropped here. */
const uint32_t *lasthop_hop_out_ports(const struct lasthop_hop *, size_t *n);
/* Of the rules that it matched; `flow` of docs/api.md tells each. */
const uint32_t *lasthop_hop_versions(const struct lasthop_hop *, size_t *n);
/* 0: not known.  By the clock of whoever stamped it, as it was: for time
 * between hops see lasthop_history_after_ns(). */
uint64_t lasthop_hop_time_ns(const struct lasthop_hop *);
/* The packet as it came in, from its Ethernet header on, cut to what was
 * captured, and as it went out.  NULL: not known, or withheld. */
const uint8_t *lasthop_hop_header(const struct lasthop_hop *, size_t *len);
const uint8_t *lasthop_hop_header_out(const struct lasthop_hop *, size_t *len);
/* False: no postcard came from here, it follows from its neighbours. */
bool lasthop_hop_is_observed(const struct lasthop_hop *);
/* The verdict of what ended here; NULL when all went on. */
const char *lasthop_hop_verdict(const struct lasthop_hop *);

#ifdef __cplusplus
}
#endif

#endif /* lasthop/client.h */
