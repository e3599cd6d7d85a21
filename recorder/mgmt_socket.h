/* SPDX-License-Identifier: Apache-2.0 */
/* mgmt_socket - where Open vSwitch has the management sockets of its bridges.
 *
 * Threads: any, but it reads the environment. */
#ifndef RECORDER_MGMT_SOCKET_H
#define RECORDER_MGMT_SOCKET_H 1

/* "unix:DIR/BRIDGE.mgmt" of 'bridge', for free().  The directory is that of
 * 'db', a Unix socket of OVSDB ("unix:PATH"; or another kind, or NULL), or
 * else $OVS_RUNDIR, or else that of the distribution. */
char *mgmt_socket(const char *db, const char *bridge);

#endif /* recorder/mgmt_socket.h */
