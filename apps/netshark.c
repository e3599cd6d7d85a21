/* SPDX-License-Identifier: Apache-2.0 */
/* netshark - packets by what happened to them, live or stored, as text, JSON,
 * fields or a capture file. */
#include <config.h>
#include "apps/netshark.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/app_follow.h"
#include "apps/app_interrupt.h"
#include "apps/app_pager.h"
#include "apps/app_progress.h"
#include "lib/lh_alloc.h"
#include "phf/phf.h"

/* Shown when nothing else is said. */
#define DEFAULT_LAST 20
/* How long before a live filter was set what it brings may be stored. */
#define OVERLAP_NS (UINT64_C(60) * 1000000000)

/* --- options ------------------------------------------------------------- */

static bool is_following, has_header, wants_list;
static const char *format, *file, *one_hop, *separator = "\t";
static uint64_t max_count, for_ns;
static struct netshark shark;

static int
take_field(void *netshark, const char *name, struct lh_error *error)
{
    return netshark_fields_add(netshark, name, error);
}

static const struct app_option options[] = {
    APP_HEADING("What is shown"),
    {'f', "follow", .type = APP_FLAG, .target = &is_following,
     .help = "Show packets as they come, until Ctrl-C; after stored ones if "
             "a time or --last is given."},
    {'c', "count", "COUNT", APP_NUMBER, &max_count, .min = 1, .max = INT64_MAX,
     .help = "End after COUNT histories."},
    {0, "for", "SPAN", APP_CALL, &for_ns, .take = app_option_take_span,
     .help = "With --follow: end after so long."},
    APP_HEADING("In which form"),
    {'T', "format", "FORMAT", APP_CHOICE, &format,
     .help = "Print text (a line a packet), json, fields, or pcapng, which "
             "Wireshark reads.",
     .choices = "text|json|fields|pcapng"},
    {'v', "verbose", .type = APP_FLAG, .target = &shark.is_verbose,
     .help = "With text: every hop, the rules, and what they changed."},
    {'e', "field", "FIELD", APP_CALL, &shark, .take = take_field,
     .help = "With fields: print FIELD; may be given again.",
     .more = "Where a field begins with hop, there is a line for every "
             "hop."},
    {0, "list-fields", .type = APP_FLAG, .target = &wants_list,
     .help = "List the fields."},
    {0, "separator", "TEXT", APP_TEXT, &separator,
     .help = "With fields: put TEXT between them (a tab)."},
    {0, "header", .type = APP_FLAG, .target = &has_header,
     .help = "With fields: first a line with their names."},
    {'w', "write", "FILE", APP_FILE, &file,
     .help = "Write to FILE (- is standard output), as pcapng unless "
             "--format says something else."},
    {'1', "one-hop", "WHICH", APP_CHOICE, &one_hop,
     .help = "With pcapng, and fields of hops: only the first or the last "
             "hop of each history, so that every packet is there once.",
     .choices = "first|last"},
    APP_OPTIONS_END};

/* --- one history --------------------------------------------------------- */

static enum { TEXT, JSON, FIELDS, PCAPNG } kind;
static uint64_t n_shown;

bool
netshark_shows_hop(const struct netshark *s, const struct history *h, size_t i)
{
    return s->hops == NETSHARK_ALL_HOPS ||
           (s->hops == NETSHARK_FIRST_HOP ? !i : i == h->n_hops - 1);
}

static void
show(const struct history *h)
{
    json_t *json;

    switch (kind) {
    case TEXT:
        netshark_text_put(&shark, h);
        break;
    case JSON:
        json = history_to_json(h, app_names_topology(shark.names));
        json_dumpf(json, shark.out, JSON_COMPACT);
        fputc('\n', shark.out);
        json_decref(json);
        break;
    case FIELDS:
        netshark_fields_put(&shark, h);
        break;
    case PCAPNG:
        netshark_capture_put(&shark, h);
        break;
    }
    n_shown++;
}

static bool
has_enough(void)
{
    return max_count && n_shown >= max_count;
}

/* --- what is stored ------------------------------------------------------ */

struct past {
    struct app_progress progress;
    bool is_kept; /* Newest first: shown in the other order at the end. */
    size_t n, allocated;
    struct history **histories; /* Owned. */
};

