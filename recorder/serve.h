/* SPDX-License-Identifier: Apache-2.0 */
/* serve - what --serve says: sockets at which the recorder takes connections
 * to the management sockets of bridges.
 *
 * Threads: one. */
#ifndef RECORDER_SERVE_H
#define RECORDER_SERVE_H 1

#include "lib/lh_error.h"

struct recorder_config;

/* Makes config->served of config->serve, "BRIDGE[,at=ENDPOINT]
 * [,sock=ENDPOINT]" each.  Without 'at' clients connect to BRIDGE.mgmt in the
 * directory of config->socket_path, without 'sock' the recorder to the
 * bridge's own management socket.  0, or EINVAL with a reason. */
int serve_make(struct recorder_config *, struct lh_error *);
void serve_uninit(struct recorder_config *);

#endif /* recorder/serve.h */
