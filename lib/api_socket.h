/* SPDX-License-Identifier: Apache-2.0 */
/* api_socket - the Unix sockets that lasthop's programs meet at.
 *
 * They stand in the run directory: $LASTHOP_RUNDIR, or /run/lasthop.
 *
 * Threads: any, but api_socket_path() reads the environment. */
#ifndef LIB_API_SOCKET_H
#define LIB_API_SOCKET_H 1

#include <sys/types.h>

#include "lib/lh_error.h"

#define API_SOCKET_RECORDER "recorder.sock"
#define API_SOCKET_SERVER   "server.sock"

/* The path of socket 'name' in the run directory, for free(). */
char *api_socket_path(const char *name);

/* Listens at 'path' with mode 0660, making its directory if only that is not
 * there.  A socket file at which nobody answers is taken over.  Returns 0 and
 * the non-blocking socket, or a positive errno with a reason that names
 * 'path': EADDRINUSE when somebody answers there, EEXIST when something else
 * than a socket is there.  The directory is locked (flock(2)) meanwhile, so
 * that of several that start at once one gets it; EAGAIN when others have held
 * that lock for 2 seconds. */
int api_socket_listen(const char *path, int *fdp, struct lh_error *);
/* The same with another mode and group ((gid_t) -1: the process's). */
int api_socket_listen_as(const char *path, mode_t mode, gid_t group, int *fdp,
                         struct lh_error *);

/* Connects to 'path'.  Returns 0 and the non-blocking socket, or a positive
 * errno with a reason that names 'path'. */
int api_socket_connect(const char *path, int *fdp, struct lh_error *);

#endif /* lib/api_socket.h */
