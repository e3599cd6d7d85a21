/* SPDX-License-Identifier: Apache-2.0 */
/* ovsdb_paths - where the sockets of an Open vSwitch of this host are.
 *
 * Ownership: paths are for free().
 *
 * Threads: pure functions, but for the directory that is looked into. */
#ifndef RECORDER_OVSDB_PATHS_H
#define RECORDER_OVSDB_PATHS_H 1

/* The directory of the sockets, when its database is at 'db' ("unix:PATH");
 * NULL where that is on another host. */
char *ovsdb_paths_directory(const char *db);

/* The socket by which ovs-appctl reaches its ovs-vswitchd, or NULL. */
char *ovsdb_paths_control(const char *directory);

#endif /* recorder/ovsdb_paths.h */
