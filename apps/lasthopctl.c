/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - steers a running recorder, looks after servers and archives:
 * lasthopctl(8). */
#include <config.h>
#include "apps/lasthopctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_link.h"
#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "lib/nearest.h"
#include "lib/packet_id.h"
#include "lib/text_number.h"

/* --- Options. ------------------------------------------------------------ */

static struct ctl the_ctl;
static const char *rundir, *recorder_path;

static int
take_id_seed(void *ctl_, const char *value, struct lh_error *error)
{
    struct ctl *ctl = ctl_;

    ctl->has_id_seed = text_number(value, 16, 0, UINT64_MAX, &ctl->id_seed);
    if (!ctl->has_id_seed) {
        lh_error_set(error, "must be up to 16 hex digits, not \"%s\"", value);
    }
    return ctl->has_id_seed ? 0 : EINVAL;
}

static const struct app_option options[] = {
    APP_HEADING("What some commands take"),
    {0, "check", .type = APP_FLAG, .target = &the_ctl.is_check,
     .help = "With status: the exit status says whether anything should be "
             "looked at."},
    {0, "before", "NAME", APP_TEXT, &the_ctl.before,
     .help = "With select add: put it before the selection NAME."},
    {0, "force", .type = APP_FLAG, .target = &the_ctl.has_force,
     .help = "With attach: also a bridge with fail-mode standalone."},
    {0, "rate", "N", APP_NUMBER, &the_ctl.rate,
     .help = "With triggers add: print at most N a second.", .min = 1,
     .max = 1000000000},
    {0, "id-seed", "HEX", APP_CALL, &the_ctl, .take = take_id_seed,
     .help = "With archive repair, where neither meta.json nor a block tells "
             "it: the --id-seed that lasthop-server was given."},
    {0, "id-bytes", "N", APP_NUMBER, &the_ctl.id_bytes,
     .help = "The same of its --id-bytes.", .min = PACKET_ID_MIN_BYTES,
     .max = 1500},
    APP_HEADING("What size takes"),
    {0, "gbit", "N", APP_NUMBER, &the_ctl.size.gbit,
     .help = "Gb/s that enter the network.", .min = 1, .max = 1000000},
    {0, "packet-bytes", "N", APP_NUMBER, &the_ctl.size.packet_bytes,
     .help = "Of a packet, on average (700).", .min = 60, .max = 65535},
    {0, "hops", "N", APP_NUMBER, &the_ctl.size.hops,
     .help = "Postcards of a packet, on average (5).", .min = 1, .max = 64},
    {0, "snap", "N", APP_NUMBER, &the_ctl.size.snap,
     .help = "Bytes of each packet that postcards have: 64 (the default) or "
             "96.",
     .min = 1, .max = 65535},
    {0, "days", "N", APP_NUMBER, &the_ctl.size.days,
     .help = "That the archive is to keep (7).", .min = 1, .max = 3660},
    {0, "cores", "N", APP_NUMBER, &the_ctl.size.cores,
     .help = "Of a server (16).", .min = 1, .max = 1024},
    {0, "load", "PERCENT", APP_NUMBER, &the_ctl.size.load,
     .help = "Of the cores that are planned for; the rest is for queries, "
             "bursts and the loss of a server (50).",
     .min = 1, .max = 100},
    {0, "replicas", "N", APP_NUMBER, &the_ctl.size.copies,
     .help = "Disks that each history is kept on (1).", .min = 1, .max = 2},
    {0, "bus-replicas", "N", APP_NUMBER, &the_ctl.size.replicas,
     .help = "Copies that NATS keeps (1).", .min = 1, .max = 5},
    {0, "backlog", "SECONDS", APP_NUMBER, &the_ctl.size.backlog,
     .help = "That the bus must be able to hold (60).", .min = 1,
     .max = 86400},
    APP_HEADING("Where the sockets are"),
    {0, "rundir", "DIR", APP_DIR, &rundir,
     .help = "Where recorder.sock and server.sock are, by default "
             "$LASTHOP_RUNDIR or /run/lasthop."},
    {0, "recorder", "SOCKET", APP_FILE, &recorder_path,
     .help = "Ask the recorder there."},
    APP_OPTIONS_END};

/* --- Asking. ------------------------------------------------------------- */

