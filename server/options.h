/* SPDX-License-Identifier: Apache-2.0 */
/* options - what lasthop-server was asked to do, from its command line.
 *
 * Threads: plain data. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/packet_id.h"
#include "server/cluster_options.h"
#include "server/ingest.h"

struct options {
    /* All strings are borrowed from argv. */
    size_t n_listen;
    const char **listen; /* "ADDR:PORT" of geneve.  Owned array. */
    const char *agents;  /* "[tcp:|ssl:]ADDR:PORT"; NULL: none. */
    size_t n_capture;
    const char **capture; /* Interfaces.  Owned array. */
    size_t n_read;
    const char **read; /* Files.  Owned array. */
    size_t n_accept;
    const char **accept; /* Owned array. */
    enum ingest_encap encap;
    uint16_t mac_vlan;
    struct packet_id_config id_config;
    const char *topology;
    const char *rules;
    const char *rundir;       /* NULL: the environment's, or the default. */
    unsigned int socket_mode; /* 0: the default. */
    const char *socket_group; /* NULL: the process's. */
    const char *api_listen;   /* ADDR:PORT of TLS; NULL: none. */
    const char *private_key, *certificate, *ca_cert, *access;
    const char *metrics;  /* ADDR:PORT; NULL: none. */
    const char *recorder; /* Socket; NULL: in the run directory. */
    bool no_recorder;
    const char *archive; /* NULL: none. */
    const char *flow_log;
    unsigned int n_threads; /* 1 or more. */
    bool has_threads;       /* It was said. */
    uint64_t window_ns;
    uint64_t round_ns;
    uint64_t retain_bytes;        /* 0: never. */
    uint64_t retain_ns;           /* 0: never. */
    bool is_archive_us;           /* It keeps whole microseconds. */
    unsigned int n_query_threads; /* 0: one for each processor. */
    bool is_lossless;
    bool json;
    struct cluster_options cluster;
    int verbosity;
    bool wants_help, wants_version;
};

/* Returns 0, or EINVAL with the reason. */
int options_parse(struct options *, int argc, char *argv[], struct lh_error *);
void options_uninit(struct options *);
/* Threads that read the archive; 0: there is none. */
unsigned int options_query_threads(const struct options *);

/* The text of --help. */
extern const char options_help[];

#endif /* server/options.h */
