/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the commands about a running server: `clients`, `triggers`,
 * `topology`, `log`. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_follow.h"
#include "apps/app_interrupt.h"
#include "lib/lh_alloc.h"
#include "lib/text_number.h"

/* --- Clients ------------------------------------------------------------- */

static void
print_client(const struct ctl *ctl, const json_t *client)
{
    const json_t *rights = json_object_get(client, "rights");
    char since[TIME_SPEC_BUFSIZE];
    json_t *right;
    size_t i;

    app_format_time(ctl->app, (uint64_t) ctl_number(client, "since_ns"),
                    since);
    printf("%lld %s %s since %s: ", ctl_number(client, "client"),
           ctl_text(client, "address"),
           *ctl_text(client, "program") ? ctl_text(client, "program") : "-",
           since);
    ctl_print_count(ctl_number(client, "requests"), "request, ", "requests, ");
    ctl_print_count(ctl_number(client, "events"), "event, ", "events, ");
    printf("%lld missed, ", ctl_number(client, "missed"));
    ctl_print_count(ctl_number(client, "waiting_bytes"), "byte waits; may",
                    "bytes wait; may");
    json_array_foreach(rights, i, right)
    {
        printf(" %s", json_string_value(right));
    }
    puts(json_array_size(rights) ? "" : " ask");
}

int
ctl_clients(struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer, *client;
    size_t i;
    int status = ctl_ask(ctl, CTL_SERVER, "clients", NULL, &answer);

    if (!status && ctl->app->is_json) {
        ctl_print_json(answer);
    } else if (!status) {
        json_array_foreach(json_object_get(answer, "clients"), i, client)
        {
            print_client(ctl, client);
        }
    }
    json_decref(answer);
    return status;
}

/* --- Triggers ------------------------------------------------------------ */

int
ctl_triggers_list(struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer, *t;
    size_t i;
    int status = ctl_ask(ctl, CTL_SERVER, "trigger.list", NULL, &answer);

    if (!status && ctl->app->is_json) {
        ctl_print_json(answer);
        json_decref(answer);
        return status;
    }
    json_array_foreach(json_object_get(answer, "triggers"), i, t)
    {
        printf("%lld %s (client %lld, %s)%s: ", ctl_number(t, "trigger"),
               *ctl_text(t, "name") ? ctl_text(t, "name") : "-",
               ctl_number(t, "client"),
               *ctl_text(t, "program") ? ctl_text(t, "program") : "-",
               json_is_true(json_object_get(t, "paused")) ? " paused" : "");
        ctl_print_count(ctl_number(t, "hits"), "hit, ", "hits, ");
        printf("%lld missed, %lld above the rate: %s\n",
               ctl_number(t, "missed"), ctl_number(t, "limited"),
               ctl_text(t, "phf"));
    }
    json_decref(answer);
    return status;
}

/* For names of switches; may be NULL. */
static struct topology *network; /* Reference. */

static bool
print_history(void *ctl, uint64_t id, struct history *history)
{
    json_t *json = history_to_json(history, network);

    ctl_print_json(json);
    json_decref(json);
    history_destroy(history);
    return !fflush(stdout);
}

static void
say_limited(void *ctl_, uint64_t id, uint64_t n)
{
    const struct ctl *ctl = ctl_;

    app_say(ctl->app, "%" PRIu64 " more were above the rate", n);
}

int
ctl_triggers_add(struct ctl *ctl, int argc, char *argv[])
{
    struct app_server where =
        app_server_at(ctl->app, ctl->ends[CTL_SERVER].address);
    struct app_follow follow = {
        .give = print_history, .limited = say_limited, .aux = ctl};
    struct app_source *source;
    struct lh_error error = {.text = "", .pos = -1};
    uint64_t id;
    int retval;

    app_interrupt_init();
    app_interrupt_also();
    retval = app_source_open_server(&where, &source, &error);
    if (!retval) {
        app_source_topology(source, UINT64_MAX, &network, NULL);
        retval =
            app_source_watch_at_rate(source, argv[0], ctl->rate, &id, &error);
    }
    if (!retval) {
        retval = app_follow_run(ctl->app, source, &follow, &error);
    }
    app_source_close(source);
    topology_unref(network);
    if (app_interrupt_output_gone()) {
        raise(SIGPIPE);
    }
    if (retval && retval != EINTR) {
        app_fail(ctl->app, &error, argv[0]);
        return CTL_FAILED;
    }
    return CTL_OK;
}

