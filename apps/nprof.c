/* SPDX-License-Identifier: Apache-2.0 */
/* nprof - who fills these links: totals and a tree of who sends over them, in
 * any range of time, live or past. */
#include <config.h>
#include "apps/nprof.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/app_interrupt.h"
#include "apps/app_names.h"
#include "apps/app_pager.h"
#include "lib/lh_alloc.h"
#include "phf/phf.h"

#define DEFAULT_RANGE_NS  (UINT64_C(600) * 1000000000)
#define DEFAULT_WINDOW_NS (UINT64_C(10) * 1000000000)

/* --- options ------------------------------------------------------------- */

static bool is_following;
static const char *by, *filter, *html;
static uint64_t top = 10, interval_ns, refresh_ns, max_count;

static const struct app_option options[] = {
    APP_HEADING("What is counted"),
    {0, "filter", "PHF", APP_TEXT, &filter,
     .help = "Count only packets whose history PHF matches."},
    {'b', "by", "LEVELS", APP_TEXT, &by,
     .help = "The levels of the tree, from the root, with commas between: "
             "link, ingress, path, src, dst, hosts, flow.",
     .more = "Without it: link if there are several, then ingress, path, "
             "hosts, flow; where no LINK is given, link alone."},
    {'i', "interval", "SPAN", APP_CALL, &interval_ns,
     .take = app_option_take_span,
     .help = "Count in each SPAN of the range as well."},
    APP_HEADING("How it is shown"),
    {'n', "top", "COUNT", APP_NUMBER, &top, .min = 1, .max = 1000,
     .help = "Show the COUNT largest of each level (10)."},
    {'f', "follow", .type = APP_FLAG, .target = &is_following,
     .help = "Show the last ten seconds (or --last SPAN), again and again, "
             "until Ctrl-C."},
    {0, "refresh", "SPAN", APP_CALL, &refresh_ns, .take = app_option_take_span,
     .help = "With --follow: every SPAN (2s)."},
    {'c', "count", "COUNT", APP_NUMBER, &max_count, .min = 1, .max = INT64_MAX,
     .help = "With --follow: end after COUNT times."},
    {0, "html", "FILE", APP_FILE, &html,
     .help = "Write a page with drawings to FILE (- is standard output)."},
    APP_OPTIONS_END};

/* --- small things -------------------------------------------------------- */

uint64_t
nprof_number(const json_t *o, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(o, name));

    return n > 0 ? (uint64_t) n : 0;
}

const char *
nprof_text(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "";
}

static char *
format_unit(double value, const char *const units[5], char buf[32])
{
    size_t i = 0;

    for (; value >= 999.5 && i < 4; i++) {
        value /= 1000;
    }
    snprintf(buf, 32, "%.*f %s",
             i && value < 99.95 ? (value < 9.995 ? 2 : 1) : 0, value,
             units[i]);
    return buf;
}

char *
nprof_format_bytes(double bytes, char buf[32])
{
    static const char *const units[5] = {"B", "kB", "MB", "GB", "TB"};

    return format_unit(bytes, units, buf);
}

char *
nprof_format_rate(double bytes, uint64_t ns, char buf[32])
{
    static const char *const units[5] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s",
                                         "Tbit/s"};

    return format_unit(ns ? bytes * 8e9 / (double) ns : 0, units, buf);
}

char *
nprof_title(const json_t *profile, char *buf, size_t size)
{
    const json_t *links = json_object_get(profile, "links");
    const char *first = json_string_value(json_array_get(links, 0));

    if (json_array_size(links) != 1 || !first) {
        snprintf(buf, size, "%zu links", json_array_size(links));
    } else if (!strcmp(first, "all")) {
        snprintf(buf, size, "all links");
    } else if (!strcmp(first, "entry")) {
        snprintf(buf, size, "where packets come in");
    } else {
        snprintf(buf, size, "%s", first);
    }
    return buf;
}

/* --- asking -------------------------------------------------------------- */

