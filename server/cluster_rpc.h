/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_rpc - questions between servers of a cluster: JSON objects over the
 * bus, {"op":..} and {"ok":true,..} or {"ok":false,"errno":N,"message":".."}
 * (docs/formats/cluster.md).
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_RPC_H
#define SERVER_CLUSTER_RPC_H 1

#include <jansson.h>
#include <stdint.h>

#include "lib/bus.h"

/* Where the server of that name is asked: "lh.rpc.NAME". */
#define CLUSTER_RPC_SUBJECT "lh.rpc."
/* Where the holder of the coordinator's lease is. */
#define CLUSTER_RPC_COORDINATOR "lh.coordinator"
/* An answer is no longer; NATS takes 1 MiB by default. */
#define CLUSTER_RPC_MAX (1000u << 10)

struct cluster_rpc;
struct cluster_rpc_call;

/* Answers a question, with one of the two functions below, now or later. */
typedef void cluster_rpc_handler(void *aux, struct cluster_rpc_call *,
                                 const char *op, const json_t *request);

/* Listens on 'subject'. */
struct cluster_rpc *cluster_rpc_create(struct bus *, const char *subject,
                                       cluster_rpc_handler *, void *aux);
/* NULL is fine.  Calls that are open may still be ended. */
void cluster_rpc_destroy(struct cluster_rpc *);

/* 'members' (may be NULL) is taken; the call is gone. */
void cluster_rpc_answer(struct cluster_rpc_call *, json_t *members);
void cluster_rpc_fail(struct cluster_rpc_call *, int error_number,
                      const char *message);

/* The same with bytes, the first of which is not '{' and of which there are no
 * more than CLUSTER_RPC_MAX. */
void cluster_rpc_answer_bytes(struct cluster_rpc_call *, const void *data,
                              size_t size);

/* The outcome: 0 and the answer; ETIMEDOUT; ECONNREFUSED: nobody is there;
 * EPROTO; or what the other said, with the reason. */
typedef void cluster_rpc_fn(void *aux, int error_number, const char *why,
                            const json_t *answer);

/* 'members' (may be NULL) is taken.  0, or ENOBUFS: then the function is not
 * called.  bus_forget(bus, aux) ends it without. */
int cluster_rpc_ask(struct bus *, const char *subject, const char *op,
                    json_t *members, uint32_t timeout_ms, cluster_rpc_fn *,
                    void *aux);
/* The same, for answers that may be bytes: 'answer' is NULL then. */
typedef void cluster_rpc_bytes_fn(void *aux, int error_number, const char *why,
                                  const json_t *answer, const uint8_t *data,
                                  size_t size);
int cluster_rpc_ask_bytes(struct bus *, const char *subject, const char *op,
                          json_t *members, uint32_t timeout_ms,
                          cluster_rpc_bytes_fn *, void *aux);
/* The same without an answer. */
void cluster_rpc_send(struct bus *, const char *subject, const char *op,
                      json_t *members);

#endif /* server/cluster_rpc.h */
