/* SPDX-License-Identifier: Apache-2.0 */
/* client_json - <lasthop/client.h> for programs of this tree: JSON as json_t,
 * histories as struct history.  No part of the shared library.
 *
 * Ownership: what is returned is borrowed, as there.
 *
 * Threads: as there. */
#ifndef LIB_CLIENT_JSON_H
#define LIB_CLIENT_JSON_H 1

#include <jansson.h>
#include <lasthop/client.h>

#include "lib/history.h"

/* Sets the member 'name' to 'value', which is taken. */
void client_json_set(struct lasthop_request *, const char *name,
                     json_t *value);
/* The answer, the event `end`; NULL when there is none. */
const json_t *client_json_answer(const struct lasthop_request *);
const json_t *client_json_end(const struct lasthop_request *);
/* In a callback for an event: the whole event.  NULL where it came as
 * bytes. */
const json_t *client_json_event(const struct lasthop_request *);

const struct history *client_json_history(const struct lasthop_history *);
/* Whether the connection was given up because the server said nothing. */
bool client_json_was_silent(const struct lasthop_client *);
/* In a callback for a history: takes it out, for history_destroy(); there must
 * be no other reference, and only lasthop_history_unref() may follow. */
struct history *client_json_take_history(struct lasthop_history *);

#endif /* lib/client_json.h */
