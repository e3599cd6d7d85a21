/* SPDX-License-Identifier: Apache-2.0 */
/* lasthop-server - assembles postcards into packet histories, matches,
 * archives and finds them.  See lasthop-server(8). */
#include <config.h>

#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/options.h"
#include "server/server.h"

#define EXIT_USAGE 2

/* What the callbacks of the event loop share. */
struct run {
    struct event_base *base;
    struct server *server; /* NULL: not open. */
    bool has_failed;
    bool is_leaving;
};

static void
on_left(void *run_)
{
    struct run *run = run_;

    event_base_loopbreak(run->base);
}

static void
on_signal(evutil_socket_t signal_number, short what, void *run_)
{
    struct run *run = run_;

    say_info("ending: %s", strsignal((int) signal_number));
    /* The second one does not wait for others. */
    if (!run->is_leaving && server_leave(run->server, on_left, run)) {
        run->is_leaving = true;
    } else {
        event_base_loopbreak(run->base);
    }
}

static void
on_end(void *run_, const struct lh_error *error)
{
    struct run *run = run_;

    if (error) {
        say_error("%s", error->text);
        run->has_failed = true;
    }
    event_base_loopbreak(run->base);
}

/* One line of the summary; nothing when all are 0. */
static void
print_line(FILE *stream, const char *title, const struct counters *counters,
           const char *const names[])
{
    bool has_title = false;

    for (size_t i = 0; names[i]; i++) {
        for (size_t j = 0; j < n_counters; j++) {
            uint64_t value = counters_get(counters, j);

            if (value && !strcmp(counter_names[j], names[i])) {
                fprintf(stream, "%s%s %" PRIu64 " %s", has_title ? "," : "  ",
                        has_title ? "" : title, value, names[i]);
                has_title = true;
            }
        }
    }
    if (has_title) {
        putc('\n', stream);
    }
}

static void
print_summary(FILE *stream, const struct counters *c, uint64_t span_ns)
{
    static const char *const verdicts[] = {"delivered",  "dropped",    "lost",
                                           "looped",     "controller", "open",
                                           "no_verdict", NULL};
    static const char *const refused[] = {
        "foreign",   "other",          "truncated",     "malformed",
        "no_option", "unknown_format", "unknown_index", NULL};
    static const char *const postcards[] = {
        "short_headers", "unknown_switch", "duplicates",       "ambiguous",
        "dropped_busy",  "dropped_full",   "dropped_memory",   "late",
        "without_id",    "rules_denied",   "versions_guessed", NULL};
    static const char *const assembly[] = {"recognised", "unforeseen",
                                           "known_paths", "known_flows", NULL};
    static const char *const archive[] = {"archived",
                                          "archived_hops",
                                          "archive_blocks",
                                          "archive_bytes",
                                          "archive_refused",
                                          "archive_lost",
                                          NULL};
    char span[TIME_SPEC_BUFSIZE];

    fprintf(stream,
            "%" PRIu64 " frames, %" PRIu64 " postcards, %" PRIu64
            " histories in %s\n",
            c->frames, c->postcards, c->histories,
            time_spec_format_span(span_ns, span));
    print_line(stream, "verdicts:", c, verdicts);
    print_line(stream, "no postcards:", c, refused);
    print_line(stream, "postcards:", c, postcards);
    print_line(stream, "assembly:", c, assembly);
    print_line(stream, "archive:", c, archive);
}

/* Runs until a signal or the end of the files. */
static int
run_server(const struct options *options, struct event_base *base)
{
    struct run run = {.base = base};
    struct event *term = evsignal_new(base, SIGTERM, on_signal, &run);
    struct event *interrupt = evsignal_new(base, SIGINT, on_signal, &run);
    uint64_t start_ns = time_spec_now();
    struct lh_error error;
    struct server *server;
    int status = EXIT_SUCCESS;

    if (server_open(base, options, on_end, &run, &server, &error)) {
        say_error("%s", error.text);
        status = EXIT_USAGE;
    } else {
        struct counters counters;

        run.server = server;
        event_add(term, NULL);
        event_add(interrupt, NULL);
        event_base_dispatch(base);
        if (options->n_read) {
            server_collect(server, &counters);
            print_summary(options->json ? stderr : stdout, &counters,
                          time_spec_now() - start_ns);
        }
        run.has_failed |= !server_json_is_ok(server);
        server_close(server);
        status = run.has_failed ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    event_free(term);
    event_free(interrupt);
    return status;
}

int
main(int argc, char *argv[])
{
    struct options options;
    struct lh_error error;
    int status = EXIT_SUCCESS;

    say_set_program("lasthop-server");
    signal(SIGPIPE, SIG_IGN);
    /* A file that meets its limit is an error of write(), not our end. */
    signal(SIGXFSZ, SIG_IGN);
    if (options_parse(&options, argc, argv, &error)) {
        say_error("%s (--help lists the options)", error.text);
        options_uninit(&options);
        return EXIT_USAGE;
    }
    if (options.wants_help) {
        fputs(options_help, stdout);
    } else if (options.wants_version) {
        printf("lasthop-server %s\n", PACKAGE_VERSION);
    } else {
        struct event_base *base = event_base_new();

        if (options.verbosity) {
            say_set_level(SAY_DEBUG);
        } else if (options.n_read) {
            say_set_level(SAY_WARN);
        }
        if (!base) {
            say_error("cannot make an event loop");
            status = EXIT_FAILURE;
        } else {
            status = run_server(&options, base);
            event_base_free(base);
        }
    }
    options_uninit(&options);
    return status;
}
