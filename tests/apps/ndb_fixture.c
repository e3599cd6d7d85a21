/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_fixture - what ndb is tried on: a server and an archive of the histories
 * of tests/lib/sample_history.h.
 *
 * usage: ndb_fixture archive DIR
 *            makes an archive in DIR/archive and a flow log in DIR/flows.db
 *        ndb_fixture serve DIR SOCKET MODE COMMAND [ARGUMENT]..
 *            answers at SOCKET from that flow log, runs COMMAND meanwhile, and
 *            exits as it does
 *
 * MODE is "good"; "dies": the server closes the
 * connection in the middle of a query; "garbage": it
 * answers queries with a history that is none; "alone": it reaches no
 * recorder; "restarts": it closes the connection on which a first live filter
 * is set, and is there again.  netshark is tried on it too. */
#include <config.h>

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/api_server.h"
#include "lib/archive_writer.h"
#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/of_port.h"
#include "lib/past.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "phf/phf.h"
#include "phf/profile.h"
#include "tests/lib/sample_history.h"

#define START    UINT64_C(1700000000000000000)
#define SECOND   UINT64_C(1000000000)
#define N_SAMPLE 4

static void
fail(const char *what, const struct lh_error *error)
{
    fprintf(stderr, "ndb_fixture: %s: %s\n", what, error->text);
    exit(99);
}

static void
make_samples(struct history *samples[N_SAMPLE])
{
    samples[0] = sample_history_nat();
    samples[1] = sample_history_dropped();
    samples[2] = sample_history_flooded();
    samples[3] = sample_history_odd();
    /* A second apart, the first one first. */
    for (size_t i = 0; i < N_SAMPLE; i++) {
        for (size_t j = 0; j < samples[i]->n_hops; j++) {
            if (samples[i]->hops[j].time_ns) {
                samples[i]->hops[j].time_ns += i * SECOND;
            }
        }
    }
}

/* --- the archive and the flow log ---------------------------------------- */

static void
log_rule(struct flow_log *log, uint64_t dpid, uint32_t version,
         uint16_t priority, const char *match, const char *actions,
         uint64_t time_ns)
{
    struct rule *rule = rule_create();

    rule->dpid = dpid;
    rule->version = version;
    rule->kind = RULE_FLOW;
    rule->priority = priority;
    rule->cookie = 0x2a;
    free(rule->match);
    rule->match = lh_strdup(match);
    free(rule->actions);
    rule->actions = lh_strdup(actions);
    free(rule->command);
    rule->command = lh_strdup("add");
    free(rule->who);
    rule->who = lh_strdup("tcp:127.0.0.1:6653");
    rule->change = flow_log_begin_change(log);
    rule->installed_ns = time_ns;
    flow_log_made(log, rule);
    rule_unref(rule);
}

/* The rule that drops, v9 of s3, is repaired by v12 later. */
static void
make_flow_log(const char *path)
{
    struct flow_log *log;
    struct lh_error error;

    if (flow_log_open(path, &log, &error)) {
        fail(path, &error);
    }
    for (uint64_t dpid = 1; dpid <= 3; dpid++) {
        flow_log_put_switch(log, dpid, NULL, NULL);
        flow_log_event(log, FLOW_LOG_READY, dpid, OF_PORT_UNKNOWN,
                       START - 10 * SECOND, "6 rules");
    }
    log_rule(log, 1, 1, 10, "arp", "FLOOD", START - 9 * SECOND);
    log_rule(log, 1, 7, 100, "tcp,nw_src=10.0.0.5",
             "dec_ttl,mod_nw_src:192.0.2.1,mod_tp_src:61000,output:2",
             START - 8 * SECOND);
    log_rule(log, 1, 8, 90, "udp", "output:3", START - 8 * SECOND);
    log_rule(log, 2, 11, 100, "ip,nw_dst=203.0.113.9", "dec_ttl,output:2",
             START - 8 * SECOND);
    log_rule(log, 3, 4, 50, "ip", "output:3", START - 8 * SECOND);
    log_rule(log, 3, 9, 200, "udp,tp_dst=53", "drop", START - 2 * SECOND);
    log_rule(log, 3, 12, 200, "udp,tp_dst=53", "output:3",
             START + 60 * SECOND);
    flow_log_removed(log, 3, 9, START + 60 * SECOND, "modify");
    if (flow_log_flush(log, &error)) {
        fail(path, &error);
    }
    flow_log_close(log);
}

