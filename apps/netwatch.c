/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch - says when packets break what must hold.
 *
 * Invariants are read (apps/invariant_file.h), become filters
 * (apps/invariant_phf.h), and what these find is put on a board
 * (apps/alarm_board.h) that says what is to be told. */
#include <config.h>
#include "apps/netwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/app_interrupt.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

#define SECOND_NS UINT64_C(1000000000)

static const char *topology_path, *command;
static uint64_t command_timeout_s = 10, for_ns;
static struct netwatch watch = {.clear_ns = 30 * SECOND_NS};

/* --- options ------------------------------------------------------------- */

static const struct app_option options[] = {
    APP_HEADING("What is told"),
    {0, "clear", "SPAN", APP_CALL, &watch.clear_ns,
     .take = app_option_take_span,
     .help = "An invariant holds again when nothing broke it for SPAN (30s)."},
    {0, "remind", "SPAN", APP_CALL, &watch.remind_ns,
     .take = app_option_take_span,
     .help = "Say again every SPAN that it is still broken."},
    {'q', "quiet", .type = APP_FLAG, .target = &watch.is_quiet,
     .help = "Alerts only: nothing about what holds."},
    {'x', "exec", "COMMAND", APP_TEXT, &command,
     .help = "Run COMMAND by the shell for every alert, with the alert as "
             "JSON on its standard input and as NETWATCH_.. in its "
             "environment."},
    {0, "exec-timeout", "SECONDS", APP_NUMBER, &command_timeout_s, .min = 1,
     .max = 3600, .help = "Kill it after so long (10)."},
    APP_HEADING("What is watched"),
    {0, "for", "SPAN", APP_CALL, &for_ns, .take = app_option_take_span,
     .help = "Packets to come: end after so long."},
    {'t', "topology", "FILE", APP_FILE, &topology_path,
     .help = "With check and explain: take names of switches and ports from "
             "FILE, as JSON, not from the server."},
    APP_OPTIONS_END};

/* --- the file ------------------------------------------------------------ */

/* Reads the file; APP_FOUND, or all that is wrong is said. */
static int
read_file(struct netwatch *nw)
{
    struct lh_error error;
    int retval = invariant_file_read(nw->path, nw->names, &nw->file, &error);

    if (retval && !nw->file) {
        return app_fail(nw->app, &error, NULL);
    }
    for (size_t i = 0; i < nw->file->n_errors; i++) {
        unsigned int line, column;

        error = nw->file->errors[i];
        invariant_file_place(nw->file, error.pos, &line, &column);
        lh_error_prefix(&error, "%s:%u:%u", nw->path, line, column);
        app_fail(nw->app, &error, nw->file->text);
    }
    if (nw->file->n_errors == INVARIANT_FILE_MAX_ERRORS) {
        app_say(nw->app, "there may be more errors");
    }
    return retval ? APP_ERROR : APP_FOUND;
}

/* Takes the network's names of the source. */
static void
take_topology(struct netwatch *nw)
{
    struct topology *topology = NULL;

    app_source_topology(nw->source, UINT64_MAX, &topology, NULL);
    app_names_set_topology(nw->names, topology);
    topology_unref(topology);
}

/* The same for check and explain, which do without if need be. */
static int
find_names(struct netwatch *nw)
{
    const struct app *app = nw->app;
    struct topology *topology = NULL;
    struct lh_error error;

    if (topology_path) {
        if (topology_from_file(topology_path, &topology, &error)) {
            return app_fail(app, &error, NULL);
        }
        app_names_set_topology(nw->names, topology);
        topology_unref(topology);
        return APP_FOUND;
    }
    if (!app_open_source(app, &nw->source, &error)) {
        take_topology(nw);
    } else if (app->archive) {
        return app_fail(app, &error, NULL);
    }
    if (!app_names_topology(nw->names)) {
        app_say(app, "%s; names of switches and ports are not checked",
                nw->source ? "no network is known yet" : error.text);
    }
    return APP_FOUND;
}

