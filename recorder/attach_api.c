/* SPDX-License-Identifier: Apache-2.0 */
/* attach_api - the operations `attach` and `detach`. */
#include <config.h>
#include "recorder/attach_api.h"

#include <errno.h>

#include "lib/api_server.h"
#include "lib/jmember.h"
#include "recorder/attach.h"

static void
handle_attach(struct api_call *call, const json_t *request, void *attach)
{
    struct jmember root = jmember_root(request);
    struct jmember bridge_member = jmember_get(&root, "bridge");
    struct jmember socket_member = jmember_get(&root, "socket");
    struct jmember force_member = jmember_get(&root, "force");
    const char *bridge, *socket = NULL;
    struct lh_error error;
    bool force = false;

    if (jmember_string(&bridge_member, &bridge, &error) ||
        (jmember_is_there(&socket_member) &&
         jmember_string(&socket_member, &socket, &error)) ||
        (jmember_is_there(&force_member) &&
         jmember_bool(&force_member, &force, &error)) ||
        attach_add(attach, bridge, socket, force, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }
    api_call_answer(call, NULL);
}

static void
on_detached(void *call, const char *error)
{
    if (error) {
        api_call_fail(call, API_INTERNAL, "%s", error);
    } else {
        api_call_answer(call, NULL);
    }
}

static void
handle_detach(struct api_call *call, const json_t *request, void *attach)
{
    struct jmember root = jmember_root(request);
    struct jmember bridge_member = jmember_get(&root, "bridge");
    struct lh_error error;
    const char *bridge;

    if (jmember_string(&bridge_member, &bridge, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
    } else if (attach_remove(attach, bridge, on_detached, call, &error)) {
        api_call_fail_error(call, API_NOT_FOUND, &error);
    }
}

void
attach_api_add(struct api_server *server, struct attach *attach)
{
    api_server_add_op(server, "attach", handle_attach, attach);
    api_server_add_op(server, "detach", handle_detach, attach);
}