static void
make_archive(const char *dir, const char *flow_log)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .flow_log = flow_log,
        .now_ns = START,
    };
    struct topology *topology = sample_topology();
    struct history *samples[N_SAMPLE];
    struct archive_writer *writer;
    struct lh_error error;

    if (archive_writer_open(&config, &writer, NULL, &error)) {
        fail(dir, &error);
    }
    archive_writer_set_topology(writer, topology, START - 10 * SECOND);
    make_samples(samples);
    for (size_t i = 0; i < N_SAMPLE; i++) {
        archive_writer_add(writer, samples[i]);
        archive_writer_round(writer, START + i * SECOND);
        history_destroy(samples[i]);
    }
    archive_writer_close(writer);
    topology_unref(topology);
}

/* --- the server ---------------------------------------------------------- */

struct fixture {
    struct event_base *base;
    const char *archive;
    const char *mode;
    struct flow_log *log;
    struct topology *topology;
    struct history *samples[N_SAMPLE];
    uint64_t n_triggers;
    pid_t child;
    int status;
};

static struct phf *
compile(struct api_call *call, const json_t *request)
{
    const char *text = json_string_value(json_object_get(request, "phf"));
    struct lh_error error;
    struct phf *phf;

    if (phf_compile(text ? text : "", NULL, &phf, &error)) {
        api_call_fail_error(call, API_BAD_FILTER, &error);
    }
    return phf;
}

static json_t *
sample_json(const struct fixture *f, size_t i)
{
    return history_to_json(f->samples[i], f->topology);
}

static void
handle_query(struct api_call *call, const json_t *request, void *f_)
{
    struct fixture *f = f_;
    json_int_t since = json_integer_value(json_object_get(request, "since"));
    json_int_t until = json_integer_value(json_object_get(request, "until"));
    json_int_t limit = json_integer_value(json_object_get(request, "limit"));
    const char *order = json_string_value(json_object_get(request, "order"));
    struct api_peer *peer = api_call_peer(call);
    json_t *id = json_incref(api_call_id(call));
    struct phf *phf = compile(call, request);
    json_int_t n = 0;

    /* Without one all are wanted. */
    limit = limit ? limit : INT64_MAX;

    if (phf) {
        api_call_answer(call, NULL);
        if (!strcmp(f->mode, "dies")) {
            api_peer_close(peer);
            n = limit;
        }
        if (!strcmp(f->mode, "garbage")) {
            api_peer_send(peer, id, "history",
                          json_pack("{s:{s:s}}", "history", "hops", "none"));
        }
        for (size_t k = 0; k < N_SAMPLE && n < limit; k++) {
            size_t i = strcmp(order, "asc") ? N_SAMPLE - 1 - k : k;
            const struct history *h = f->samples[i];

            json_int_t first_ns = (json_int_t) history_first_ns(h);

            if (first_ns >= since && (!until || first_ns < until) &&
                phf_match(phf, h, f->topology) == PHF_MATCH) {
                api_peer_send(
                    peer, id, "history",
                    json_pack("{s:o}", "history", sample_json(f, i)));
                n++;
            }
        }
        if (strcmp(f->mode, "dies")) {
            api_peer_send(peer, id, "end",
                          json_pack("{s:I, s:i, s:b, s:b}", "n", n, "scanned",
                                    N_SAMPLE, "truncated", n == limit,
                                    "cancelled", 0));
        }
    }
    phf_destroy(phf);
    json_decref(id);
}

static void
close_peer(evutil_socket_t fd, short what, void *peer)
{
    api_peer_close(peer);
}

/* All that matches "comes" at once, and some more is missed. */
static void
handle_trigger_add(struct api_call *call, const json_t *request, void *f_)
{
    struct fixture *f = f_;
    struct api_peer *peer = api_call_peer(call);
    json_t *id = json_incref(api_call_id(call));
    struct phf *phf = compile(call, request);
    json_int_t trigger = (json_int_t) ++f->n_triggers;

    if (phf) {
        api_call_answer(call, json_pack("{s:I}", "trigger", trigger));
    }
    if (phf && !strcmp(f->mode, "restarts") && trigger == 1) {
        /* When the answer has gone out. */
        event_base_once(f->base, -1, EV_TIMEOUT, close_peer, peer,
                        &(struct timeval){.tv_usec = 50000});
    } else if (phf) {
        for (size_t i = 0; i < N_SAMPLE; i++) {
            if (phf_match(phf, f->samples[i], f->topology) == PHF_MATCH) {
                api_peer_offer(peer, id, "history",
                               json_pack("{s:I, s:s, s:o}", "trigger", trigger,
                                         "name", "ndb", "history",
                                         sample_json(f, i)));
            }
            if (i == 0) {
                api_peer_send(peer, id, "missed", json_pack("{s:i}", "n", 5));
            }
        }
    }
    phf_destroy(phf);
    json_decref(id);
}