/* Histories that the live filter may bring again. */
struct seen {
    uint64_t packet_id, first_ns;
};

static uint64_t watch_ns; /* When the live filter was set; 0: none. */
static size_t n_seen, allocated_seen;
static uint64_t seen_until_ns; /* The latest of them. */
static struct seen *seen;

static void
remember(const struct history *h)
{
    uint64_t first_ns = history_first_ns(h);

    if (watch_ns && first_ns + OVERLAP_NS > watch_ns) {
        seen = lh_alloc_grow(seen, n_seen, &allocated_seen, sizeof *seen);
        seen[n_seen++] = (struct seen){h->packet_id, first_ns};
        seen_until_ns = first_ns > seen_until_ns ? first_ns : seen_until_ns;
    }
}

static void
show_stored(const struct history *h)
{
    if (!has_enough()) {
        show(h);
        remember(h);
    }
}

static void
take_stored(void *past_, struct history *h)
{
    struct past *past = past_;

    if (past->is_kept) {
        past->histories =
            lh_alloc_grow(past->histories, past->n, &past->allocated,
                          sizeof *past->histories);
        past->histories[past->n++] = h;
    } else {
        app_progress_end(&past->progress);
        show_stored(h);
        history_destroy(h);
    }
}

static void
show_progress(void *past_, uint64_t n_read, uint64_t n_blocks)
{
    struct past *past = past_;

    app_progress_show(&past->progress, n_read, n_blocks,
                      past->is_kept ? past->n : n_shown);
}

/* Says what the histories shown do not tell. */
static void
say_totals(const struct app *app, const struct app_found *found,
           bool is_limited)
{
    char *left_out = app_source_left_out(app, found);

    if (found->is_truncated && !is_limited) {
        app_say(app, "there may be more");
    }
    if (found->damaged) {
        app_say(app,
                "%" PRIu64 " damaged blocks could not be read, their "
                "histories are missing here; the first: %s",
                found->damaged, found->damage);
    }
    if (found->lost) {
        app_say(app, "%" PRIu64 " histories of that time were never stored",
                found->lost);
    }
    if (left_out) {
        app_say(app, "%s", left_out);
    }
    free(left_out);
}

/* Shows what is stored.  0, EINTR, or another errno with what is wrong
 * said. */
static int
show_past(const struct app *app, const char *phf)
{
    struct past past = {.progress = app_progress_begin("blocks"),
                        .is_kept = app->last_n > 0};
    struct app_find find = {
        .phf = phf,
        .since_ns = app->since_ns,
        .until_ns = app->until_ns,
        .is_asc = !past.is_kept,
        .give = take_stored,
        .progress = show_progress,
        .aux = &past,
    };
    struct app_found found;
    struct lh_error error;
    int retval;

    find.limit = past.is_kept   ? app->last_n
                 : app->first_n ? app->first_n
                 : max_count    ? max_count
                                : 0;
    retval = app_source_find(shark.source, &find, &found, &error);
    app_progress_end(&past.progress);
    while (past.n) {
        struct history *h = past.histories[--past.n];

        show_stored(h);
        history_destroy(h);
    }
    free(past.histories);
    if (retval && retval != EINTR) {
        app_fail(app, &error, phf);
    } else {
        fflush(shark.out);
        say_totals(app, &found, find.limit != 0);
    }
    return retval;
}

/* --- what comes ---------------------------------------------------------- */

static bool
take_live(void *app, uint64_t id, struct history *h)
{
    uint64_t first_ns = history_first_ns(h);
    bool is_new = true;

    for (size_t i = 0; first_ns <= seen_until_ns && i < n_seen && is_new;
         i++) {
        is_new =
            seen[i].packet_id != h->packet_id || seen[i].first_ns != first_ns;
    }
    if (is_new) {
        show(h);
        fflush(shark.out);
    }
    history_destroy(h);
    return !has_enough() && !ferror(shark.out);
}

static int
watch(const struct app *app, const char *phf)
{
    struct lh_error error;
    uint64_t id;

    if (app_source_watch(shark.source, phf, &id, &error)) {
        return app_fail(app, &error, phf);
    }
    watch_ns = time_spec_now();
    return APP_FOUND;
}