static void
explain(const struct netwatch *nw)
{
    for (size_t i = 0; i < nw->file->n; i++) {
        const struct invariant *inv = &nw->file->invariants[i];

        bool has_name = strcmp(inv->name, inv->text) != 0;

        printf("%s%s%s%s\n", i ? "\n" : "", has_name ? inv->name : "",
               has_name ? ": " : "", inv->text);
        for (size_t j = 0; j < inv->n_filters; j++) {
            printf("  %s\n    %s\n", inv->filters[j].about,
                   inv->filters[j].phf);
        }
    }
}

/* --- init ---------------------------------------------------------------- */

static int
init(struct netwatch *nw, const char *path)
{
    struct lh_error error;
    FILE *out = stdout;
    bool has_failed;
    int fd;

    if (app_open_source(nw->app, &nw->source, &error)) {
        return app_fail(nw->app, &error, NULL);
    }
    take_topology(nw);
    if (!app_names_topology(nw->names)) {
        app_say(nw->app, "no network is known yet");
        return APP_ERROR;
    }
    if (path && strcmp(path, "-")) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        out = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (!out) {
            app_say(nw->app, "%s: %s", path, strerror(errno));
            return APP_ERROR;
        }
    }
    netwatch_init_write(nw, out);
    has_failed = ferror(out) != 0;
    if (out != stdout && (fclose(out) || has_failed)) {
        app_say(nw->app, "%s: %s", path, strerror(errno ? errno : EIO));
        return APP_ERROR;
    }
    return APP_FOUND;
}

/* --- watching ------------------------------------------------------------ */

static void
report(void *nw, const struct alarm_event *event)
{
    netwatch_report(nw, event);
}

static void
say_command(void *nw_, const char *what)
{
    const struct netwatch *nw = nw_;

    app_say(nw->app, "--exec: %s", what);
}

/* Waits for the commands that still run or wait, each no longer than it may
 * take. */
static void
finish_command(struct netwatch *nw)
{
    if (!nw->command) {
        return;
    }
    app_interrupt_clear();
    while (alert_command_tick(nw->command) &&
           app_interrupt_wait(-1, 20) == ETIMEDOUT) {
        continue;
    }
    if (alert_command_totals(nw->command)->dropped) {
        app_say(nw->app, "--exec: not run for %" PRIu64 " alerts",
                alert_command_totals(nw->command)->dropped);
    }
    alert_command_destroy(nw->command);
    nw->command = NULL;
}

/* Why names in some filter match nothing, or NULL. */
static const char *
why_none(const struct netwatch *nw)
{
    const char *why = NULL;

    for (size_t i = 0; i < nw->file->n && !why; i++) {
        const struct invariant *inv = &nw->file->invariants[i];

        for (size_t j = 0; j < inv->n_filters && !why; j++) {
            why = app_names_why_none(app_names_topology(nw->names),
                                     inv->filters[j].phf);
        }
    }
    return why;
}

static int
watch_all(struct netwatch *nw)
{
    const struct app *app = nw->app;
    bool is_past = app->archive || app->since_ns || app->until_ns;
    struct lh_error error;
    int status;

    if (is_past && for_ns) {
        return app_wrong_usage(app, "--for is about packets to come, not "
                                    "about what is stored");
    }
    if (app_open_source(app, &nw->source, &error)) {
        return app_fail(app, &error, NULL);
    }
    take_topology(nw);
    status = read_file(nw);
    if (status != APP_FOUND) {
        return status;
    }
    if (why_none(nw)) {
        /* What names never match is never broken. */
        app_say(app, "%s: %s", nw->path, why_none(nw));
        return APP_ERROR;
    }
    nw->end_ns = for_ns ? time_spec_now() + for_ns : 0;
    if (command) {
        nw->command = alert_command_create(
            command, command_timeout_s * SECOND_NS, say_command, nw);
    }
    if (is_past) {
        status = netwatch_past(nw);
    } else {
        struct alarm_config config = {.file = nw->file,
                                      .clear_ns = nw->clear_ns,
                                      .remind_ns = nw->remind_ns,
                                      .start_ns = time_spec_now(),
                                      .emit = report,
                                      .aux = nw};

        nw->board = alarm_board_create(&config);
        status = netwatch_live(nw);
    }
    finish_command(nw);
    return status;
}

