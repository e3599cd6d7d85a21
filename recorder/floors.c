/* SPDX-License-Identifier: Apache-2.0 */
/* floors - how far back servers need the flow tables of. */
#include <config.h>
#include "recorder/floors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api_server.h"
#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"

#define KEY "floors" /* Of the list in the log. */

struct floor {
    char *name; /* Owned. */
    uint64_t since_ns, told_ns;
};

struct floors {
    struct flow_log *log;
    uint64_t keep_ns;
    struct floor all[FLOORS_MAX];
    size_t n;
};

/* --- The list. --- */

static size_t
find(const struct floors *f, const char *name)
{
    size_t i = 0;

    while (i < f->n && strcmp(f->all[i].name, name)) {
        i++;
    }
    return i;
}

static void
forget(struct floors *f, size_t i)
{
    free(f->all[i].name);
    f->all[i] = f->all[--f->n];
}

json_t *
floors_to_json(const struct floors *f)
{
    json_t *json = json_array();

    for (size_t i = 0; i < f->n; i++) {
        json_array_append_new(
            json, json_pack("{s:o, s:I, s:I}", "name",
                            jmember_text_new(f->all[i].name), "since_ns",
                            (json_int_t) f->all[i].since_ns, "told_ns",
                            (json_int_t) f->all[i].told_ns));
    }
    return json;
}

/* The list has changed. */
static void
update(struct floors *f)
{
    json_t *json = floors_to_json(f);
    char *text = json_dumps(json, JSON_COMPACT);
    uint64_t lowest = UINT64_MAX;

    for (size_t i = 0; i < f->n; i++) {
        if (f->all[i].since_ns < lowest) {
            lowest = f->all[i].since_ns;
        }
    }
    if (lowest != flow_log_retained(f->log)) {
        flow_log_retain(f->log, lowest);
    }
    if (text) {
        flow_log_put_text(f->log, KEY, text);
    }
    free(text);
    json_decref(json);
}

static bool
is_late(const struct floors *f, const struct floor *floor, uint64_t now_ns)
{
    return f->keep_ns && now_ns > floor->told_ns &&
           now_ns - floor->told_ns > f->keep_ns;
}

/* As kept in the log. */
static void
recall(struct floors *f, uint64_t now_ns)
{
    uint64_t grace_ns =
        f->keep_ns < FLOORS_GRACE_NS ? f->keep_ns : FLOORS_GRACE_NS;
    json_t *list, *json;
    struct lh_error ignored;
    size_t i;
    char *text;

    if (flow_log_get_text(f->log, KEY, &text, &ignored)) {
        return;
    }
    list = json_loads(text, 0, NULL);
    if (!json_is_array(list)) {
        say_warn("how far back servers need the flow log cannot be read");
    }
    json_array_foreach(list, i, json)
    {
        const char *name = json_string_value(json_object_get(json, "name"));
        json_int_t since =
            json_integer_value(json_object_get(json, "since_ns"));
        json_int_t told = json_integer_value(json_object_get(json, "told_ns"));

        if (name && since >= 0 && told >= 0 && f->n < FLOORS_MAX &&
            find(f, name) == f->n) {
            struct floor floor = {.name = lh_strdup(name),
                                  .since_ns = (uint64_t) since,
                                  .told_ns = (uint64_t) told};

            if (is_late(f, &floor, now_ns + grace_ns)) {
                floor.told_ns = now_ns - f->keep_ns + grace_ns;
            }
            f->all[f->n++] = floor;
        }
    }
    json_decref(list);
    free(text);
}

struct floors *
floors_create(struct flow_log *log, uint64_t keep_ns, uint64_t now_ns)
{
    struct floors *f = lh_alloc_zero(sizeof *f);

    f->log = log;
    f->keep_ns = keep_ns;
    recall(f, now_ns);
    update(f);
    return f;
}

void
floors_destroy(struct floors *f)
{
    if (f) {
        while (f->n) {
            forget(f, f->n - 1);
        }
        free(f);
    }
}

int
floors_set(struct floors *f, const char *name, uint64_t since_ns,
           uint64_t now_ns, struct lh_error *error)
{
    size_t i = find(f, name);

    if (strlen(name) > FLOORS_MAX_NAME) {
        lh_error_set(error, "the name is longer than %d bytes",
                     FLOORS_MAX_NAME);
        return EINVAL;
    }
    if (since_ns == UINT64_MAX) {
        if (i < f->n) {
            forget(f, i);
            update(f);
        }
        return 0;
    }
    if (i == f->n) {
        if (f->n == FLOORS_MAX) {
            lh_error_set(error, "more than %d servers", FLOORS_MAX);
            return E2BIG;
        }
        f->all[f->n++].name = lh_strdup(name);
    }
    f->all[i].since_ns = since_ns;
    f->all[i].told_ns = now_ns;
    update(f);
    return 0;
}

void
floors_run(struct floors *f, uint64_t now_ns)
{
    bool has_changed = false;

    for (size_t i = f->n; i-- > 0;) {
        if (is_late(f, &f->all[i], now_ns)) {
            char since[TIME_SPEC_BUFSIZE];

            time_spec_format(f->all[i].told_ns, true, 0, since);
            say_warn("server \"%s\" has not been heard since %s: the flow log "
                     "is not kept for it any more",
                     f->all[i].name, since);
            forget(f, i);
            has_changed = true;
        }
    }
    if (has_changed) {
        update(f);
    }
}

/* --- The operation. --- */

static void
handle_retain(struct api_call *call, const json_t *request, void *floors)
{
    struct jmember root = jmember_root(request);
    struct jmember since = jmember_get(&root, "since");
    struct jmember name = jmember_get(&root, "name");
    uint64_t now_ns = time_spec_now();
    uint64_t since_ns = UINT64_MAX;
    const char *text = "";
    struct lh_error error;
    int retval = 0;

    if (jmember_is_there(&name)) {
        retval = jmember_string(&name, &text, &error);
    }
    if (!retval && jmember_is_there(&since)) {
        retval = time_spec_member(&since, now_ns, &since_ns, &error);
    }
    if (!retval) {
        retval = floors_set(floors, text, since_ns, now_ns, &error);
    }
    if (retval) {
        api_call_fail_error(
            call, retval == E2BIG ? API_LIMIT : API_BAD_REQUEST, &error);
    } else {
        api_call_answer(call, NULL);
    }
}

void
floors_add_op(struct floors *f, struct api_server *server)
{
    api_server_add_op(server, "retain", handle_retain, f);
}
