/* SPDX-License-Identifier: Apache-2.0 */
/* strip_port - takes out of a bridge's configuration what a recorder put
 * there, by ovs-vsctl and ovs-ofctl as child processes.
 *
 * What is the recorder's is known by marks in external_ids: Geneve ports that
 * it made, collector ports that it kept out of FLOOD and NORMAL, and OpenFlow
 * 1.0 that it added to a bridge's protocols.  What has no mark stays.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_STRIP_PORT_H
#define RECORDER_STRIP_PORT_H 1

struct event_base;
struct strip_port;

struct strip_port_result {
    const char *error;   /* NULL: nothing of ours is left. */
    const char *removed; /* In words, or NULL when there was nothing. */
};

/* Called once; the strip_port is freed after it. */
typedef void strip_port_done(void *aux, const struct strip_port_result *);

/* For 'bridge' of the OVSDB 'db', whose management socket is 'socket'
 * ("unix:PATH", or NULL when it is not known). */
struct strip_port *strip_port_start(struct event_base *, const char *db,
                                    const char *bridge, const char *socket,
                                    strip_port_done *, void *aux);
/* The callback is not called; takes NULL. */
void strip_port_cancel(struct strip_port *);

#endif /* recorder/strip_port.h */