static int
run_command(struct netwatch *nw, int argc, char *argv[])
{
    bool is_init = !strcmp(argv[0], "init");
    bool is_check = !strcmp(argv[0], "check");
    bool is_explain = !strcmp(argv[0], "explain");
    int status;

    if (argc > 1 + (is_check || is_explain || is_init)) {
        return app_wrong_usage(nw->app, "too many arguments");
    }
    if (is_init) {
        return init(nw, argv[1]);
    }
    if (!is_check && !is_explain) {
        nw->path = argv[0];
        if (topology_path) {
            return app_wrong_usage(nw->app,
                                   "--topology belongs to check and explain");
        }
        return watch_all(nw);
    }
    if (argc < 2) {
        return app_wrong_usage(nw->app, "a file is missing");
    }
    nw->path = argv[1];
    status = find_names(nw);
    status = status == APP_FOUND ? read_file(nw) : status;
    if (status == APP_FOUND && is_explain) {
        explain(nw);
    } else if (status == APP_FOUND) {
        printf("ok: %zu invariant%s\n", nw->file->n,
               nw->file->n == 1 ? "" : "s");
    }
    return status;
}

static int
run(struct app *app, int argc, char *argv[])
{
    struct netwatch *nw = &watch;
    struct lh_error error;
    int status;

    nw->app = app;
    if (!argc) {
        return app_wrong_usage(app, "a file of invariants is missing "
                                    "(netwatch init FILE makes one)");
    }
    app_interrupt_init();
    app_interrupt_also();
    if (app_names_create(app->hosts, &nw->names, &error)) {
        status = app_fail(app, &error, NULL);
    } else {
        status = run_command(nw, argc, argv);
    }
    alarm_board_destroy(nw->board);
    alert_command_destroy(nw->command);
    invariant_file_destroy(nw->file);
    app_source_close(nw->source);
    app_names_destroy(nw->names);
    if (app_interrupt_output_gone()) {
        raise(SIGPIPE);
    }
    return status;
}

static const struct app_command commands[] = {
    {"check", "FILE", "Say whether FILE is well written, and if not, where."},
    {"explain", "FILE",
     "Show the packet history filters that its invariants become."},
    {"init", "[FILE]",
     "Write an example for the network as it is (to standard output)."},
    {NULL, NULL, NULL}};

static const char *const usages[] = {
    "[OPTION].. FILE", "[OPTION].. check FILE", "[OPTION].. explain FILE",
    "[OPTION].. init [FILE]", NULL};

static const struct app_exit exits[] = {
    {NETWATCH_HOLDS, "All invariants hold; or what was asked for was done."},
    {NETWATCH_VIOLATED, "At least one was broken."},
    {APP_ERROR, "Wrong usage, an error in FILE, or it could not be done."},
    {NETWATCH_UNSEEN,
     "None was broken by what was seen, but not everything was: there are no "
     "packets of that time, some were never stored or cannot be read, or the "
     "server was away."},
    {APP_INTERRUPTED, "Interrupted while what is stored was read."},
    {0, NULL}};

static const struct app_program program = {
    .name = "netwatch",
    .section = 1,
    .summary = "Watches packets, live or stored, and says when they break "
               "what the\ninvariants in FILE want to hold.",
    .usages = usages,
    .commands = commands,
    .has = APP_HAS_SOURCE | APP_HAS_RANGE | APP_HAS_SHOWING | APP_HAS_JSON,
    .options = options,
    .examples = "  netwatch init net.watch\n"
                "  netwatch net.watch\n"
                "  netwatch --last 1h --json net.watch\n",
    .exits = exits,
    .takes_files = true,
    .run = run,
};

int
main(int argc, char *argv[])
{
    return app_main(&program, argc, argv);
}
