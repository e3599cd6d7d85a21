/* SPDX-License-Identifier: Apache-2.0 */
/* options - what lasthop-agent was asked to do, from its command line.
 *
 * Threads: plain data. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/packet_id.h"

#define OPTIONS_MAX_INTERFACES 64

struct options {
    /* All strings are borrowed from argv. */
    const char *server; /* HOST[:PORT][,or=HOST[:PORT]].. */
    const char *private_key, *certificate, *ca_cert;
    const char *spool; /* NULL: none. */
    uint64_t spool_bytes;
    uint64_t memory_bytes; /* Without a spool. */
    double cpu;            /* Of one processor; 0: no bound. */
    size_t n_interfaces;
    const char *interfaces[OPTIONS_MAX_INTERFACES];
    uint16_t snap; /* Of interfaces. */
    struct packet_id_config id_config;
    bool no_rings;
    const char *process; /* Name of the switch's processes. */
    const char *pidfile; /* NULL: all of these. */
    const char *name;    /* Of this host; NULL: its own. */
    const char *metrics; /* ADDR:PORT; NULL: none. */
    uint64_t flush_ns;   /* A batch waits no longer. */
    uint64_t poll_ns;    /* Rings are looked at so often. */
    int verbosity;
    bool wants_help, wants_version;
};

/* Returns 0, or EINVAL with the reason. */
int options_parse(struct options *, int argc, char *argv[], struct lh_error *);
/* The text of --help. */
extern const char options_help[];

#endif /* agent/options.h */
