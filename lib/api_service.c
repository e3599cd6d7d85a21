/* SPDX-License-Identifier: Apache-2.0 */
/* api_service - what every API server answers about itself. */
#include <config.h>
#include "lib/api_service.h"

#include <string.h>

#include "lib/api_server.h"
#include "lib/history_frame.h"
#include "lib/jmember.h"
#include "lib/say.h"

/* A client's name for itself, at most. */
#define MAX_PROGRAM 64

static json_t *
rights_to_json(unsigned int rights)
{
    json_t *list = json_array();

    if (rights & API_RIGHT_BYTES) {
        json_array_append_new(list, json_string("bytes"));
    }
    if (rights & API_RIGHT_TRIGGERS) {
        json_array_append_new(list, json_string("triggers"));
    }
    if (rights & API_RIGHT_CONTROL) {
        json_array_append_new(list, json_string("control"));
    }
    return list;
}

/* --- hello --------------------------------------------------------------- */

static json_t *
features_to_json(const struct api_server_config *config, bool *has_binary)
{
    json_t *list = json_array();

    *has_binary = false;
    for (const char *const *f = config->features; f && *f; f++) {
        json_array_append_new(list, json_string(*f));
        *has_binary = *has_binary || !strcmp(*f, API_FEATURE_BINARY);
    }
    return list;
}

static int
read_hello(const json_t *request, uint64_t *protocol, const char **program,
           unsigned int *frame, struct lh_error *error)
{
    struct jmember root = jmember_root(request);
    struct jmember protocol_member = jmember_get(&root, "protocol");
    struct jmember program_member = jmember_get(&root, "client");
    struct jmember binary_member = jmember_get(&root, "binary");
    struct jmember frame_member = jmember_get(&root, "frame");
    uint64_t version = HISTORY_FRAME_PLAIN;
    bool wants_bytes = false;
    int retval = 0;

    *protocol = API_PROTOCOL;
    *program = NULL;
    if (jmember_is_there(&protocol_member)) {
        retval = jmember_u64(&protocol_member, INT32_MAX, protocol, error);
    }
    if (!retval && jmember_is_there(&program_member)) {
        retval = jmember_string(&program_member, program, error);
        if (!retval && strlen(*program) > MAX_PROGRAM) {
            retval = jmember_error(&program_member, error,
                                   "has at most %d bytes", MAX_PROGRAM);
        }
    }
    if (!retval && jmember_is_there(&binary_member)) {
        retval = jmember_bool(&binary_member, &wants_bytes, error);
    }
    if (!retval && jmember_is_there(&frame_member)) {
        retval = jmember_u64(&frame_member, INT32_MAX, &version, error);
    }
    *frame = !wants_bytes || !version         ? 0
             : version < HISTORY_FRAME_CLOCKS ? HISTORY_FRAME_PLAIN
                                              : HISTORY_FRAME_CLOCKS;
    if (!retval && *protocol < API_PROTOCOL_MIN) {
        retval = jmember_error(&protocol_member, error,
                               "must be %d or more: older ones are not spoken",
                               API_PROTOCOL_MIN);
    }
    return retval;
}

static void
handle_hello(struct api_call *call, const json_t *request, void *server)
{
    const struct api_server_config *config = api_server_config(server);
    struct api_peer *peer = api_call_peer(call);
    struct api_peer_info info;
    struct lh_error error;
    const char *program;
    uint64_t protocol;
    unsigned int frame;
    bool has_binary;
    json_t *features;

    error.pos = -1;
    if (read_hello(request, &protocol, &program, &frame, &error)) {
        error.pos = -1;
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }
    features = features_to_json(config, &has_binary);
    api_peer_introduce(peer, program, has_binary ? frame : 0);
    api_peer_info(peer, &info);
    api_call_answer(
        call,
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:b, s:i}", "protocol",
                  protocol < API_PROTOCOL ? (int) protocol : API_PROTOCOL,
                  "program", config->program ? config->program : "", "version",
                  PACKAGE_VERSION, "features", features, "rights",
                  rights_to_json(info.rights), "binary",
                  (int) (info.frame > 0), "frame", (int) info.frame));
}

/* --- clients ------------------------------------------------------------- */

static void
add_client(void *list, struct api_peer *peer)
{
    struct api_peer_info i;

    api_peer_info(peer, &i);
    json_array_append_new(
        list,
        json_pack("{s:I, s:o, s:o?, s:o, s:I, s:I, s:I, s:I, s:I, s:b}",
                  "client", (json_int_t) i.number, "address",
                  jmember_text_new(i.address), "program",
                  i.program ? jmember_text_new(i.program) : NULL, "rights",
                  rights_to_json(i.rights), "since_ns",
                  (json_int_t) i.since_ns, "requests",
                  (json_int_t) i.n_requests, "events", (json_int_t) i.n_events,
                  "missed", (json_int_t) i.n_missed, "waiting_bytes",
                  (json_int_t) i.n_waiting, "binary", (int) (i.frame > 0)));
}

static void
handle_clients(struct api_call *call, const json_t *request, void *server)
{
    json_t *list = json_array();

    api_server_each(server, add_client, list);
    api_call_answer(call, json_pack("{s:o}", "clients", list));
}

/* --- log.level ----------------------------------------------------------- */

static void
handle_log_level(struct api_call *call, const json_t *request, void *server)
{
    struct jmember root = jmember_root(request);
    struct jmember member = jmember_get(&root, "level");
    enum say_level level = say_level();
    struct lh_error error;
    const char *name;

    error.pos = -1;
    if (jmember_is_there(&member)) {
        if (jmember_string(&member, &name, &error) ||
            (!say_level_from_string(name, &level) &&
             jmember_error(&member, &error,
                           "must be \"error\", \"warn\", \"info\" or "
                           "\"debug\""))) {
            error.pos = -1;
            api_call_fail_error(call, API_BAD_REQUEST, &error);
            return;
        }
        say_set_level(level);
    }
    api_call_answer(call, json_pack("{s:s}", "level", say_level_name(level)));
}

void
api_service_add(struct api_server *server, const char *program,
                const char *const *features)
{
    api_server_add_op(server, "hello", handle_hello, server);
    api_server_add_op(server, "clients", handle_clients, server);
    api_server_add_op(server, "log.level", handle_log_level, server);
    api_server_require(server, "log.level", API_RIGHT_CONTROL);
}