static void
handle_trigger_delete(struct api_call *call, const json_t *request, void *f_)
{
    api_call_answer(call, NULL);
}

static bool
is_unavailable(const struct fixture *f, struct api_call *call)
{
    bool is_alone = !strcmp(f->mode, "alone");

    if (is_alone) {
        api_call_fail(call, API_UNAVAILABLE, "the recorder is not reachable");
    }
    return is_alone;
}

static void
handle_flow(struct api_call *call, const json_t *request, void *f_)
{
    struct fixture *f = f_;
    struct jmember root = jmember_root(request);
    struct jmember dpid_member = jmember_get(&root, "dpid");
    struct jmember version_member = jmember_get(&root, "version");
    uint64_t dpid, version;
    struct lh_error error;
    struct rule *rule;

    if (is_unavailable(f, call)) {
        return;
    }
    if (jmember_dpid(&dpid_member, &dpid, &error) ||
        jmember_u64(&version_member, UINT32_MAX, &version, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
    } else if (flow_log_find(f->log, dpid, (uint32_t) version, &rule,
                             &error)) {
        api_call_fail(call, API_NOT_FOUND, "%s", error.text);
    } else {
        api_call_answer(call, json_pack("{s:o}", "rule", rule_to_json(rule)));
        rule_unref(rule);
    }
}

/* A question about the past, from the same flow log as an archive's. */
static void
answer_past(struct fixture *f, struct api_call *call, const json_t *request,
            int (*handler)(const struct past_query *, json_t **,
                           struct lh_error *))
{
    struct past_query query = {
        .log = f->log, .request = request, .now_ns = START + 100 * SECOND};
    struct lh_error error;
    json_t *answer;

    if (is_unavailable(f, call)) {
        return;
    }
    if (handler(&query, &answer, &error)) {
        api_call_fail_error(call, API_NOT_FOUND, &error);
    } else {
        api_call_answer(call, answer);
    }
}

static void
handle_table(struct api_call *call, const json_t *request, void *f)
{
    answer_past(f, call, request, past_table);
}

static void
handle_diff(struct api_call *call, const json_t *request, void *f)
{
    answer_past(f, call, request, past_diff);
}

static void
handle_changes(struct api_call *call, const json_t *request, void *f)
{
    answer_past(f, call, request, past_changes);
}

/* The recorder's to answer: this says what was asked, in an answer that has
 * everything an answer can have. */
static void
handle_why(struct api_call *call, const json_t *request, void *f)
{
    static const char text[] =
        "{'dpid':'0000000000000003','at_ns':1700000000000000000,"
        "'steps':[{'depth':1,'table':0,'version':9,'priority':200,"
        "'match':'udp,tp_dst=53','actions':'group:1','before':'',"
        "'next':{'version':4,'priority':50,'match':'ip',"
        "'actions':'output:3'},"
        "'edits':[{'field':'nw_ttl','before':'64','after':'63'}],"
        "'did':['group 1']},{'depth':2,'group':1,'bucket':0,'version':20,"
        "'actions':'output:2','edits':[],'did':['output to port 2']}],"
        "'outputs':[{'port':2,'step':1,'header':''},"
        "{'port':null,'step':1,'header':''}],"
        "'verdict':{'name':'forwarded'},"
        "'assumed':['group 1 (select) takes bucket 0'],"
        "'uncertain':['meter 3 may have dropped it'],'alternatives':["
        "{'steps':[{'depth':1,'table':0,'version':null,'edits':[],'did':[]},"
        "{'action_set':true,'actions':'output:2','edits':[],'did':[]}],"
        "'outputs':[],'verdict':{'name':'dropped','reason':'no rule'},"
        "'assumed':[],'uncertain':[]}],'truncated':true,'unreadable':1,"
        "'not':{'version':4,'found':true,'reached':true,'matched':false,"
        "'fields':[{'field':'nw_src','rule':'10.0.0.9','packet':'10.0.0.5'},"
        "{'field':'tcp_dst','rule':'80','packet':'-'}],'shadowed_by':null,"
        "'undefined':false},'blind':{'since_ns':null,"
        "'until_ns':1700000000000000000}}";
    char *json = lh_strdup(text);
    char *asked = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);
    json_t *answer;

    for (char *c = json; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    answer = json_loads(json, 0, NULL);
    assert(answer);
    json_object_set_new(answer, "packet", json_string(asked));
    api_call_answer(call, answer);
    free(asked);
    free(json);
}

/* Of the archive that holds the same histories. */
static void
handle_profile(struct api_call *call, const json_t *request, void *f_)
{
    struct fixture *f = f_;
    struct profile_config config = {.topology = f->topology,
                                    .now_ns = time_spec_now()};
    struct profile *profile;
    struct lh_error error;

    if (archive_reader_open(f->archive, &config.reader, &error)) {
        fail(f->archive, &error);
    }
    if (profile_create(&config, request, &profile, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
    } else {
        profile_start(profile, NULL);
        api_call_answer(call, profile_answer(profile));
        profile_destroy(profile);
    }
    archive_reader_close(config.reader);
}

static void
handle_topology(struct api_call *call, const json_t *request, void *f_)
{
    struct fixture *f = f_;

    api_call_answer(
        call, json_pack("{s:o}", "topology", topology_to_json(f->topology)));
}

static void
handle_stats(struct api_call *call, const json_t *request, void *f_)
{
    api_call_answer(call, json_pack("{s:{s:i, s:{s:i, s:s}}}", "stats",
                                    "postcards", 12, "archive", "histories",
                                    N_SAMPLE, "dir", "/somewhere"));
}

/* A server that has just been started. */
static void
handle_status(struct api_call *call, const json_t *request, void *f_)
{
    api_call_answer(call, json_pack("{s:{s:I}}", "status", "started_ns",
                                    (json_int_t) time_spec_now()));
}

static void
on_child(evutil_socket_t fd, short what, void *f_)
{
    struct fixture *f = f_;

    if (waitpid(f->child, &f->status, WNOHANG) == f->child) {
        event_base_loopexit(f->base, NULL);
    }
}

static int
serve(const char *flow_log, const char *archive, const char *path,
      const char *mode, char *command[])
{
    struct fixture f = {
        .base = event_base_new(), .archive = archive, .mode = mode};
    struct api_server_config config = {.max_line = 0};
    struct api_server *server = api_server_create(f.base, &config);
    struct event *child_event = evsignal_new(f.base, SIGCHLD, on_child, &f);
    struct lh_error error;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* It is for the command. */
    if (flow_log_open_readonly(flow_log, &f.log, &error)) {
        fail(flow_log, &error);
    }
    f.topology = sample_topology();
    make_samples(f.samples);
    api_server_add_op(server, "query", handle_query, &f);
    api_server_add_op(server, "trigger.add", handle_trigger_add, &f);
    api_server_add_op(server, "trigger.delete", handle_trigger_delete, &f);
    api_server_add_op(server, "flow", handle_flow, &f);
    api_server_add_op(server, "table", handle_table, &f);
    api_server_add_op(server, "diff", handle_diff, &f);
    api_server_add_op(server, "changes", handle_changes, &f);
    api_server_add_op(server, "why", handle_why, &f);
    api_server_add_op(server, "profile", handle_profile, &f);
    api_server_add_op(server, "topology", handle_topology, &f);
    api_server_add_op(server, "stats", handle_stats, &f);
    api_server_add_op(server, "status", handle_status, &f);
    if (api_server_listen(server, path, &error)) {
        fail(path, &error);
    }
    event_add(child_event, NULL);
    f.child = fork();
    if (!f.child) {
        signal(SIGPIPE, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        execvp(command[0], command);
        _exit(98);
    }
    event_base_dispatch(f.base);

    event_free(child_event);
    api_server_destroy(server);
    flow_log_close(f.log);
    topology_unref(f.topology);
    for (size_t i = 0; i < N_SAMPLE; i++) {
        history_destroy(f.samples[i]);
    }
    event_base_free(f.base);
    return WIFEXITED(f.status) ? WEXITSTATUS(f.status) : 97;
}

int
main(int argc, char *argv[])
{
    char *flow_log, *archive;
    int status = 0;

    if (argc < 3) {
        return 99;
    }
    flow_log = lh_asprintf("%s/flows.db", argv[2]);
    archive = lh_asprintf("%s/archive", argv[2]);
    if (!strcmp(argv[1], "archive")) {
        make_flow_log(flow_log);
        make_archive(archive, flow_log);
    } else if (argc > 5) {
        status = serve(flow_log, archive, argv[3], argv[4], argv + 5);
    }
    free(flow_log);
    free(archive);
    return status;
}
