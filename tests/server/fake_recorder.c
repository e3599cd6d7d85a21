/* SPDX-License-Identifier: Apache-2.0 */
/* fake_recorder - a process that answers as a recorder of the scene would. */
#include <config.h>

#include "tests/server/fake_recorder.h"

#include <event2/event.h>
#include <jansson.h>
#include <unistd.h>

#include "lib/api_server.h"
#include "lib/jmember.h"
#include "lib/topology.h"
#include "tests/server/scene.h"

static void
subscribe(struct api_call *call, const json_t *request, void *aux)
{
    struct api_peer *peer = api_call_peer(call);
    json_t *id = json_incref(api_call_id(call));
    struct topology *topology = scene_topology(false);
    struct topology_builder *b = topology_builder_create();

    /* Its switches send from this machine. */
    for (size_t i = 0; i < topology_n_switches(topology); i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);

        topology_builder_add_switch(b, sw->dpid, sw->name, sw->index,
                                    "127.0.0.1");
        topology_builder_add_port(b, sw->dpid, 1, NULL, i == 0);
        topology_builder_add_port(b, sw->dpid, 2, NULL,
                                  i + 1 == SCENE_SWITCHES);
        if (i) {
            topology_builder_add_link(b, i, 2, i + 1, 1);
        }
    }
    topology_unref(topology);
    topology = topology_build(b, 2);
    api_call_answer(call, NULL);
    api_peer_send(peer, id, "topology",
                  json_pack("{s:o}", "topology", topology_to_json(topology)));
    for (uint32_t i = 1; i <= SCENE_SWITCHES; i++) {
        api_peer_send(peer, id, "rule",
                      json_pack("{s:o}", "rule", scene_rule(i, 10 + i)));
    }
    api_peer_send(peer, id, "rule", json_pack("{s:s}", "rule", "rubbish"));
    api_peer_send(peer, id, "novelty", NULL);
    api_peer_send(peer, id, "synced", NULL);
    topology_unref(topology);
    json_decref(id);
}

static void
flow(struct api_call *call, const json_t *request, void *aux)
{
    struct jmember root = jmember_root(request);
    struct jmember dpid_member = jmember_get(&root, "dpid");
    struct jmember version_member = jmember_get(&root, "version");
    struct lh_error error;
    uint64_t dpid, version;

    if (jmember_dpid(&dpid_member, &dpid, &error) ||
        jmember_u64(&version_member, UINT32_MAX, &version, &error)) {
        error.pos = -1;
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }

    json_t *rule = scene_rule(dpid, (uint32_t) version);

    if (rule) {
        api_call_answer(call, json_pack("{s:o}", "rule", rule));
    } else {
        api_call_fail(call, API_NOT_FOUND, "no such rule");
    }
}

static void
table(struct api_call *call, const json_t *request, void *aux)
{
    api_call_answer(
        call, json_pack("{s:s, s:I, s:[o]}", "dpid", "0000000000000001",
                        "at_ns", (json_int_t) 5, "rules", scene_rule(1, 11)));
}

static void
stats(struct api_call *call, const json_t *request, void *aux)
{
    api_call_answer(call, json_pack("{s:{s:{s:s}}}", "stats", "flow_log",
                                    "path", FAKE_RECORDER_LOG));
}

pid_t
fake_recorder_start(const char *path)
{
    pid_t pid = fork();

    if (pid) {
        return pid;
    }

    struct event_base *base = event_base_new();
    struct api_server_config config = {0};
    struct api_server *server = api_server_create(base, &config);

    api_server_add_op(server, "subscribe", subscribe, NULL);
    api_server_add_op(server, "flow", flow, NULL);
    api_server_add_op(server, "table", table, NULL);
    api_server_add_op(server, "stats", stats, NULL);
    if (api_server_listen(server, path, NULL)) {
        _exit(1);
    }
    event_base_dispatch(base);
    _exit(0);
}
