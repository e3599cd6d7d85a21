/* SPDX-License-Identifier: Apache-2.0 */
/* app - what every program for people begins and ends with. */
#include <config.h>
#include "apps/app.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apps/app_document.h"
#include "apps/app_setting.h"
#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"
#include "lib/text_number.h"
#include "phf/phf.h"

#define DEFAULT_TIMEOUT_S 30

/* Options point into it. */
static struct app the_app;
static bool wants_help, wants_version;

/* --- the frame's options ------------------------------------------------- */

static int
take_last(void *app_, const char *value, struct lh_error *error)
{
    struct app *app = app_;
    bool has_counts = app->program->has & APP_HAS_COUNTS;
    char *before;
    int retval;

    if (has_counts && text_number(value, 10, 1, INT64_MAX, &app->last_n)) {
        return 0;
    }
    before = lh_asprintf("-%s", value);
    retval = time_spec_parse(before, time_spec_now(), &app->since_ns, NULL);
    free(before);
    if (retval) {
        lh_error_set(error,
                     "must be %sa span of time (10m, 1h30m), not "
                     "\"%s\"",
                     has_counts ? "a number or " : "", value);
    }
    return retval;
}

static const struct app_option server_options[] = {
    APP_HEADING("Where answers come from"),
    {'s', "server", "SOCKET", APP_FILE, &the_app.server,
     .help = "Ask the server there, by default $LASTHOP_RUNDIR/server.sock "
             "or /run/lasthop/server.sock; tcp:HOST:PORT is a server "
             "elsewhere, over TLS.",
     .is_setting = true},
    {0, "tls-cert", "FILE", APP_FILE, &the_app.tls_cert,
     .help = "With tcp: show the server this certificate (PEM).",
     .more = "Without these three options, LASTHOP_CERT, LASTHOP_KEY and "
             "LASTHOP_CA name the files.",
     .is_setting = true},
    {0, "tls-key", "FILE", APP_FILE, &the_app.tls_key,
     .help = "The private key of that certificate.", .is_setting = true},
    {0, "tls-ca", "FILE", APP_FILE, &the_app.tls_ca,
     .help = "The certificate of who signed that of the server.",
     .is_setting = true},
    {0, "timeout", "SECONDS", APP_NUMBER, &the_app.timeout_s,
     .help = "Wait so long for a server that says nothing (30).", .min = 1,
     .max = 3600, .is_setting = true},
    APP_OPTIONS_END};

static const struct app_option archive_options[] = {
    {'r', "read", "DIR", APP_DIR, &the_app.archive,
     .help = "Read the archive in DIR instead, without a server.",
     .more = "It may be written to meanwhile."},
    {0, "flow-log", "FILE", APP_FILE, &the_app.flow_log,
     .help = "With --read: take rules and tables from this flow log of "
             "lasthop-recorder, not from the one that the archive names."},
    APP_OPTIONS_END};

static const struct app_option range_options[] = {
    APP_HEADING("Which time"),
    {0, "since", "TIME", APP_TIME, &the_app.since_ns,
     .help = "Only what happened at TIME or later: -10m, -1h30m (before "
             "now), 2026-11-22T04:09:29.5Z (local time without a zone), "
             "2026-11-22, or nanoseconds since the epoch.",
     .more = "The time of a history is that of its first hop."},
    {0, "until", "TIME", APP_TIME, &the_app.until_ns,
     .help = "Only what happened before TIME."},
    APP_OPTIONS_END};

static const struct app_option last_options[] = {
    {0, "last", "SPAN", APP_CALL, &the_app, .take = take_last,
     .help = "Only the last 10m, 1h30m.."},
    APP_OPTIONS_END};

static const struct app_option count_options[] = {
    {0, "last", "N|SPAN", APP_CALL, &the_app, .take = take_last,
     .help = "Only the last N, or those of the last 10m, 1h30m.."},
    {0, "first", "N", APP_NUMBER, &the_app.first_n, .min = 1, .max = INT64_MAX,
     .help = "Only the first N."},
    {0, "all", .type = APP_FLAG, .target = &the_app.is_all,
     .help = "All there are."},
    APP_OPTIONS_END};

static const struct app_option json_options[] = {
    APP_HEADING("How it is shown"),
    {'j', "json", .type = APP_FLAG, .target = &the_app.is_json,
     .help = "Print JSON, an object a line."},
    APP_OPTIONS_END};

