/* SPDX-License-Identifier: Apache-2.0 */
/* recorder_config - what the command line says.  Read-only once parsed.
 *
 * Threads: plain data. */
#ifndef RECORDER_RECORDER_CONFIG_H
#define RECORDER_RECORDER_CONFIG_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/endpoint.h"
#include "recorder/ovsdb.h"
#include "recorder/postcard_ports.h"
#include "lib/tls.h"

/* Who connects to 'listen', a switch, is connected to 'controller'; or a guest
 * to 'bridge'. */
struct recorder_route {
    struct endpoint listen;
    const struct endpoint *controller; /* NULL when attached or a guest's. */
    struct endpoint bridge;            /* Of guests: its management socket. */
    bool is_attached;                  /* We connect to 'listen', a bridge. */
    bool force; /* Attached although fail-mode is standalone. */
};

struct recorder_config {
    struct recorder_route *routes; /* One or more.  Owned. */
    size_t n_routes;
    struct endpoint *controllers; /* One connection for each switch.  Owned. */
    size_t n_controllers;
    const char **attach; /* BRIDGE[,sock=ENDPOINT].  Owned. */
    size_t n_attach;
    const char **serve; /* BRIDGE[,at=ENDPOINT][,sock=ENDPOINT].  Owned. */
    size_t n_serve;
    struct recorder_route *served; /* What they mean.  Owned. */
    size_t n_served;
    bool keeps_instrumented;         /* Nothing is detached at the end. */
    struct tls_files switch_tls;     /* For ssl: of routes, */
    struct tls_files controller_tls; /* and of controllers. */
    struct postcard_ports postcards; /* None: versions only.  Owned. */
    struct ovsdb_config ovsdb;       /* db is NULL without --ovsdb. */
    uint16_t snap_len;
    bool is_unwatched;       /* No flow monitor of our own. */
    uint32_t max_postcards;  /* A second and switch; 0: no cap. */
    const char *select_file; /* Of selections, or NULL. */
    char *state_dir;         /* Owned. */
    char *socket_path;       /* Owned. */
    const char *metrics;     /* ADDR:PORT; NULL: none. */
    bool is_standby;         /* Waits while another recorder has the log. */
    uint64_t keep_bytes;     /* The flow log takes no more; 0: any. */
    uint64_t keep_ns;        /* What was over is kept so long; 0: for ever. */
    uint64_t retain_ns;      /* So long a server that is silent counts. */
    bool is_strip;           /* Takes everything out of bridges and ends. */
    unsigned int setup_s;    /* How long the set-up of a switch may take. */
    const char **bridges;    /* Names to instrument; none: all. */
    size_t n_bridges;
};

/* Reads the files of each side that has an endpoint ssl:; the other stays
 * NULL. 0, or EINVAL with a reason that names the file. */
int recorder_tls_open(const struct recorder_config *, struct tls **switch_tls,
                      struct tls **controller_tls, struct lh_error *);

#endif /* recorder/recorder_config.h */
