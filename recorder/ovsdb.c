/* SPDX-License-Identifier: Apache-2.0 */
/* ovsdb - one task is a chain of child processes, each step starting the
 * next. */
#include <config.h>

#include "recorder/ovsdb.h"

#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/child.h"
#include "recorder/collectors.h"
#include "recorder/ovsdb_paths.h"
#include "recorder/ovsdb_table.h"
#include "recorder/port_choice.h"

#define MAX_ARGS 32

struct ovsdb_task {
    struct event_base *base;
    const struct ovsdb_config *config;
    uint64_t dpid;
    uint16_t index;
    ovsdb_done *done;
    void *aux;

    struct child *child; /* The step that runs, or NULL. */
    struct event *fail;  /* Reports what failed at once from the loop. */
    char *bridge;
    char *port_name;
    char *geneve_name; /* Of the Geneve port, once it is chosen. */
    const struct postcard_target *target; /* And where it leads. */
    bool is_movable;                      /* A recorder made it. */
    uint32_t key;                         /* Its tunnel key. */
    char *address;
    char *warning;
    char *error;
    struct ovsdb_port ports[INSTR_N_ENCAPSULATIONS];
    int kind; /* enum instr_encapsulation of the port that is made ready. */
    const struct postcard_port *postcard; /* That. */
    bool adds_protocol; /* OpenFlow 1.0 must be added to the bridge's. */
    bool has_controllers;
    char *args[MAX_ARGS + 1]; /* Of the child.  Owned. */
    size_t n_args;
};

static void
clear_args(struct ovsdb_task *task)
{
    for (size_t i = 0; i < task->n_args; i++) {
        free(task->args[i]);
    }
    task->n_args = 0;
    task->args[0] = NULL;
}

/* Takes 'arg'. */
static void
add_arg(struct ovsdb_task *task, char *arg)
{
    if (task->n_args < MAX_ARGS) {
        task->args[task->n_args++] = arg;
        task->args[task->n_args] = NULL;
    } else {
        free(arg);
    }
}

static void
add_args(struct ovsdb_task *task, const char *const args[])
{
    for (size_t i = 0; args[i]; i++) {
        add_arg(task, lh_strdup(args[i]));
    }
}

static void
free_task(struct ovsdb_task *task)
{
    clear_args(task);
    if (task->fail) {
        event_free(task->fail);
    }
    free(task->bridge);
    free(task->port_name);
    free(task->geneve_name);
    free(task->address);
    free(task->warning);
    free(task->error);
    free(task);
}

static void
finish(struct ovsdb_task *task)
{
    struct ovsdb_result result = {
        .error = task->error,
        .warning = task->warning,
        .bridge = task->bridge,
        .address = task->address,
        .geneve_name = task->geneve_name,
        .collector = task->ports[INSTR_GENEVE].no ? task->target->text : NULL,
        .is_movable = task->is_movable,
        .has_controllers = task->has_controllers,
    };

    memcpy(result.ports, task->ports, sizeof result.ports);
    task->done(task->aux, &result);
    free_task(task);
}

static void
fail(struct ovsdb_task *task, const char *error)
{
    free(task->error);
    task->error = lh_strdup(error);
    finish(task);
}

static void
on_fail(evutil_socket_t fd, short what, void *task)
{
    finish(task);
}

/* Runs task->args and then 'next'. */
static void
run(struct ovsdb_task *task, child_done *next)
{
    struct lh_error error;

    if (child_start(task->base, (const char *const *) task->args,
                    OVSDB_TIMEOUT_S, next, task, &task->child, &error)) {
        struct timeval now = {0};

        task->child = NULL;
        task->error = lh_strdup(error.text);
        task->fail = evtimer_new(task->base, on_fail, task);
        event_add(task->fail, &now);
    }
    clear_args(task);
}

static void
begin_vsctl(struct ovsdb_task *task)
{
    add_arg(task, lh_strdup("ovs-vsctl"));
    add_arg(task, lh_asprintf("--db=%s", task->config->db));
    add_arg(task, lh_asprintf("--timeout=%d", OVSDB_TIMEOUT_S - 1));
}

static void add_port(struct ovsdb_task *);

/* The port is done with, or cannot be had, because of 'error' (taken): goes on
 * with the next. */
static void
end_port(struct ovsdb_task *task, char *error)
{
    if (error) {
        free(task->error);
        task->error = error;
        task->ports[task->kind] = (struct ovsdb_port){.no = 0};
    }
    free(task->port_name);
    task->port_name = NULL;
    task->kind++;
    add_port(task);
}

