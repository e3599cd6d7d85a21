/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the commands about a running server: `clients`, `triggers`,
 * `topology`, `log`. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <lasthop/client.h>

#include "lib/lh_alloc.h"
#include "lib/text_number.h"
#include "lib/time_spec.h"

/* --- Clients ------------------------------------------------------------- */

static void
print_client(const json_t *client)
{
    const json_t *rights = json_object_get(client, "rights");
    char since[TIME_SPEC_BUFSIZE];
    json_t *right;
    size_t i;

    time_spec_format((uint64_t) ctl_number(client, "since_ns"), false, 0,
                     since);
    printf("%lld %s %s since %s: %lld requests, %lld events, %lld missed, "
           "%lld bytes wait; may",
           ctl_number(client, "client"), ctl_text(client, "address"),
           *ctl_text(client, "program") ? ctl_text(client, "program") : "-",
           since, ctl_number(client, "requests"), ctl_number(client, "events"),
           ctl_number(client, "missed"), ctl_number(client, "waiting_bytes"));
    json_array_foreach(rights, i, right)
    {
        printf(" %s", json_string_value(right));
    }
    puts(json_array_size(rights) ? "" : " ask");
}

int
ctl_clients(const struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer, *client;
    size_t i;
    int status;

    if (argc > 1) {
        return ctl_wrong_usage("clients takes no argument, not ", argv[1]);
    }
    status = ctl_demand(ctl, "clients", NULL, &answer);
    if (!status && ctl->is_json) {
        status = ctl_print_json(answer);
    } else if (!status) {
        json_array_foreach(json_object_get(answer, "clients"), i, client)
        {
            print_client(client);
        }
    }
    json_decref(answer);
    return status;
}

/* --- Triggers ------------------------------------------------------------ */

static int
list_triggers(const struct ctl *ctl)
{
    json_t *answer, *t;
    size_t i;
    int status = ctl_demand(ctl, "trigger.list", NULL, &answer);

    if (!status && ctl->is_json) {
        status = ctl_print_json(answer);
    } else if (!status) {
        json_array_foreach(json_object_get(answer, "triggers"), i, t)
        {
            printf("%lld %s (client %lld, %s)%s: %lld hits, %lld missed, %lld "
                   "above the rate: %s\n",
                   ctl_number(t, "trigger"),
                   *ctl_text(t, "name") ? ctl_text(t, "name") : "-",
                   ctl_number(t, "client"),
                   *ctl_text(t, "program") ? ctl_text(t, "program") : "-",
                   json_is_true(json_object_get(t, "paused")) ? " paused" : "",
                   ctl_number(t, "hits"), ctl_number(t, "missed"),
                   ctl_number(t, "limited"), ctl_text(t, "phf"));
        }
    }
    json_decref(answer);
    return status;
}

/* Whether standard output still takes what is printed. */
static bool has_failed;

static void
print_history(struct lasthop_request *r, struct lasthop_history *h, void *aux)
{
    char *text = lasthop_history_json(h);

    has_failed = puts(text) == EOF || fflush(stdout);
    free(text);
}

static void
say_missed(struct lasthop_request *r, uint64_t n, uint64_t since_ns,
           uint64_t until_ns, void *aux)
{
    fprintf(stderr, "lasthopctl: %" PRIu64 " more came too fast\n", n);
}

/* Sets a trigger and prints what comes. */
static int
follow(const struct ctl *ctl, const char *phf)
{
    struct lasthop_client *client = lasthop_client_create(ctl->server_path);
    struct lasthop_request *r = lasthop_request_create(client, "trigger.add");
    int retval;

    lasthop_client_set_name(client, "lasthopctl");
    lasthop_client_set_timeout(client, (unsigned int) ctl->timeout_ms);
    lasthop_request_set_text(r, "phf", phf);
    lasthop_request_set_text(r, "name", "lasthopctl");
    lasthop_request_on_history(r, print_history, NULL);
    lasthop_request_on_missed(r, say_missed, NULL);
    retval = lasthop_client_connect(client);
    if (!retval) {
        retval = lasthop_request_start(r);
    }
    while (!retval && !has_failed &&
           lasthop_request_result(r) == EINPROGRESS) {
        retval = lasthop_client_process(client, -1);
    }
    if (lasthop_request_result(r) == EINVAL &&
        lasthop_request_error_pos(r) >= 0) {
        fprintf(stderr, "lasthopctl: %s\n%s\n%*s^\n", lasthop_request_error(r),
                phf, lasthop_request_error_pos(r), "");
    } else if (has_failed) {
        fputs("lasthopctl: standard output cannot be written\n", stderr);
    } else {
        fprintf(stderr, "lasthopctl: %s\n", lasthop_client_error(client));
    }
    lasthop_client_destroy(client);
    return CTL_FAILED;
}

