/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_packet - the packet at a hop: `x`, its bytes, and `info packet`, its
 * fields.
 *
 * Threads: one. */
#ifndef APPS_NDB_PACKET_H
#define APPS_NDB_PACKET_H 1

#include "apps/ndb.h"

/* `x[/FMT] [out] [WHERE]`. */
enum ndb_status ndb_packet_x(struct ndb *, const char *args);
/* `info packet`. */
enum ndb_status ndb_packet_info(struct ndb *, const char *args);

#endif /* apps/ndb_packet.h */