int
ctl_try(struct ctl *ctl, enum ctl_daemon daemon, const char *op,
        json_t *members, json_t **answer, struct lh_error *error)
{
    struct ctl_end *end = &ctl->ends[daemon];
    int retval = 0;

    *answer = NULL;
    if (!end->link) {
        struct app_server where = app_server_at(ctl->app, end->address);

        retval = app_link_open(&where, &end->link, error);
    }
    if (retval) {
        json_decref(members);
        return retval;
    }
    return app_link_call(end->link, op, members, answer, error);
}

int
ctl_fail(const struct ctl *ctl, enum ctl_daemon daemon, const char *op,
         int error_number, const struct lh_error *error)
{
    bool is_recorder = daemon == CTL_RECORDER;
    const char *program = is_recorder ? "lasthop-recorder" : "lasthop-server";
    bool was_asked = ctl->ends[daemon].link;

    if (!was_asked &&
        (error_number == ENOENT || error_number == ECONNREFUSED)) {
        app_say(ctl->app,
                "no %s: %s\nIs %s running?  If its --rundir is another one, "
                "give it to lasthopctl too.",
                is_recorder ? "recorder" : "server", error->text, program);
    } else if (!was_asked && error_number == EACCES) {
        app_say(ctl->app,
                "%s\nOnly the owner and the group of the socket may use it.",
                error->text);
    } else if (was_asked &&
               (error_number == ETIMEDOUT || error_number == ECONNRESET)) {
        app_say(ctl->app, "%s; whether \"%s\" was done is not known",
                error->text, op);
    } else {
        app_say(ctl->app, "%s", error->text);
    }
    return CTL_FAILED;
}

int
ctl_ask(struct ctl *ctl, enum ctl_daemon daemon, const char *op,
        json_t *members, json_t **answer)
{
    struct lh_error error;
    int retval = ctl_try(ctl, daemon, op, members, answer, &error);

    return retval ? ctl_fail(ctl, daemon, op, retval, &error) : CTL_OK;
}

void
ctl_print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
}

const char *
ctl_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

long long
ctl_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

const char *
ctl_name(const json_t *sw)
{
    return *ctl_text(sw, "name") ? ctl_text(sw, "name") : ctl_text(sw, "dpid");
}

void
ctl_print_count(long long n, const char *one, const char *many)
{
    printf("%lld %s", n, app_noun((uint64_t) n, one, many));
}

const char *
ctl_end_name(const json_t *topology, const json_t *end)
{
    json_t *sw;
    size_t i;

    json_array_foreach(json_object_get(topology, "switches"), i, sw)
    {
        if (!strcmp(ctl_text(sw, "dpid"), ctl_text(end, "dpid"))) {
            return ctl_name(sw);
        }
    }
    return ctl_text(end, "dpid");
}

/* "s2" before "s10". */
static int
compare_switches(const void *a_, const void *b_)
{
    const json_t *a = *(json_t *const *) a_, *b = *(json_t *const *) b_;
    int retval = strverscmp(ctl_name(a), ctl_name(b));

    return retval ? retval : strcmp(ctl_text(a, "dpid"), ctl_text(b, "dpid"));
}

json_t *
ctl_sort_switches(const json_t *switches)
{
    size_t n = json_array_size(switches);
    json_t **sorted = lh_alloc_array(NULL, n, sizeof *sorted);
    json_t *copy = switches ? json_array() : NULL;

    for (size_t i = 0; i < n; i++) {
        sorted[i] = json_array_get(switches, i);
    }
    if (n) {
        qsort(sorted, n, sizeof *sorted, compare_switches);
    }
    for (size_t i = 0; i < n; i++) {
        json_array_append(copy, sorted[i]);
    }
    free(sorted);
    return copy;
}

/* --- The commands. ------------------------------------------------------- */