static struct app_source *source; /* Owned. */
static struct app_names *names;   /* Owned. */

/* Puts names of hosts into those of nodes. */
static void
name_hosts(json_t *nodes)
{
    json_t *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        char *text = app_names_in_text(names, nprof_text(node, "name"));

        json_object_set_new(node, "name", json_string(text));
        free(text);
        name_hosts(json_object_get(node, "nodes"));
    }
}

/* Adds what the command line says of links to the request. */
static void
add_links(json_t *request, int argc, char *argv[])
{
    json_t *links = json_array();

    for (int i = 0; i < argc; i++) {
        if (strstr(argv[i], "{{")) {
            filter = argv[i];
        } else {
            json_array_append_new(links, json_string(argv[i]));
        }
    }
    if (json_array_size(links)) {
        json_object_set_new(request, "links", links);
    } else {
        json_decref(links);
    }
    if (filter) {
        json_object_set_new(request, "phf", json_string(filter));
    }
}

static json_t *
make_request(int argc, char *argv[])
{
    json_t *request = json_pack("{s:I}", "top", (json_int_t) top);
    char *copy = lh_strdup(by), *rest = copy, *word;

    add_links(request, argc, argv);
    if (by) {
        json_t *levels = json_array();

        while ((word = strsep(&rest, ",")) != NULL) {
            json_array_append_new(levels, json_string(word));
        }
        json_object_set_new(request, "by", levels);
    } else if (!argc && !filter && !html) {
        /* Which links to look at. */
        json_object_set_new(request, "by", json_pack("[s]", "link"));
    }
    if (interval_ns) {
        json_object_set_new(request, "interval_ns",
                            json_integer((json_int_t) interval_ns));
    }
    free(copy);
    return request;
}

static void
set_range(json_t *request, uint64_t since_ns, uint64_t until_ns)
{
    if (since_ns) {
        json_object_set_new(request, "since",
                            json_integer((json_int_t) since_ns));
    }
    if (until_ns) {
        json_object_set_new(request, "until",
                            json_integer((json_int_t) until_ns));
    }
}

/* Names the option in place of the member of the request that is wrong. */
static void
name_option(struct lh_error *error)
{
    static const struct {
        const char *member, *option;
    } all[] = {
        {"links[", NULL}, {"by[", "--by"}, {"interval_ns:", "--interval"}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *rest = strchr(error->text, ' ');

        if (!strncmp(error->text, all[i].member, strlen(all[i].member)) &&
            rest) {
            memmove(error->text, rest + 1, strlen(rest));
            if (all[i].option) {
                lh_error_prefix(error, "%s", all[i].option);
            }
            return;
        }
    }
}

/* The profile, or NULL with '*status' and what is wrong said. */
static json_t *
ask(const struct app *app, const json_t *request, int *status)
{
    struct lh_error error = {.text = "", .pos = -1};
    json_t *profile = NULL;
    int retval = app_source_ask(
        source, "profile", json_copy((json_t *) request), &profile, &error);

    if (retval) {
        name_option(&error);
        *status =
            retval == EINTR ? APP_INTERRUPTED : app_fail(app, &error, filter);
        return NULL;
    }
    name_hosts(json_object_get(profile, "tree"));
    return profile;
}

/* Says which servers of a cluster did not answer. */
static void
say_missing(const struct app *app, const json_t *profile)
{
    struct app_found found = {.n_missing = 0};
    char *text;

    app_found_set_missing(&found, json_object_get(profile, "missing"));
    text = app_source_left_out(app, &found);
    if (text) {
        app_say(app, "%s", text);
    }
    free(text);
}

