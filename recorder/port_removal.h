/* SPDX-License-Identifier: Apache-2.0 */
/* port_removal - takes a port away again that a recorder made on a bridge, by
 * ovs-vsctl, and the bridge's setting to make postcards itself.  A port
 * without the mark of such ports stays.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_PORT_REMOVAL_H
#define RECORDER_PORT_REMOVAL_H 1

struct event_base;
struct port_removal;

/* Called once, with NULL or why the port stays; the removal is freed after. */
typedef void port_removal_done(void *aux, const char *error);

/* A port that is not there is well removed; NULL: there is none to remove. */
struct port_removal *port_removal_start(struct event_base *, const char *db,
                                        const char *bridge, const char *port,
                                        port_removal_done *done, void *aux);
/* 'done' is not called.  May be NULL. */
void port_removal_cancel(struct port_removal *);

#endif /* recorder/port_removal.h */
