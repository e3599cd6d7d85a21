/* SPDX-License-Identifier: Apache-2.0 */
/* recorder_link - the server's standing connection to the recorder.
 *
 * It subscribes to topology and rules, again after every reconnect, keeps the
 * rule cache filled, asks for single rules, and passes clients' requests on.
 *
 * Threads: that of the event loop; callbacks come from it. */
#ifndef SERVER_RECORDER_LINK_H
#define SERVER_RECORDER_LINK_H 1

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/api_link.h"
#include "lib/topology.h"
#include "server/counters.h"
#include "server/rule_cache.h"

struct event_base;

/* Questions for single rules that may be under way at a time. */
#define RECORDER_LINK_MAX_ASKED 1024

struct recorder_link_config {
    const char *path; /* The recorder's socket. */
    struct rule_cache *rules;
    /* A new topology, borrowed.  May be NULL. */
    void (*on_topology)(void *aux, struct topology *);
    /* Rules came or were denied: groups may be looked at again. */
    void (*on_rules)(void *aux);
    /* How many postcards a switch has sent.  May be NULL. */
    void (*on_count)(void *aux, uint64_t dpid, uint64_t asked_ns,
                     uint64_t time_ns, uint64_t n_sent);
    /* Where the recorder keeps its flow log. */
    void (*on_flow_log)(void *aux, const char *path);
    void *aux;
};

struct recorder_link;

struct recorder_link *
recorder_link_create(struct event_base *, const struct recorder_link_config *);
void recorder_link_destroy(struct recorder_link *);

bool recorder_link_is_up(const struct recorder_link *);
/* True when all rules that stood at the time of subscribing were given to the
 * rule cache. */
bool recorder_link_is_synced(const struct recorder_link *);

/* Asks for a rule: the 'ask' of a rule cache ('link' is a recorder_link). */
bool recorder_link_ask(void *link, uint64_t dpid, uint32_t version);
/* As api_link_call(). */
int recorder_link_call(struct recorder_link *, const char *op, json_t *members,
                       api_link_answer *, void *aux);

/* Sets those of '*counters' that are counted here. */
void recorder_link_collect(const struct recorder_link *, struct counters *);

#endif /* server/recorder_link.h */