static int
follow(const struct app *app)
{
    struct app_follow config = {
        .until_ns = for_ns ? time_spec_now() + for_ns : 0,
        .give = take_live,
        .gap = app_gap_create(),
    };
    struct lh_error error;
    int retval = app_follow_run(app, shark.source, &config, &error);

    app_gap_destroy(config.gap);

    return retval && retval != EINTR ? app_fail(app, &error, NULL) : APP_FOUND;
}

/* --- the whole ----------------------------------------------------------- */

/* Whether what is stored is asked for at all. */
static bool
wants_past(const struct app *app)
{
    return !is_following || app->since_ns || app->until_ns || app->last_n ||
           app->first_n || app->is_all;
}

static int
show_all(struct app *app, const char *phf)
{
    int status = APP_FOUND, retval = 0;

    if (!app->since_ns && !app->until_ns && !app->first_n && !app->is_all &&
        !app->last_n && !is_following) {
        app->last_n = DEFAULT_LAST;
    }
    if (is_following) {
        status = watch(app, phf);
    }
    if (status == APP_FOUND && wants_past(app)) {
        retval = show_past(app, phf);
        status = retval == EINTR ? APP_INTERRUPTED
                 : retval        ? APP_ERROR
                                 : APP_FOUND;
    }
    if (status == APP_FOUND && is_following && !has_enough()) {
        fflush(shark.out);
        status = follow(app);
    }
    return status;
}

/* Compiles 'phf' here already, with the names that are known, so that what is
 * wrong is told in place. */
static int
check(const struct app *app, const char *phf)
{
    struct topology *topology = NULL;
    struct lh_error error;
    struct phf *compiled;
    int retval;

    app_source_topology(shark.source, UINT64_MAX, &topology, NULL);
    app_names_set_topology(shark.names, topology);
    retval = phf_compile(phf, topology, &compiled, &error);
    topology_unref(topology);
    if (retval) {
        return app_fail(app, &error, phf);
    }
    phf_destroy(compiled);
    return APP_FOUND;
}

static int
begin_output(const struct app *app, const char *phf)
{
    bool is_stdout = !file || !strcmp(file, "-");

    shark.out = is_stdout ? stdout : fopen(file, "w");
    if (!shark.out) {
        app_say(app, "%s: %s", file, strerror(errno));
        return APP_ERROR;
    }
    if (kind == PCAPNG && is_stdout && isatty(STDOUT_FILENO)) {
        app_say(app, "a capture is not for a terminal: -w FILE, or a pipe");
        return APP_ERROR;
    }
    if (is_stdout && !is_following && kind == TEXT) {
        app_pager_start();
    }
    if (kind == PCAPNG) {
        netshark_capture_begin(&shark, phf);
        fflush(shark.out);
    } else if (kind == FIELDS && has_header) {
        netshark_fields_put_header(&shark);
    }
    return APP_FOUND;
}

static int
end_output(const struct app *app, int status)
{
    const struct lh_error *error = app_rules_error(shark.rules);

    if (error) {
        app_say(app, "rules are not known: %s", error->text);
    }
    netshark_capture_end(&shark);
    if (shark.out && shark.out != stdout) {
        bool has_failed = ferror(shark.out);

        if (fclose(shark.out) || has_failed) {
            app_say(app, "%s: %s", file, strerror(errno ? errno : EIO));
            status = APP_ERROR;
        }
    }
    if (app_interrupt_output_gone()) {
        raise(SIGPIPE);
    }
    return status;
}

/* Says when the server keeps bytes of packets from this client. */
static void
say_withheld(const struct app *app)
{
    json_t *answer = NULL, *right;
    bool sees_bytes = false;
    size_t i;

    if (app_source_ask(shark.source, "hello", json_object(), &answer, NULL)) {
        return; /* It does not know the question. */
    }
    json_array_foreach(json_object_get(answer, "rights"), i, right)
    {
        sees_bytes |= !strcmp(json_string_value(right), "bytes");
    }
    if (!sees_bytes) {
        app_say(app, "this client may not see bytes of packets (it has no "
                     "right \"bytes\" there): headers are withheld");
    }
    json_decref(answer);
}

