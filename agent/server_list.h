/* SPDX-License-Identifier: Apache-2.0 */
/* server_list - the servers that an agent was told of, in a file beside its
 * spool, so that it finds them again when those of --server are gone
 * (docs/formats/agent.md).
 *
 * Threads: pure functions. */
#ifndef AGENT_SERVER_LIST_H
#define AGENT_SERVER_LIST_H 1

#include "lib/agent_frame.h"
#include "lib/byte_buf.h"
#include "lib/lh_error.h"

/* The file in directory 'dir' becomes that list, whole or not at all.  Returns
 * 0, or an errno with the reason. */
int server_list_save(const char *dir, const struct agent_servers *,
                     struct lh_error *);
/* The list, which is in 'buf' (empty).  Returns 0; ENOENT where there is none;
 * EBADMSG where it is not one; or another errno; with the reason. */
int server_list_load(const char *dir, struct byte_buf *buf,
                     struct agent_servers *, struct lh_error *);

#endif /* agent/server_list.h */
