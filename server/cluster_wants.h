/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_wants - the threshold that agents of all servers of a cluster want,
 * so that all hops of a packet are kept or none.
 *
 *     cluster_wants_run(wants, smallest, now_ns);    some times a second
 *     .. on_change: cluster_wants_others() ..
 *
 * Each server tells the others the smallest threshold that its own agents want
 * (lh.want, docs/formats/cluster.md): at once when that changes, and each
 * second as long as it is not all packets.  One that is silent for
 * CLUSTER_WANTS_SILENT_NS wants nothing any more.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_WANTS_H
#define SERVER_CLUSTER_WANTS_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"

#define CLUSTER_WANTS_SUBJECT   "lh.want"
#define CLUSTER_WANTS_NS        UINT64_C(1000000000) /* Told again. */
#define CLUSTER_WANTS_SILENT_NS UINT64_C(3500000000)
#define CLUSTER_WANTS_MAX       1024 /* Other servers. */

struct bus;
struct cluster_wants;

/* 'bus' is borrowed; NULL: nothing is sent or heard, for tests.  'on_change'
 * is called when what the others want is another threshold. */
struct cluster_wants *
cluster_wants_create(struct bus *,
                     void (*on_change)(void *aux, uint32_t others), void *aux);
/* NULL is fine. */
void cluster_wants_destroy(struct cluster_wants *);

/* Its own agents want 'smallest'.  Sends what is due and forgets who is
 * silent; 'now_ns' is of a clock that goes forward. */
void cluster_wants_run(struct cluster_wants *, uint32_t smallest,
                       uint64_t now_ns);
/* The smallest that others want; UINT32_MAX: all packets. */
uint32_t cluster_wants_others(const struct cluster_wants *);

/* What that does: appends the message that is due to 'out', if one is, and
 * takes one.  Returns 0, EBADMSG, or ENOTSUP: a newer version wrote it. */
void cluster_wants_put(struct cluster_wants *, uint32_t smallest,
                       uint64_t now_ns, struct byte_buf *out);
int cluster_wants_take(struct cluster_wants *, const uint8_t *data,
                       size_t size, uint64_t now_ns, struct lh_error *);

#endif /* server/cluster_wants.h */