/* --- The steps, last one first. --- */

/* "src 172.31.255.1" in the answer of ovs/route/lookup. */
static void
on_route(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;
    const char *src = error ? NULL : strstr(output, "src ");

    task->child = NULL;
    if (src) {
        size_t len = strcspn(src + 4, " \n");

        task->address = lh_asprintf("%.*s", (int) len, src + 4);
        if (!strncmp(task->address, "::ffff:", 7)) {
            memmove(task->address, task->address + 7,
                    strlen(task->address + 7) + 1);
        }
    }
    end_port(task, NULL);
}

/* Asks the switch from which address it reaches the collector. */
static void
find_address(struct ovsdb_task *task)
{
    const struct postcard_port *p = task->postcard;
    char *directory = ovsdb_paths_directory(task->config->db);
    char *control = directory ? ovsdb_paths_control(directory) : NULL;

    if (control && !task->address && p->encapsulation == INSTR_GENEVE) {
        add_args(task, (const char *const[]){"ovs-appctl", "--timeout=2", "-t",
                                             control, "ovs/route/lookup",
                                             task->target->address, NULL});
        run(task, on_route);
    } else {
        end_port(task, NULL);
    }
    free(control);
    free(directory);
}

static void
on_no_flood(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;

    task->child = NULL;
    if (error) {
        end_port(task, lh_asprintf("port %s of bridge %s could not be kept "
                                   "out of FLOOD and NORMAL, so no postcards "
                                   "by it: %s",
                                   task->port_name, task->bridge, error));
        return;
    }
    task->ports[task->kind].is_no_flood = true;
    find_address(task);
}

/* "ovs-ofctl COMMAND SWITCH PORT", in OpenFlow 1.0. */
static void
add_ofctl(struct ovsdb_task *task, const char *command)
{
    char *directory = ovsdb_paths_directory(task->config->db);

    add_args(task, (const char *const[]){"ovs-ofctl", "-O", "OpenFlow10",
                                         "--timeout=4", command, NULL});
    add_arg(task, lh_asprintf("unix:%s/%s.mgmt", directory, task->bridge));
    add_arg(task, lh_asprintf("%u", (unsigned) task->ports[task->kind].no));
    free(directory);
}

static void
mod_no_flood(struct ovsdb_task *task)
{
    add_ofctl(task, "mod-port");
    add_arg(task, lh_strdup("no-flood"));
    run(task, on_no_flood);
}

static void
on_marked(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;

    task->child = NULL;
    if (error) {
        end_port(task, lh_strdup(error));
    } else {
        mod_no_flood(task);
    }
}

/* True when 'output' of dump-ports-desc, which over OpenFlow 1.0 tells all
 * ports, has the port kept out of FLOOD and NORMAL. */
static bool
is_no_flood(const char *output, uint32_t port)
{
    char *head = lh_asprintf("\n %u(", (unsigned) port);
    const char *config = strstr(output, head);
    const char *flag;

    free(head);
    config = config ? strstr(config, "config:") : NULL;
    flag = config ? strstr(config, "NO_FLOOD") : NULL;
    return flag && flag < config + strcspn(config, "\n");
}

/* A collector port that is not yet as it should be gets a mark first, so that
 * what we do to it can be undone when nothing else of ours is left. */
static void
on_described(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;

    task->child = NULL;
    if (error || is_no_flood(output, task->ports[task->kind].no)) {
        on_no_flood(task, output, error);
        return;
    }
    begin_vsctl(task);
    add_args(task, (const char *const[]){"set", "interface", task->port_name,
                                         "external_ids:" OVSDB_MARK
                                         "=" OVSDB_MARK_NO_FLOOD,
                                         NULL});
    run(task, on_marked);
}

static void
set_no_flood(struct ovsdb_task *task)
{
    char *directory = ovsdb_paths_directory(task->config->db);

    if (!directory) {
        free(task->warning);
        task->warning = lh_asprintf(
            "whether port %s of bridge %s is kept out of NORMAL cannot be "
            "seen from here; on its host run: ovs-ofctl -O OpenFlow10 "
            "mod-port %s %s no-flood",
            task->port_name, task->bridge, task->bridge, task->port_name);
        find_address(task);
        return;
    }
    free(directory);
    if (task->postcard->encapsulation == INSTR_MAC) {
        add_ofctl(task, "dump-ports-desc");
        run(task, on_described);
    } else {
        mod_no_flood(task);
    }
}

