/* SPDX-License-Identifier: Apache-2.0 */
/* app_query - one query of a server, from the question to its end. */
#include <config.h>
#include "apps/app_query.h"

#include <errno.h>
#include <stdio.h>

#include "apps/app_arrivals.h"
#include "lib/client_json.h"

static uint64_t
get_count(const json_t *event, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(event, name));

    return n > 0 ? (uint64_t) n : 0;
}

/* What came of a query that was not given out yet. */
struct harvest {
    struct app_arrivals arrivals;
    uint64_t n_read, n_blocks;
    bool has_progress;
};

static void
on_found(struct lasthop_request *r, struct lasthop_history *h, void *harvest_)
{
    struct harvest *harvest = harvest_;

    app_arrivals_put(&harvest->arrivals, 0, h);
}

static void
on_progress(struct lasthop_request *r, uint64_t n_read, uint64_t n_blocks,
            void *harvest_)
{
    struct harvest *harvest = harvest_;

    harvest->n_read = n_read;
    harvest->n_blocks = n_blocks;
    harvest->has_progress = true;
}

static void
give_out(struct harvest *harvest, const struct app_find *find)
{
    struct app_arrival a;

    while (app_arrivals_take(&harvest->arrivals, &a)) {
        find->give(find->aux, a.history);
    }
    if (harvest->has_progress && find->progress) {
        find->progress(find->aux, harvest->n_read, harvest->n_blocks);
    }
    harvest->has_progress = false;
}

static void
read_end(const struct lasthop_request *r, struct app_found *found)
{
    const json_t *event = client_json_end(r);
    const json_t *sampled = json_object_get(event, "sampled");
    const char *damage = json_string_value(json_object_get(event, "damage"));

    found->scanned = get_count(event, "scanned");
    found->damaged = get_count(event, "damaged");
    snprintf(found->damage, sizeof found->damage, "%s",
             damage ? damage : "the server does not say which");
    found->lost = get_count(event, "lost");
    found->sampled_since_ns = get_count(sampled, "since_ns");
    found->sampled_until_ns = get_count(sampled, "until_ns");
    found->is_truncated = json_is_true(json_object_get(event, "truncated"));
    app_found_set_missing(found, json_object_get(event, "missing"));
}

/* Asks the query and gives out what comes, up to its end. */
static int
run_query(struct app_link *link, struct lasthop_request *r,
          const struct app_find *find, struct lh_error *error)
{
    struct harvest harvest = {.n_read = 0};
    int retval;

    app_arrivals_init(&harvest.arrivals);
    lasthop_request_on_history(r, on_found, &harvest);
    lasthop_request_on_progress(r, on_progress, &harvest);
    retval = app_link_ask(link, r, error);
    give_out(&harvest, find);
    while (!retval && lasthop_request_result(r) == EINPROGRESS) {
        retval = app_link_wait(link, -1, error);
        give_out(&harvest, find);
        if (retval != EINTR && lasthop_request_result(r) != EINPROGRESS) {
            retval = 0; /* It has come to its end, or says why not. */
        }
    }
    if (!retval && (retval = lasthop_request_result(r))) {
        lh_error_set_at(error, lasthop_request_error_pos(r), "%s",
                        lasthop_request_error(r));
    }
    app_arrivals_drop(&harvest.arrivals, 0);
    return retval;
}

int
app_query_run(struct app_link *link, const struct app_find *find,
              struct app_found *found, struct lh_error *error)
{
    struct lasthop_request *r;
    int retval;

    r = lasthop_request_create(app_link_client(link), "query");
    lasthop_request_set_text(r, "phf", find->phf);
    lasthop_request_set_text(r, "order", find->is_asc ? "asc" : "desc");
    if (find->limit) {
        lasthop_request_set_number(r, "limit", (int64_t) find->limit);
    }
    if (find->since_ns) {
        lasthop_request_set_number(r, "since", (int64_t) find->since_ns);
    }
    if (find->until_ns) {
        lasthop_request_set_number(r, "until", (int64_t) find->until_ns);
    }
    retval = run_query(link, r, find, error);
    if (!retval) {
        read_end(r, found);
    }
    lasthop_request_destroy(r);
    return retval;
}
