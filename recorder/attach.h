/* SPDX-License-Identifier: Apache-2.0 */
/* attach - bridges that the recorder connects to itself, by their management
 * sockets: bridges without a controller, or managed by others.
 *
 * For each there is a session without a controller.  When the connection ends
 * it is made anew until the bridge is detached: then the rules are again what
 * their owners wrote, what is ours is gone, and so is the postcard port if the
 * recorder made it.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_ATTACH_H
#define RECORDER_ATTACH_H 1

#include <stdbool.h>
#include <jansson.h>

#include "lib/lh_error.h"

#define ATTACH_RETRY_S   2
#define ATTACH_REFUSED_S 30 /* Between looks at a bridge that is not fit. */
#define ATTACH_DETACH_S  10 /* Then a bridge is left as it is. */

struct attach;
struct session;
struct session_env;

/* 'began' is called with every session, which env->ended() ends. */
struct attach *attach_create(const struct session_env *,
                             void (*began)(void *aux, struct session *),
                             void *aux);
/* Ends at once; bridges stay as they are. */
void attach_destroy(struct attach *);

/* Attaches to 'bridge' by 'socket' ("unix:PATH"; NULL: its management socket
 * in the directory of OVSDB's).  0, EEXIST when it is attached, or EINVAL. One
 * that was refused is tried again. */
int attach_add(struct attach *, const char *bridge, const char *socket,
               bool force, struct lh_error *);

/* The same by "BRIDGE" or "BRIDGE,sock=ENDPOINT". */
int attach_add_text(struct attach *, const char *text, bool force,
                    struct lh_error *);

/* Called once: 'error' is NULL when the bridge is as its owners want it. */
typedef void attach_done(void *aux, const char *error);
/* Detaches; 0, or ENOENT when it is not attached (and 'done' is not
 * called). */
int attach_remove(struct attach *, const char *bridge, attach_done *done,
                  void *aux, struct lh_error *);
/* Detaches all and calls 'done' when that is over. */
void attach_remove_all(struct attach *, void (*done)(void *aux), void *aux);

/* A session is over; others' are ignored. */
void attach_ended(struct attach *, const struct session *);

/* For `stats`: an array, new. */
json_t *attach_stats(const struct attach *);

#endif /* recorder/attach.h */