static void
on_interface(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;
    json_t *table = error ? NULL : json_loads(output, 0, NULL);
    const json_t *ofport = ovsdb_table_cell(table, 0, "ofport");
    const char *address =
        ovsdb_table_value(ovsdb_table_cell(table, 0, "options"), "local_ip");
    const char *reason =
        ovsdb_table_string(ovsdb_table_cell(table, 0, "error"));
    json_int_t port = json_integer_value(ofport);
    char *text = NULL;

    task->child = NULL;
    if (error) {
        text = lh_strdup(error);
    } else if (!json_is_integer(ofport) || port < 1 || port >= 0xff00) {
        text = lh_asprintf("port %s of bridge %s has no OpenFlow number: %s",
                           task->port_name, task->bridge,
                           reason ? reason : "the switch did not create it");
    } else {
        task->ports[task->kind].no = (uint32_t) port;
        if (address) {
            free(task->address);
            task->address = lh_strdup(address);
        }
    }
    json_decref(table);
    if (text) {
        end_port(task, text);
    } else {
        set_no_flood(task);
    }
}

static void
on_port_added(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;

    task->child = NULL;
    if (error) {
        end_port(task, lh_strdup(error));
        return;
    }
    begin_vsctl(task);
    add_args(task, (const char *const[]){"--format=json",
                                         "--columns=ofport,error,options",
                                         "list", "interface", NULL});
    add_arg(task, lh_strdup(task->port_name));
    run(task, on_interface);
}

/* Makes the port what it is to be ('is_ours': it is made, or was, by a
 * recorder), and goes on with it. */
static void
make_port(struct ovsdb_task *task, bool is_ours)
{
    begin_vsctl(task);
    if (is_ours) {
        add_args(task, (const char *const[]){
                           "--", "--may-exist", "add-port", task->bridge,
                           task->port_name, "--", "set", "interface",
                           task->port_name, "type=geneve", NULL});
        add_arg(task,
                lh_asprintf("options:remote_ip=%s", task->target->address));
        add_arg(task, lh_asprintf("options:dst_port=%u",
                                  (unsigned) task->target->udp_port));
        add_arg(task, lh_asprintf("options:key=%u", (unsigned) task->key));
        add_arg(task,
                lh_strdup("external_ids:" OVSDB_MARK "=" OVSDB_MARK_PORT));
    }
    if (task->adds_protocol) {
        add_args(task, (const char *const[]){
                           "--", "add", "bridge", task->bridge, "protocols",
                           "OpenFlow10", "--", "set", "bridge", task->bridge,
                           "external_ids:" OVSDB_MARK "=" OVSDB_MARK_PROTOCOL,
                           NULL});
        /* Said now: the bridge drops its connections for it, and with the
         * session this task goes. */
        task->adds_protocol = false;
        say_warn("switch " DPID_FMT ": adding OpenFlow10 to the protocols of "
                 "bridge %s: keeping port %s out of FLOOD and NORMAL needs "
                 "it; the bridge reconnects once",
                 task->dpid, task->bridge, task->port_name);
    } else if (!is_ours) {
        clear_args(task);
        on_port_added(task, "", NULL);
        return;
    }
    run(task, on_port_added);
}

/* What ports there are.  A port that no recorder made is used if it leads to
 * the collector, and not touched. */
static void
on_present(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;
    const struct postcard_port *p = task->postcard;
    struct port_choice choice;

    task->child = NULL;
    if (error) {
        end_port(task, lh_strdup(error));
        return;
    }
    if (port_choice_make(output, p->name ? task->port_name : NULL, p,
                         task->index, &choice)) {
        end_port(task, lh_asprintf("ovs-vsctl says nothing that can be read "
                                   "of the interfaces of %s",
                                   task->bridge));
        return;
    }
    free(task->port_name);
    task->port_name = choice.name;
    task->geneve_name = lh_strdup(choice.name);
    task->key = choice.key;
    task->is_movable = !choice.is_there || choice.is_ours;
    if (task->is_movable || !choice.is_geneve) {
        choice.target = collectors_choose(task->config->collectors, p,
                                          task->dpid, choice.target);
    }
    task->target = &p->targets[choice.target];
    if (!task->is_movable && !choice.is_geneve) {
        end_port(task, lh_asprintf("there is a port %s that is not of "
                                   "lasthop's and no Geneve port to %s; "
                                   "choose another name by port=",
                                   task->port_name, task->target->text));
    } else {
        make_port(task, task->is_movable);
    }
}