static int
open_all(struct app *app, const char *phf)
{
    struct lh_error error;

    if (app_names_create(app->hosts, &shark.names, &error) ||
        app_open_source(app, &shark.source, &error)) {
        return app_fail(app, &error, NULL);
    }
    shark.rules = app_rules_create(shark.source);
    if (!app->archive) {
        say_withheld(app);
    }
    return check(app, phf);
}

/* Sets what options say of the form; APP_FOUND or what is wrong is said. */
static int
choose_form(const struct app *app)
{
    static const char *const kinds[] = {"text", "json", "fields", "pcapng"};

    kind = shark.n_fields ? FIELDS
           : app->is_json ? JSON
           : file         ? PCAPNG
                          : TEXT;
    for (size_t i = 0; format && i < 4; i++) {
        kind = strcmp(format, kinds[i]) ? kind : i;
    }
    if (kind == FIELDS && !shark.n_fields) {
        return app_wrong_usage(app, "fields are named with -e FIELD; "
                                    "--list-fields lists them");
    }
    if (shark.n_fields && kind != FIELDS) {
        return app_wrong_usage(app, "-e belongs to -T fields");
    }
    if (for_ns && !is_following) {
        return app_wrong_usage(app, "--for belongs to --follow");
    }
    if (is_following && app->archive) {
        return app_wrong_usage(app, "an archive holds the past only; "
                                    "--follow needs a server");
    }
    shark.hops = !one_hop                    ? NETSHARK_ALL_HOPS
                 : !strcmp(one_hop, "first") ? NETSHARK_FIRST_HOP
                                             : NETSHARK_LAST_HOP;
    return APP_FOUND;
}

static int
run(struct app *app, int argc, char *argv[])
{
    const char *phf = argc ? argv[0] : ".*";
    int status;

    if (wants_list) {
        netshark_fields_list(stdout);
        return APP_FOUND;
    }
    if (argc > 1) {
        return app_wrong_usage(app, "too many arguments; a filter is one "
                                    "argument, in single quotes");
    }
    shark.app = app;
    shark.separator = separator;
    status = choose_form(app);
    if (status == APP_FOUND) {
        app_interrupt_init();
        app_interrupt_also();
        status = open_all(app, phf);
    }
    if (status == APP_FOUND) {
        status = begin_output(app, phf);
        if (status == APP_FOUND) {
            status = show_all(app, phf);
        }
        status = end_output(app, status);
    }
    if (status == APP_FOUND && !n_shown) {
        const char *why =
            app_names_why_none(app_names_topology(shark.names), phf);

        if (why) {
            app_say(app, "%s", why);
        }
    }
    app_rules_destroy(shark.rules);
    app_source_close(shark.source);
    app_names_destroy(shark.names);
    free(shark.fields);
    free(seen);
    return status == APP_FOUND && !n_shown ? APP_NOTHING : status;
}

static const char *const usages[] = {"[OPTION].. [PHF]", NULL};

static const struct app_exit exits[] = {
    {APP_FOUND, "At least one history was shown."},
    {APP_NOTHING, "None matched."},
    {APP_ERROR, "Wrong usage, a wrong filter, or it could not be done."},
    {APP_INTERRUPTED, "Interrupted by Ctrl-C while what is stored was read."},
    {0, NULL}};

static const struct app_fragment fragments[] = {
    {"@fields@", netshark_fields_document}, {NULL, NULL}};

static const struct app_program program = {
    .name = "netshark",
    .section = 1,
    .summary =
        "Shows packets by what happened to them, live or stored: those "
        "whose\nhistory the filter PHF matches (all without one), the last "
        "20 unless\noptions say which.",
    .usages = usages,
    .has = APP_HAS_SOURCE | APP_HAS_RANGE | APP_HAS_COUNTS | APP_HAS_SHOWING |
           APP_HAS_JSON,
    .options = options,
    .examples = "  netshark --last 10m '{{--verdict dropped}}'\n"
                "  netshark -f -T fields -e time -e path -e packet\n"
                "  netshark --since -1h -w hour.pcapng '{{--dpid s3}}'\n",
    .exits = exits,
    .fragments = fragments,
    .run = run,
};

int
main(int argc, char *argv[])
{
    return app_main(&program, argc, argv);
}