static const struct app_command commands[] = {
    {"status", "",
     "Show how server, recorder, switches, links and clients are, and what "
     "should be looked at."},
    {"pause", "[BRIDGE]..",
     "Take all postcards off these switches, or off all."},
    {"resume", "[BRIDGE]..", "Put them back."},
    {"select list", "", "Print the selections, as load takes them."},
    {"select add", "SELECTION",
     "Add one: include|exclude NAME [TERM].. Terms are bridge=, table=, "
     "cookie=VALUE[/MASK], match=, priority=, snap-len=, encap=."},
    {"select delete", "NAME..", "Take selections out of the list."},
    {"select load", "FILE", "Replace them all (- is standard input)."},
    {"attach", "BRIDGE", "Instrument a bridge that has no controller."},
    {"detach", "BRIDGE", "Take everything of lasthop off it again."},
    {"cluster status", "", "Show the servers of a cluster, and what waits."},
    {"cluster drain", "NAME",
     "Have a server of the cluster give its shards away."},
    {"cluster forget", "NAME", "Strike a dead server off the list."},
    {"clients", "", "Show who is connected to the server."},
    {"triggers list", "", "Show the live filters of all clients."},
    {"triggers add", "PHF",
     "Print what matches PHF from now on, as JSON, until Ctrl-C."},
    {"triggers pause", "NUMBER..", "Have live filters send nothing."},
    {"triggers resume", "NUMBER..", "Have them send again."},
    {"triggers delete", "NUMBER..", "End them."},
    {"topology json", "", "Print switches, ports and links as JSON."},
    {"topology dot", "", "Print them for Graphviz."},
    {"log", "[server|recorder] [error|warn|info|debug]",
     "Print the level of the log, or set it."},
    {"size", "",
     "Calculate how many servers a network needs, and what of a bus and of "
     "disks; with --gbit and others."},
    {"archive verify", "DIR",
     "Read an archive whole and name what is damaged."},
    {"archive stat", "DIR", "Show what is in it."},
    {"archive repair", "DIR", "Write damaged files anew, of what is sound."},
    {NULL, NULL, NULL}};

/* What runs them, and how many arguments they take; in the same order. */
static const struct {
    int (*run)(struct ctl *, int argc, char *argv[]);
    int min, max;
} runs[] = {
    {ctl_status, 0, 0},
    {ctl_pause, 0, INT32_MAX},
    {ctl_resume, 0, INT32_MAX},
    {ctl_select_list, 0, 0},
    {ctl_select_add, 1, INT32_MAX},
    {ctl_select_delete, 1, INT32_MAX},
    {ctl_select_load, 1, 1},
    {ctl_attach, 1, 1},
    {ctl_detach, 1, 1},
    {ctl_cluster_status, 0, 0},
    {ctl_cluster_drain, 1, 1},
    {ctl_cluster_forget, 1, 1},
    {ctl_clients, 0, 0},
    {ctl_triggers_list, 0, 0},
    {ctl_triggers_add, 1, 1},
    {ctl_triggers_pause, 1, INT32_MAX},
    {ctl_triggers_resume, 1, INT32_MAX},
    {ctl_triggers_delete, 1, INT32_MAX},
    {ctl_topology_json, 0, 0},
    {ctl_topology_dot, 0, 0},
    {ctl_log, 0, 2},
    {ctl_size, 0, 0},
    {ctl_archive_verify, 1, 1},
    {ctl_archive_stat, 1, 1},
    {ctl_archive_repair, 1, 1},
};

/* Whether argv begins with the words of command 'i'; '*n' is how many they
 * are.  "triggers", "topology" and "cluster" alone are the first of theirs. */
static bool
is_command(size_t i, int argc, char *argv[], int *n)
{
    const char *name = commands[i].name, *second = strchr(name, ' ');
    size_t len = strcspn(name, " ");

    if (!argc || strlen(argv[0]) != len || memcmp(argv[0], name, len) != 0) {
        return false;
    }
    *n = second && argc > 1 ? 2 : 1;
    return !second || (argc > 1 ? !strcmp(argv[1], second + 1)
                                : !strcmp(name, "triggers list") ||
                                      !strcmp(name, "topology json") ||
                                      !strcmp(name, "cluster status"));
}

/* Says what could have been meant. */
static int
explain_unknown(const struct app *app, int argc, char *argv[])
{
    struct nearest nearest = nearest_init(argc ? argv[0] : "");
    char words[sizeof runs / sizeof *runs][16];
    char *after;

    if (!argc) {
        return app_wrong_usage(app, "a command is missing");
    }
    after = lh_strdup("");
    for (const struct app_command *c = commands; c->name; c++) {
        size_t len = strcspn(c->name, " ");
        char *word = words[c - commands];

        snprintf(word, sizeof *words, "%.*s", (int) len, c->name);
        if (!strcmp(word, argv[0]) && c->name[len]) {
            char *longer = lh_asprintf("%s%s%s", after, *after ? ", " : "",
                                       c->name + len + 1);

            free(after);
            after = longer;
        }
        nearest_try(&nearest, word);
    }
    if (*after) {
        app_wrong_usage(app, "%s is followed by one of %s", argv[0], after);
    } else if (nearest_name(&nearest)) {
        app_wrong_usage(app, "there is no command %s; is %s meant?", argv[0],
                        nearest_name(&nearest));
    } else {
        app_wrong_usage(app, "there is no command %s", argv[0]);
    }
    free(after);
    return CTL_USAGE;
}