/* Asks what port_choice needs to know. */
static void
look_at_ports(struct ovsdb_task *task)
{
    begin_vsctl(task);
    add_args(task,
             (const char *const[]){
                 "--format=json", "--columns=" PORT_CHOICE_COLUMNS, "find",
                 "interface", "type=geneve", "--", "--if-exists",
                 "--columns=" PORT_CHOICE_COLUMNS, "list", "interface",
                 task->port_name, "--", "list-ifaces", task->bridge, NULL});
    run(task, on_present);
}

static void
on_mode(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;

    task->child = NULL;
    end_port(task, error ? lh_strdup(error) : NULL);
}

/* Tells the bridge to make postcards itself, or not to. */
static void
set_mode(struct ovsdb_task *task)
{
    bool is_off = task->config->is_paused;

    begin_vsctl(task);
    add_args(task, (const char *const[]){"set", "bridge", task->bridge, NULL});
    add_arg(task, lh_asprintf("other_config:" OVSDB_MODE "=%s",
                              is_off ? "off" : "postcard"));
    add_arg(task, lh_asprintf("other_config:" OVSDB_SNAP "=%u",
                              (unsigned) task->config->snap_len));
    run(task, on_mode);
}

static void
add_port(struct ovsdb_task *task)
{
    const struct postcard_port *p = NULL;

    while (task->kind < INSTR_N_ENCAPSULATIONS) {
        p = postcard_ports_find(task->config->postcards, task->bridge,
                                (enum instr_encapsulation) task->kind);
        if (p && postcard_port_is_at(p, task->dpid, task->bridge)) {
            break;
        }
        p = NULL;
        task->kind++;
    }
    if (!p) {
        finish(task);
        return;
    }
    task->postcard = p;
    if (p->encapsulation == INSTR_AGENT) {
        set_mode(task);
        return;
    }
    task->port_name = postcard_port_name(p, task->bridge, task->index);
    if (p->encapsulation == INSTR_GENEVE) {
        look_at_ports(task);
    } else {
        make_port(task, false);
    }
}

static void
on_bridge(void *task_, const char *output, const char *error)
{
    struct ovsdb_task *task = task_;
    json_t *table = error ? NULL : json_loads(output, 0, NULL);
    const json_t *protocols = ovsdb_table_cell(table, 0, "protocols");
    const char *fail_mode =
        ovsdb_table_string(ovsdb_table_cell(table, 0, "fail_mode"));
    bool is_secure = fail_mode && !strcmp(fail_mode, "secure");

    task->child = NULL;
    task->bridge =
        lh_strdup(ovsdb_table_string(ovsdb_table_cell(table, 0, "name")));
    task->adds_protocol = !ovsdb_table_is_empty(protocols) &&
                          !ovsdb_table_has(protocols, "OpenFlow10");
    task->has_controllers =
        table &&
        !ovsdb_table_is_empty(ovsdb_table_cell(table, 0, "controller"));
    json_decref(table);
    if (error) {
        fail(task, error);
    } else if (!task->bridge) {
        char *text = lh_asprintf("%s has no bridge with datapath ID " DPID_FMT,
                                 task->config->db, task->dpid);

        fail(task, text);
        free(text);
    } else if (!is_secure && !task->config->force) {
        char *text = lh_asprintf(
            "bridge %s has fail-mode standalone: without a controller it "
            "would throw away all rules; ovs-vsctl set-fail-mode %s secure, "
            "or run with --force",
            task->bridge, task->bridge);

        fail(task, text);
        free(text);
    } else {
        add_port(task);
    }
}

struct ovsdb_task *
ovsdb_start(struct event_base *base, const struct ovsdb_config *config,
            uint64_t dpid, uint16_t index, ovsdb_done *done, void *aux)
{
    struct ovsdb_task *task = lh_alloc_zero(sizeof *task);

    task->base = base;
    task->config = config;
    task->dpid = dpid;
    task->index = index;
    task->done = done;
    task->aux = aux;
    begin_vsctl(task);
    add_args(task, (const char *const[]){"--format=json",
                                         "--columns=name,fail_mode,protocols,"
                                         "controller",
                                         "find", "bridge", NULL});
    add_arg(task, lh_asprintf("datapath_id=\"" DPID_FMT "\"", dpid));
    run(task, on_bridge);
    return task;
}

void
ovsdb_cancel(struct ovsdb_task *task)
{
    if (task) {
        child_cancel(task->child);
        free_task(task);
    }
}