/* Says what the profile does not tell. */
static void
say_totals(const struct app *app, const json_t *profile)
{
    say_missing(app, profile);
    const json_t *sampled = json_object_get(profile, "sampled");
    double least = json_number_value(json_object_get(sampled, "least"));
    double most = json_number_value(json_object_get(sampled, "most"));

    if (nprof_number(profile, "damaged")) {
        app_say(app,
                "%" PRIu64 " damaged blocks could not be read, their "
                "packets are missing here; the first: %s",
                nprof_number(profile, "damaged"),
                nprof_text(profile, "damage"));
    }
    if (most > 1) {
        app_say(app,
                "agents kept 1 packet in %.4g%s: packets and bytes are scaled "
                "to all there were",
                most, least < most ? " at times" : "");
    }
    if (nprof_number(profile, "lost")) {
        app_say(app, "%" PRIu64 " histories of that time were never stored",
                nprof_number(profile, "lost"));
    }
    if (nprof_number(profile, "undecided")) {
        app_say(app,
                "the filter's back-references gave up on %" PRIu64
                " histories, which are not counted",
                nprof_number(profile, "undecided"));
    }
    if (nprof_number(profile, "folded")) {
        app_say(app,
                "%" PRIu64 " packets of flows past the first million are "
                "not told apart",
                nprof_number(profile, "folded"));
    }
}

/* --- showing ------------------------------------------------------------- */

