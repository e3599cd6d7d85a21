/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_search - `find`, `since` and `until`: what is stored. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ndb_args.h"
#include "apps/ndb_commands.h"
#include "apps/ndb_print.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

#define DEFAULT_LIMIT 20

/* --- find ---------------------------------------------------------------- */

struct finding {
    struct ndb *ndb;
    bool shows_progress; /* At a terminal. */
    bool has_shown;
    uint64_t begin_ns;
};

static void
take_found(void *finding_, struct history *history)
{
    struct finding *finding = finding_;

    ndb_add_found(finding->ndb, history);
}

static void
show_progress(void *finding_, uint64_t n_read, uint64_t n_blocks)
{
    const uint64_t after_ns = UINT64_C(1000000000);
    struct finding *finding = finding_;

    if (finding->shows_progress &&
        time_spec_now() - finding->begin_ns > after_ns) {
        fprintf(stderr, "\rread %llu of %llu blocks, %zu found ",
                (unsigned long long) n_read, (unsigned long long) n_blocks,
                finding->ndb->n_found);
        fflush(stderr);
        finding->has_shown = true;
    }
}

/* Says what the list of what was found does not show. */
static void
print_notes(const struct ndb *ndb, const struct app_found *found,
            const struct ndb_args *args)
{
    const char *why = app_names_why_none(ndb->topology, args->phf);
    char *left_out = app_source_left_out(ndb->app, found);

    if (!ndb->n_found && why) {
        fprintf(stderr, "%s: %s\n", ndb->where, why);
    }
    if (found->is_truncated && !args->is_last) {
        fprintf(stderr,
                "%s: more than %zu match; --limit N shows more, up to %d\n",
                ndb->where, ndb->n_found, NDB_ARGS_MAX_LIMIT);
    }
    if (found->damaged) {
        fprintf(stderr,
                "%s: %llu damaged blocks could not be read, their histories "
                "are missing here; the first: %s\n",
                ndb->where, (unsigned long long) found->damaged,
                found->damage);
    }
    if (found->lost) {
        fprintf(stderr, "%s: %llu histories of that time were never stored\n",
                ndb->where, (unsigned long long) found->lost);
    }
    if (left_out) {
        fprintf(stderr, "%s: %s\n", ndb->where, left_out);
    }
    free(left_out);
}

static enum ndb_status
print_found(struct ndb *ndb)
{
    for (size_t i = 0; i < ndb->n_found; i++) {
        if (ndb->app->is_json) {
            ndb_print_json(ndb, history_to_json(ndb->found[i], ndb->topology));
        } else {
            ndb_print_summary(ndb, i);
        }
    }
    if (!ndb->n_found && !ndb->app->is_json) {
        fputs("nothing found\n", ndb->out);
    }
    return ndb->n_found ? NDB_OK : NDB_NOTHING;
}

static enum ndb_status
run_find(struct ndb *ndb, const struct ndb_args *args)
{
    struct finding finding = {
        .ndb = ndb,
        .shows_progress = isatty(STDERR_FILENO),
        .begin_ns = time_spec_now(),
    };
    struct app_find find = {
        .phf = args->phf,
        .since_ns = args->since_ns,
        .until_ns = args->until_ns,
        .limit = args->limit,
        .is_asc = args->is_asc,
        .give = take_found,
        .progress = show_progress,
        .aux = &finding,
    };
    struct app_found found;
    struct lh_error error;
    enum ndb_status status;
    int retval;

    ndb_clear_found(ndb);
    retval = app_source_find(ndb->source, &find, &found, &error);
    if (finding.has_shown) {
        fputs("\r\033[K", stderr);
    }
    if (retval && retval != EINTR) {
        return ndb_fail(ndb, &error, args->phf);
    }
    ndb_refresh_topology(ndb);
    status = print_found(ndb);
    fflush(ndb->out);
    print_notes(ndb, &found, args);
    if (retval == EINTR) {
        fprintf(stderr, "%s: interrupted; there may be more\n", ndb->where);
        return NDB_INTERRUPTED;
    }
    return status;
}

/* Applies what `since` and `until` set. */
static int
parse_defaults(const struct ndb *ndb, struct ndb_args *args,
               struct lh_error *error)
{
    if (ndb->since &&
        ndb_args_time("since", ndb->since, &args->since_ns, error)) {
        return EINVAL;
    }
    return ndb->until
               ? ndb_args_time("until", ndb->until, &args->until_ns, error)
               : 0;
}

enum ndb_status
ndb_search_find(struct ndb *ndb, const char *text)
{
    struct ndb_args args = {.limit = DEFAULT_LIMIT};
    enum ndb_status status = NDB_ERROR;
    struct lh_error error;

    if (parse_defaults(ndb, &args, &error) ||
        ndb_args_parse(text, "--since --until --last --limit --oldest", &args,
                       &error)) {
        ndb_fail(ndb, &error, NULL);
    } else if (!args.phf) {
        lh_error_set(&error, "find what? Give a filter; \".*\" is every "
                             "history");
        ndb_fail(ndb, &error, NULL);
    } else if (ndb_args_check_phf(ndb, args.phf)) {
        status = run_find(ndb, &args);
    }
    free(args.phf);
    return status;
}

/* `since` and `until`: shows or sets the default '*value'. */
static enum ndb_status
set_default(struct ndb *ndb, const char *name, char **value, const char *text)
{
    struct lh_error error;
    uint64_t ns;

    if (*text && strcmp(text, "all") != 0 &&
        ndb_args_time(name, text, &ns, &error)) {
        return ndb_fail(ndb, &error, NULL);
    }
    if (*text) {
        free(*value);
        *value = strcmp(text, "all") != 0 ? lh_strdup(text) : NULL;
    } else {
        fprintf(ndb->out, "%s %s\n", name, *value ? *value : "all");
    }
    return NDB_OK;
}

enum ndb_status
ndb_search_since(struct ndb *ndb, const char *text)
{
    return set_default(ndb, "since", &ndb->since, text);
}

enum ndb_status
ndb_search_until(struct ndb *ndb, const char *text)
{
    return set_default(ndb, "until", &ndb->until, text);
}