static int
each_trigger(struct ctl *ctl, const char *op, int argc, char *argv[])
{
    int status = CTL_OK;

    for (int i = 0; i < argc && !status; i++) {
        json_t *answer = NULL;
        uint64_t id;

        if (!text_number(argv[i], 10, 1, UINT32_MAX, &id)) {
            status = app_wrong_usage(ctl->app,
                                     "a trigger has a number, not "
                                     "\"%s\"",
                                     argv[i]);
        } else {
            status = ctl_ask(ctl, CTL_SERVER, op,
                             json_pack("{s:I}", "trigger", (json_int_t) id),
                             &answer);
        }
        json_decref(answer);
    }
    return status;
}

int
ctl_triggers_pause(struct ctl *ctl, int argc, char *argv[])
{
    return each_trigger(ctl, "trigger.pause", argc, argv);
}

int
ctl_triggers_resume(struct ctl *ctl, int argc, char *argv[])
{
    return each_trigger(ctl, "trigger.resume", argc, argv);
}

int
ctl_triggers_delete(struct ctl *ctl, int argc, char *argv[])
{
    return each_trigger(ctl, "trigger.delete", argc, argv);
}

/* --- Topology ------------------------------------------------------------ */

/* A name between the quotes of Graphviz. */
static void
print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text);
    }
    putchar('"');
}

static void
print_end(const json_t *topology, const json_t *end)
{
    print_quoted(ctl_end_name(topology, end));
}

static void
print_dot(const json_t *topology)
{
    json_t *switches =
        ctl_sort_switches(json_object_get(topology, "switches"));
    json_t *item;
    size_t i;

    puts("graph lasthop {\n    node [shape=box];");
    json_array_foreach(switches, i, item)
    {
        fputs("    ", stdout);
        print_quoted(ctl_name(item));
        fputs(" [tooltip=", stdout);
        print_quoted(ctl_text(item, "dpid"));
        puts("];");
    }
    json_array_foreach(json_object_get(topology, "links"), i, item)
    {
        const json_t *a = json_object_get(item, "a");
        const json_t *b = json_object_get(item, "b");

        fputs("    ", stdout);
        print_end(topology, a);
        fputs(" -- ", stdout);
        print_end(topology, b);
        printf(" [taillabel=\"%lld\", headlabel=\"%lld\"];\n",
               ctl_number(a, "port"), ctl_number(b, "port"));
    }
    puts("}");
    json_decref(switches);
}

int
ctl_topology_json(struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer;
    int status = ctl_ask(ctl, CTL_SERVER, "topology", NULL, &answer);

    if (!status) {
        ctl_print_json(json_object_get(answer, "topology"));
    }
    json_decref(answer);
    return status;
}

int
ctl_topology_dot(struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer;
    int status = ctl_ask(ctl, CTL_SERVER, "topology", NULL, &answer);

    if (!status) {
        print_dot(json_object_get(answer, "topology"));
    }
    json_decref(answer);
    return status;
}

/* --- Log ----------------------------------------------------------------- */

int
ctl_log(struct ctl *ctl, int argc, char *argv[])
{
    bool is_recorder = argc && !strcmp(argv[0], "recorder");
    int n_named = is_recorder || (argc && !strcmp(argv[0], "server"));
    const char *level = argc > n_named ? argv[n_named] : NULL;
    json_t *members = NULL, *answer;
    int status;

    if (argc > 1 + n_named) {
        return app_wrong_usage(ctl->app,
                               "log: \"%s\" is no daemon; there are "
                               "server and recorder",
                               argv[0]);
    }
    if (level) {
        members = json_pack("{s:s}", "level", level);
        if (!members) {
            return app_wrong_usage(ctl->app, "log: not UTF-8");
        }
    }
    status = ctl_ask(ctl, is_recorder ? CTL_RECORDER : CTL_SERVER, "log.level",
                     members, &answer);
    if (!status && ctl->app->is_json) {
        ctl_print_json(answer);
    } else if (!status) {
        puts(ctl_text(answer, "level"));
    }
    json_decref(answer);
    return status;
}