static int
each_trigger(const struct ctl *ctl, const char *what, int argc, char *argv[])
{
    char *op = lh_asprintf("trigger.%s", what);
    int status = CTL_OK;

    if (!argc) {
        status = ctl_wrong_usage("the number of a trigger is missing", "");
    }
    for (int i = 0; i < argc && !status; i++) {
        json_t *answer = NULL;
        uint64_t id;

        if (!text_number(argv[i], 10, 1, UINT32_MAX, &id)) {
            status = ctl_wrong_usage("a trigger has a number, not ", argv[i]);
        } else {
            status = ctl_demand(ctl, op,
                                json_pack("{s:I}", "trigger", (json_int_t) id),
                                &answer);
        }
        json_decref(answer);
    }
    free(op);
    return status;
}

int
ctl_triggers(const struct ctl *ctl, int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "list";

    if (!strcmp(what, "list") && argc <= 2) {
        return list_triggers(ctl);
    }
    if (!strcmp(what, "add") && argc == 3) {
        return follow(ctl, argv[2]);
    }
    if (!strcmp(what, "delete") || !strcmp(what, "pause") ||
        !strcmp(what, "resume")) {
        return each_trigger(ctl, what, argc - 2, argv + 2);
    }
    return ctl_wrong_usage("triggers is followed by list, add PHF, pause, "
                           "resume or delete NUMBER",
                           "");
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

static const char *
name_of(const json_t *sw)
{
    return *ctl_text(sw, "name") ? ctl_text(sw, "name") : ctl_text(sw, "dpid");
}

static const json_t *
find_switch(const json_t *topology, const char *dpid)
{
    json_t *sw;
    size_t i;

    json_array_foreach(json_object_get(topology, "switches"), i, sw)
    {
        if (!strcmp(ctl_text(sw, "dpid"), dpid)) {
            return sw;
        }
    }
    return NULL;
}

static void
print_end(const json_t *topology, const json_t *end)
{
    const json_t *sw = find_switch(topology, ctl_text(end, "dpid"));

    print_quoted(sw ? name_of(sw) : ctl_text(end, "dpid"));
}

static void
print_dot(const json_t *topology)
{
    json_t *item;
    size_t i;

    puts("graph lasthop {\n    node [shape=box];");
    json_array_foreach(json_object_get(topology, "switches"), i, item)
    {
        fputs("    ", stdout);
        print_quoted(name_of(item));
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
}

int
ctl_topology(const struct ctl *ctl, int argc, char *argv[])
{
    const char *form = argc > 1 ? argv[1] : "json";
    json_t *answer;
    int status;

    if (argc > 2 || (strcmp(form, "json") && strcmp(form, "dot"))) {
        return ctl_wrong_usage("topology is followed by json or dot", "");
    }
    status = ctl_demand(ctl, "topology", NULL, &answer);
    if (!status && !strcmp(form, "dot")) {
        print_dot(json_object_get(answer, "topology"));
    } else if (!status) {
        status = ctl_print_json(json_object_get(answer, "topology"));
    }
    json_decref(answer);
    return status;
}

/* --- Log ----------------------------------------------------------------- */

int
ctl_log(const struct ctl *ctl, int argc, char *argv[])
{
    bool is_recorder = argc > 1 && !strcmp(argv[1], "recorder");
    bool is_named = is_recorder || (argc > 1 && !strcmp(argv[1], "server"));
    const char *level = argc > 1 + is_named ? argv[1 + is_named] : NULL;
    json_t *members = NULL, *answer;
    int status;

    if (argc > 2 + is_named) {
        return ctl_wrong_usage("log takes a daemon and a level, not also ",
                               argv[2 + is_named]);
    }
    if (level) {
        members = json_pack("{s:s}", "level", level);
        if (!members) {
            return ctl_wrong_usage("log: not UTF-8", "");
        }
    }
    status = is_recorder ? ctl_ask(ctl, "log.level", members, &answer)
                         : ctl_demand(ctl, "log.level", members, &answer);
    if (!status && ctl->is_json) {
        status = ctl_print_json(answer);
    } else if (!status) {
        puts(ctl_text(answer, "level"));
    }
    json_decref(answer);
    return status;
}