static const struct app_option time_options[] = {
    {0, "utc", .type = APP_FLAG, .target = &the_app.is_utc,
     .help = "Print times in UTC, not local time.", .is_setting = true},
    {0, "time-format", "FORMAT", APP_CHOICE, &the_app.time_format,
     .help = "Print times as rfc3339 (as usual), time (without the date), "
             "unix (seconds since the epoch), ns, or ago.",
     .choices = "rfc3339|time|unix|ns|ago", .is_setting = true},
    APP_OPTIONS_END};

static const struct app_option look_options[] = {
    {0, "hosts", "FILE", APP_FILE, &the_app.hosts,
     .help = "Show addresses by their names in FILE, which is like "
             "/etc/hosts.",
     .more = "A line is an address (IPv4, IPv6 or MAC) and a name.",
     .is_setting = true},
    {0, "color", "WHEN", APP_CHOICE, &the_app.color_when,
     .help = "Use colors auto (at a terminal), always or never.",
     .choices = "auto|always|never", .is_setting = true},
    APP_OPTIONS_END};

/* The options that are settings, of all programs: they share the files. */
static const struct app_option *const setting_tables[] = {
    server_options, time_options, look_options, NULL};

static const struct app_option general_options[] = {
    APP_HEADING("Help"),
    {'h', "help", .type = APP_FLAG, .target = &wants_help,
     .help = "Show this text."},
    {'V', "version", .type = APP_FLAG, .target = &wants_version,
     .help = "Show the version."},
    APP_OPTIONS_END};

const struct app_option *const *
app_tables(const struct app_program *program)
{
    static const struct app_option *tables[10];
    size_t n = 0;

    if (program->options) {
        tables[n++] = program->options;
    }
    if (program->has & APP_HAS_SERVER) {
        tables[n++] = server_options;
    }
    if (program->has & APP_HAS_ARCHIVE) {
        tables[n++] = archive_options;
    }
    if (program->has & APP_HAS_RANGE) {
        tables[n++] = range_options;
        tables[n++] =
            program->has & APP_HAS_COUNTS ? count_options : last_options;
    }
    if (program->has & APP_HAS_JSON) {
        tables[n++] = json_options;
    }
    if (program->has & APP_HAS_TIMES) {
        tables[n++] = time_options;
    }
    if (program->has & APP_HAS_LOOKS) {
        tables[n++] = look_options;
    }
    tables[n++] = general_options;
    tables[n] = NULL;
    return tables;
}

/* --- words to the user --------------------------------------------------- */

int
app_fail(const struct app *app, const struct lh_error *error, const char *text)
{
    char *underlined = text ? phf_underline(text, error) : NULL;

    fflush(stdout);
    fprintf(stderr, "%s: %s\n", app->program->name, error->text);
    if (underlined) {
        fprintf(stderr, "%s\n", underlined);
    }
    free(underlined);
    return APP_ERROR;
}

void
app_say(const struct app *app, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "%s: ", app->program->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int
app_wrong_usage(const struct app *app, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", app->program->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n%s --help says more\n", app->program->name);
    return APP_ERROR;
}

const char *
app_noun(uint64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

/* --- times --------------------------------------------------------------- */

static char *
format_ago(uint64_t ns, char buf[TIME_SPEC_BUFSIZE])
{
    uint64_t now_ns = time_spec_now();
    char span[TIME_SPEC_BUFSIZE];

    time_spec_format_span(now_ns > ns ? now_ns - ns : ns - now_ns, span);
    snprintf(buf, TIME_SPEC_BUFSIZE, "%s%.24s%s", now_ns < ns ? "in " : "",
             span, now_ns < ns ? "" : " ago");
    return buf;
}

char *
app_format_time(const struct app *app, uint64_t ns,
                char buf[TIME_SPEC_BUFSIZE])
{
    const uint64_t second = UINT64_C(1000000000);
    const char *format = app->time_format ? app->time_format : "rfc3339";

    if (!strcmp(format, "unix")) {
        snprintf(buf, TIME_SPEC_BUFSIZE, "%" PRIu64 ".%06" PRIu64, ns / second,
                 ns % second / 1000);
    } else if (!strcmp(format, "ns")) {
        snprintf(buf, TIME_SPEC_BUFSIZE, "%" PRIu64, ns);
    } else if (!strcmp(format, "ago")) {
        format_ago(ns, buf);
    } else {
        time_spec_format(ns, app->is_utc, 6, buf);
        if (!strcmp(format, "time")) {
            /* "2026-11-22T" before it and the zone behind it. */
            memmove(buf, buf + 11, 15);
            buf[15] = '\0';
        }
    }
    return buf;
}

/* --- the source ---------------------------------------------------------- */

struct app_server
app_server_at(const struct app *app, const char *address)
{
    return (struct app_server){
        .address = address,
        .name = app->program->name,
        .timeout_ms = (int) app->timeout_s * 1000,
        .tls_key = app->tls_key,
        .tls_cert = app->tls_cert,
        .tls_ca = app->tls_ca,
    };
}

char *
app_server_address(const struct app *app)
{
    return app->server ? lh_strdup(app->server)
                       : api_socket_path(API_SOCKET_SERVER);
}

int
app_open_source(const struct app *app, struct app_source **sourcep,
                struct lh_error *error)
{
    struct app_server where;
    char *address;
    int retval;

    if (app->archive) {
        return app_source_open_archive(app->archive, app->flow_log, sourcep,
                                       error);
    }
    address = app_server_address(app);
    where = app_server_at(app, address);
    retval = app_source_open_server(&where, sourcep, error);
    free(address);
    return retval;
}

/* --- one run ------------------------------------------------------------- */

/* Columns of the terminal at standard output, or 0. */
static int
terminal_width(void)
{
    struct winsize size;

    return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)
               ? size.ws_col
               : 0;
}