/* Checks which options go with the command. */
static int
check_options(const struct ctl *ctl, const char *name)
{
    static const struct ctl_size no_size;
    static const char *const at[] = {"status",         "select add",
                                     "attach",         "triggers add",
                                     "archive repair", "size"};
    static const char *const what[] = {"--check",
                                       "--before",
                                       "--force",
                                       "--rate",
                                       "--id-seed and --id-bytes",
                                       "--gbit and what describes a network"};
    const bool is_given[] = {ctl->is_check,
                             ctl->before,
                             ctl->has_force,
                             ctl->rate,
                             ctl->has_id_seed || ctl->id_bytes,
                             memcmp(&ctl->size, &no_size, sizeof no_size)};

    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        if (is_given[i] && strcmp(name, at[i]) != 0) {
            return app_wrong_usage(ctl->app, "%s belong%s to %s", what[i],
                                   i >= 4 ? "" : "s", at[i]);
        }
    }
    return CTL_OK;
}

static int
run_command(struct ctl *ctl, size_t i, int argc, char *argv[])
{
    const struct app_command *c = &commands[i];

    if (check_options(ctl, c->name)) {
        return CTL_USAGE;
    }
    if (argc < runs[i].min) {
        return app_wrong_usage(ctl->app, "%s: %s is missing", c->name,
                               c->args);
    }
    if (argc > runs[i].max) {
        return app_wrong_usage(ctl->app, "%s: \"%s\" is too much", c->name,
                               argv[runs[i].max]);
    }
    return runs[i].run(ctl, argc, argv);
}

/* Where the two daemons are. */
static void
find_ends(struct ctl *ctl)
{
    const struct app *app = ctl->app;

    ctl->has_recorder = rundir || recorder_path;
    ctl->ends[CTL_RECORDER].address =
        recorder_path ? lh_strdup(recorder_path)
        : rundir      ? lh_asprintf("%s/%s", rundir, API_SOCKET_RECORDER)
                      : api_socket_path(API_SOCKET_RECORDER);
    ctl->ends[CTL_SERVER].address =
        rundir && !app->server
            ? lh_asprintf("%s/%s", rundir, API_SOCKET_SERVER)
            : app_server_address(app);
}

static int
run(struct app *app, int argc, char *argv[])
{
    struct ctl *ctl = &the_ctl;
    int status, n_words;
    size_t i = 0;

    ctl->app = app;
    while (commands[i].name && !is_command(i, argc, argv, &n_words)) {
        i++;
    }
    if (!commands[i].name) {
        return explain_unknown(app, argc, argv);
    }
    find_ends(ctl);
    status = run_command(ctl, i, argc - n_words, argv + n_words);
    for (size_t j = 0; j < 2; j++) {
        app_link_close(ctl->ends[j].link);
        free(ctl->ends[j].address);
    }
    return status;
}

static const char *const usages[] = {"[OPTION].. COMMAND [ARGUMENT]..", NULL};

static const struct app_exit exits[] = {
    {CTL_OK, "Done."},
    {CTL_FAILED, "It could not be done: nobody answers, or says why not; or "
                 "the archive is damaged."},
    {CTL_USAGE, "Wrong usage, or no archive that can be read."},
    {CTL_ATTENTION, "status --check found something to be looked at."},
    {0, NULL}};

static const struct app_program program = {
    .name = "lasthopctl",
    .section = 8,
    .summary = "Shows how recorder, server and switches are, steers them, and "
               "looks after\narchives. A BRIDGE is a name or a datapath ID.",
    .usages = usages,
    .commands = commands,
    .has = APP_HAS_SERVER | APP_HAS_TIMES | APP_HAS_JSON,
    .options = options,
    .examples = "  lasthopctl status\n"
                "  lasthopctl pause s1\n"
                "  lasthopctl select add 'include web match=tcp,tp_dst=80'\n"
                "  lasthopctl topology dot | dot -Tsvg > network.svg\n",
    .exits = exits,
    .run = run,
};

int
main(int argc, char *argv[])
{
    return app_main(&program, argc, argv);
}
