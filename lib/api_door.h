/* SPDX-License-Identifier: Apache-2.0 */
/* api_door - an API server's clients that come over TCP, with TLS: each shows
 * a certificate that our CA signed, and may do what the access file says of
 * its name (lib/api_access.h).
 *
 * Threads: that of the event loop. */
#ifndef LIB_API_DOOR_H
#define LIB_API_DOOR_H 1

#include "lib/api_server.h"
#include "lib/lh_error.h"
#include "lib/tls.h"

struct event_base;

/* How long a client may take to show who it is, and how many may be about it
 * at a time. */
#define API_DOOR_TIMEOUT_S 10
#define API_DOOR_MAX       64

struct api_door_config {
    const char *listen; /* "ADDR:PORT", "[ADDR]:PORT". */
    struct tls_files files;
    const char *access; /* File. */
};

struct api_door_counters {
    uint64_t refused; /* Who has no certificate of ours, or no line there. */
    uint64_t full;    /* More came at a time than API_DOOR_MAX. */
};

struct api_door;

/* 0, or an errno value with a reason that names what is wrong.  The config is
 * not kept; 'server' must outlive it. */
int api_door_open(struct event_base *, const struct api_door_config *,
                  struct api_server *server, struct api_door **,
                  struct lh_error *);
/* Reads the access file again.  Clients whose rights it has changed are
 * closed, and come again with the new ones.  0, or an errno value with the
 * reason; then all is as it was. */
int api_door_reload(struct api_door *, struct lh_error *);
/* Those that came in stay with the server. */
void api_door_close(struct api_door *);
const struct api_door_counters *api_door_counters(const struct api_door *);

#endif /* lib/api_door.h */