/* Checks what no option can check alone. */
static int
check_options(struct app *app, const bool *given)
{
    const struct app_option *const *tables = app_tables(app->program);
    size_t n = app_option_count(tables);
    bool has_server = false;

    for (size_t i = 0; i < n; i++) {
        has_server |= given[i] && app_option_at(tables, i)->target ==
                                      (void *) &the_app.server;
    }
    if (has_server && app->archive) {
        return app_wrong_usage(app, "--server and --read exclude each other");
    }
    if (app->flow_log && !app->archive) {
        return app_wrong_usage(app, "--flow-log belongs to --read");
    }
    if ((app->last_n != 0) + (app->first_n != 0) + app->is_all > 1) {
        return app_wrong_usage(app, "--last N, --first and --all exclude "
                                    "each other");
    }
    if (app->since_ns && app->until_ns && app->since_ns >= app->until_ns) {
        return app_wrong_usage(app, "--until is not later than --since");
    }
    return APP_FOUND;
}

/* Reads settings and options.  Returns -1 to go on, or an exit status. */
static int
set_up(struct app *app, int argc, char *argv[], int *first)
{
    const struct app_option *const *tables = app_tables(app->program);
    bool *given = lh_alloc_zero(app_option_count(tables) * sizeof *given);
    struct lh_error error;
    int status = -1;

    if (app_option_parse(tables, argc, argv, first, given, &error)) {
        status = app_wrong_usage(app, "%s", error.text);
    } else if (wants_help) {
        app_document_help(app->program, stdout);
        status = APP_FOUND;
    } else if (wants_version) {
        printf("%s (lasthop) " PACKAGE_VERSION "\n", app->program->name);
        status = APP_FOUND;
    } else if (check_options(app, given) != APP_FOUND) {
        status = APP_ERROR;
    }
    free(given);
    return status;
}

static int
finish_output(const struct app *app, int status)
{
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "%s: standard output: %s\n", app->program->name,
                strerror(errno));
        return status > APP_ERROR ? status : APP_ERROR;
    }
    return status;
}

int
app_main(const struct app_program *program, int argc, char *argv[])
{
    struct app *app = &the_app;
    struct lh_error warning, error;
    int status, first;
    bool has_failed;

    setlocale(LC_CTYPE, "");
    /* Who starts us may have it ignored. */
    signal(SIGPIPE, SIG_DFL);
    app->program = program;
    app->timeout_s = DEFAULT_TIMEOUT_S;
    if (argc > 2 && !strcmp(argv[1], "--generate")) {
        status = app_document_write(program, argv[2], argv[3], stdout);
        return finish_output(app, status ? APP_ERROR : APP_FOUND);
    }
    has_failed = app_setting_apply(setting_tables, &warning, &error);
    status = set_up(app, argc, argv, &first);
    if (status < 0 && *warning.text) {
        app_say(app, "%s", warning.text);
    }
    if (status < 0 && has_failed) {
        status = app_fail(app, &error, NULL);
    }
    if (status < 0) {
        app->width = terminal_width();
        app->color = !app->color_when || !strcmp(app->color_when, "auto")
                         ? text_line_wants_color(stdout)
                         : !strcmp(app->color_when, "always");
        status = program->run(app, argc - first, argv + first);
    }
    status = finish_output(app, status);
    app_setting_forget();
    return status;
}