static void
show(const struct app *app, const json_t *profile)
{
    struct nprof_view view = {app, stdout};

    if (app->is_json) {
        json_dumpf(profile, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        nprof_tree_put(&view, profile);
    }
    fflush(stdout);
}

static int
write_page(const struct app *app, const json_t *profile)
{
    bool is_stdout = !strcmp(html, "-");
    struct nprof_view view = {app, is_stdout ? stdout : fopen(html, "w")};
    json_t *request = json_pack("{s:[s], s:[s], s:i}", "links", "all", "by",
                                "link", "top", 1000);
    int status = APP_FOUND;
    bool has_failed;
    json_t *map;

    if (!view.out) {
        app_say(app, "%s: %s", html, strerror(errno));
        json_decref(request);
        return APP_ERROR;
    }
    set_range(request, nprof_number(profile, "since_ns"),
              nprof_number(profile, "until_ns"));
    map = ask(app, request, &status);
    if (map) {
        nprof_page_put(&view, profile, map, app_names_topology(names));
    }
    has_failed = ferror(view.out) || fflush(view.out);
    if (!is_stdout && (fclose(view.out) || has_failed)) {
        app_say(app, "%s: %s", html, strerror(errno ? errno : EIO));
        status = APP_ERROR;
    }
    json_decref(map);
    json_decref(request);
    return status;
}

static int
show_once(const struct app *app, json_t *request)
{
    uint64_t since_ns = app->since_ns;
    int status = APP_FOUND;
    json_t *profile;

    if (!since_ns && !app->until_ns && !app->archive) {
        since_ns = time_spec_now() - DEFAULT_RANGE_NS;
    }
    set_range(request, since_ns, app->until_ns);
    profile = ask(app, request, &status);
    if (!profile) {
        return status;
    }
    if (html) {
        status = write_page(app, profile);
    } else {
        if (!app->is_json) {
            app_pager_start();
        }
        show(app, profile);
    }
    say_totals(app, profile);
    if (status == APP_FOUND && !nprof_number(profile, "packets")) {
        const char *why =
            app_names_why_none(app_names_topology(names), filter);

        if (why) {
            app_say(app, "%s", why);
        }
        status = APP_NOTHING;
    }
    json_decref(profile);
    return status;
}

static int
follow(const struct app *app, json_t *request)
{
    uint64_t window_ns =
        app->since_ns ? time_spec_now() - app->since_ns : DEFAULT_WINDOW_NS;
    bool clears = isatty(STDOUT_FILENO) && !app->is_json;
    int status = APP_FOUND;

    for (uint64_t n = 0; !max_count || n < max_count; n++) {
        uint64_t now_ns = time_spec_now();
        json_t *profile;

        if (n && app_interrupt_wait(
                     -1, (int) ((refresh_ns ? refresh_ns : 2000000000) /
                                1000000)) == EINTR) {
            break;
        }
        now_ns = n ? time_spec_now() : now_ns;
        set_range(request, now_ns - window_ns, now_ns);
        profile = ask(app, request, &status);
        if (!profile) {
            return status == APP_INTERRUPTED ? APP_FOUND : status;
        }
        fputs(clears ? "\033[H\033[J" : "", stdout);
        show(app, profile);
        json_decref(profile);
        if (ferror(stdout) || app_interrupt_output_gone()) {
            break;
        }
    }
    return status;
}

/* --- the whole ----------------------------------------------------------- */

/* Compiles the filter here already, so that what is wrong is told in place. */
static int
check(const struct app *app)
{
    struct topology *topology = NULL;
    struct lh_error error;
    struct phf *compiled;
    int retval;

    app_source_topology(source, UINT64_MAX, &topology, NULL);
    app_names_set_topology(names, topology);
    retval = filter ? phf_compile(filter, topology, &compiled, &error) : 0;
    topology_unref(topology);
    if (retval) {
        return app_fail(app, &error, filter);
    }
    if (filter) {
        phf_destroy(compiled);
    }
    return APP_FOUND;
}

static int
check_options(const struct app *app)
{
    if (is_following && app->archive) {
        return app_wrong_usage(app, "an archive holds the past only; "
                                    "--follow needs a server");
    }
    if (is_following && (html || app->until_ns)) {
        return app_wrong_usage(app, "--follow goes neither with --html nor "
                                    "with --until");
    }
    if (html && app->is_json) {
        return app_wrong_usage(app, "--html or --json, not both");
    }
    if ((refresh_ns || max_count) && !is_following) {
        return app_wrong_usage(app, "--refresh and --count belong to "
                                    "--follow");
    }
    return APP_FOUND;
}

static int
run(struct app *app, int argc, char *argv[])
{
    int status = check_options(app);
    struct lh_error error;
    json_t *request;

    if (status != APP_FOUND) {
        return status;
    }
    app_interrupt_init();
    app_interrupt_also();
    request = make_request(argc, argv);
    if (app_names_create(app->hosts, &names, &error) ||
        app_open_source(app, &source, &error)) {
        status = app_fail(app, &error, NULL);
    } else {
        status = check(app);
    }
    if (status == APP_FOUND) {
        status = is_following ? follow(app, request) : show_once(app, request);
    }
    json_decref(request);
    app_source_close(source);
    app_names_destroy(names);
    if (app_interrupt_output_gone()) {
        raise(SIGPIPE);
    }
    return status;
}

static const char *const usages[] = {"[OPTION].. [LINK | PHF]..", NULL};

static const struct app_exit exits[] = {
    {APP_FOUND, "Packets were counted, or --follow ended."},
    {APP_NOTHING, "None crossed these links in that range."},
    {APP_ERROR, "Wrong usage, an unknown link, a wrong filter, or it could "
                "not be done."},
    {APP_INTERRUPTED, "Interrupted by Ctrl-C while what is stored was read."},
    {0, NULL}};

static const struct app_program program = {
    .name = "nprof",
    .section = 1,
    .summary =
        "Shows who fills links: packets and bytes in a range of time, and a "
        "tree of\nwho sent them. A LINK is s1:2 (what s1 sends out at port "
        "2), s1:2/in, s1->s2,\ns1--s2 (both ways), s1 (all it sends), all, "
        "or entry (each packet once).",
    .usages = usages,
    .has = APP_HAS_SOURCE | APP_HAS_RANGE | APP_HAS_SHOWING | APP_HAS_JSON,
    .options = options,
    .examples = "  nprof 's1->s2'\n"
                "  nprof --last 1h --by src,flow --top 3 s1:2\n"
                "  nprof -f all\n"
                "  nprof -r /var/lib/lasthop/archive --html page.html\n",
    .exits = exits,
    .run = run,
};

int
main(int argc, char *argv[])
{
    return app_main(&program, argc, argv);
}
