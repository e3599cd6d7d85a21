/* SPDX-License-Identifier: Apache-2.0 */
/* app_names - what people call switches, ports and hosts.
 *
 * Switches and ports have their names from a topology, hosts from a file like
 * /etc/hosts: an address (IPv4, IPv6 or MAC) and a name a line, '#' begins a
 * comment.  What has no name is shown by its number.
 *
 * Ownership: the topology is referenced.
 *
 * Threads: one. */
#ifndef APPS_APP_NAMES_H
#define APPS_APP_NAMES_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/nearest.h"
#include "lib/topology.h"

#define APP_NAMES_BUFSIZE 128

struct app_names;

/* 'hosts' is the file, or NULL for none.  0, or a positive errno with a reason
 * that names the file, and the line if that is wrong. */
int app_names_create(const char *hosts, struct app_names **,
                     struct lh_error *);
void app_names_destroy(struct app_names *);

/* Takes names from 'topology' (referenced, NULL: none) from now on. */
void app_names_set_topology(struct app_names *, const struct topology *);
const struct topology *app_names_topology(const struct app_names *);

/* Write the name, or the 16 hex digits or the number, into 'buf' and return
 * it.  A reserved port is "CONTROLLER" and the like, one that is not known
 * "?". */
char *app_names_switch(const struct app_names *, uint64_t dpid,
                       char buf[APP_NAMES_BUFSIZE]);
char *app_names_port(const struct app_names *, uint64_t dpid, uint32_t port,
                     char buf[APP_NAMES_BUFSIZE]);

/* The name of the host with 'address', as text, or NULL. */
const char *app_names_host(const struct app_names *, const char *address);
/* Address 'i' of those called 'name' there, or NULL when there are not so
 * many. */
const char *app_names_address(const struct app_names *, const char *name,
                              size_t i);
/* Tries all names of hosts, or of switches. */
void app_names_try_hosts(const struct app_names *, struct nearest *);
void app_names_try_switches(const struct app_names *, struct nearest *);
/* 'text' with names in place of the addresses in it, for free(). */
char *app_names_in_text(const struct app_names *, const char *text);

/* Why names in a filter (NULL: none) match nothing: no switch is in 'topology'
 * (NULL: none is known).  NULL where some are, or the filter has no names. */
const char *app_names_why_none(const struct topology *topology,
                               const char *phf);

/* The switch that 'text' is the name or the number of: 0, or ENOENT with a
 * reason (lib/name_miss.h). */
int app_names_find_switch(const struct app_names *, const char *text,
                          uint64_t *dpid, struct lh_error *);
/* The same of a port of switch 'dpid'. */
int app_names_find_port(const struct app_names *, uint64_t dpid,
                        const char *text, uint32_t *port, struct lh_error *);

#endif /* apps/app_names.h */
