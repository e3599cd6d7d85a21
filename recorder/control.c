/* SPDX-License-Identifier: Apache-2.0 */
/* control - what an operator has decided about postcards. */
#include <config.h>
#include "recorder/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "lib/dpid.h"
#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"

#define KEY_SELECTIONS "selections"
#define KEY_PAUSED     "paused"

/* A file of selections is no longer than this. */
#define MAX_FILE (SELECTION_MAX * SELECTION_MAX_LINE)

struct exception {
    uint64_t dpid;
    bool is_paused;
};

struct control {
    struct flow_log *log;
    struct selection_list *list; /* Owned. */
    bool is_all_paused;
    struct exception *exceptions; /* Owned. */
    size_t n_exceptions, allocated_exceptions;
};

/* --- Kept in the log. --- */

static void
keep_selections(struct control *c)
{
    char *text = selection_list_to_text(c->list);

    flow_log_put_text(c->log, KEY_SELECTIONS, text);
    free(text);
}

static void
keep_paused(struct control *c)
{
    json_t *switches = json_object();
    json_t *json;
    char *text;

    for (size_t i = 0; i < c->n_exceptions; i++) {
        char dpid[DPID_BUFSIZE];

        json_object_set_new(switches,
                            dpid_to_string(c->exceptions[i].dpid, dpid),
                            json_boolean(c->exceptions[i].is_paused));
    }
    json =
        json_pack("{s:b, s:o}", "all", c->is_all_paused, "switches", switches);
    text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (text) {
        flow_log_put_text(c->log, KEY_PAUSED, text);
    }
    free(text);
    json_decref(json);
}

static void
set_exception(struct control *c, uint64_t dpid, bool is_paused)
{
    size_t i = 0;

    while (i < c->n_exceptions && c->exceptions[i].dpid != dpid) {
        i++;
    }
    if (i == c->n_exceptions) {
        c->exceptions =
            lh_alloc_grow(c->exceptions, c->n_exceptions,
                          &c->allocated_exceptions, sizeof *c->exceptions);
        c->n_exceptions++;
    }
    c->exceptions[i] =
        (struct exception){.dpid = dpid, .is_paused = is_paused};
}

static void
recall_paused(struct control *c)
{
    struct lh_error ignored;
    json_t *json, *value;
    const char *key;
    char *text;

    if (flow_log_get_text(c->log, KEY_PAUSED, &text, &ignored)) {
        return;
    }
    json = json_loads(text, 0, NULL);
    if (!json) {
        say_warn("which switches were paused cannot be read: none is");
    }
    c->is_all_paused = json_is_true(json_object_get(json, "all"));
    json_object_foreach(json_object_get(json, "switches"), key, value)
    {
        uint64_t dpid;

        if (dpid_from_string(key, &dpid)) {
            set_exception(c, dpid, json_is_true(value));
        }
    }
    json_decref(json);
    free(text);
}

/* Reads all of 'path' into '*text', for free(). */
static int
read_file(const char *path, char **text, struct lh_error *error)
{
    FILE *file = fopen(path, "r");
    int retval = 0;
    size_t len;

    *text = NULL;
    if (!file) {
        retval = errno;
        lh_error_set(error, "%s: %s", path, strerror(retval));
        return retval;
    }
    *text = lh_alloc(MAX_FILE + 1);
    len = fread(*text, 1, MAX_FILE + 1, file);
    if (ferror(file)) {
        retval = errno ? errno : EIO;
        lh_error_set(error, "%s: %s", path, strerror(retval));
    } else if (len > MAX_FILE || memchr(*text, '\0', len)) {
        retval = EINVAL;
        lh_error_set(error, "%s: %s", path,
                     len > MAX_FILE ? "too long for a list of selections"
                                    : "is no text");
    } else {
        (*text)[len] = '\0';
    }
    fclose(file);
    if (retval) {
        free(*text);
        *text = NULL;
    }
    return retval;
}

static int
open_selections(struct control *c, const char *path, struct lh_error *error)
{
    struct lh_error reason;
    char *text;
    int retval;

    if (path) {
        retval = read_file(path, &text, error);
        if (!retval) {
            retval = control_load(c, text, error);
            free(text);
            if (retval) {
                lh_error_prefix(error, "%s", path);
            }
        }
        return retval;
    }
    if (!flow_log_get_text(c->log, KEY_SELECTIONS, &text, &reason)) {
        struct selection_list *list;

        if (selection_list_parse(text, &list, &reason)) {
            say_warn("the selections kept in the flow log cannot be read, "
                     "everything is selected: %s",
                     reason.text);
        } else {
            selection_list_destroy(c->list);
            c->list = list;
        }
        free(text);
    }
    return 0;
}

int
control_create(struct flow_log *log, const char *select_file,
               struct control **cp, struct lh_error *error)
{
    struct control *c = lh_alloc_zero(sizeof *c);
    int retval;

    *cp = NULL;
    c->log = log;
    c->list = selection_list_create();
    retval = open_selections(c, select_file, error);
    if (retval) {
        control_destroy(c);
        return retval;
    }
    recall_paused(c);
    *cp = c;
    return 0;
}

void
control_destroy(struct control *c)
{
    if (c) {
        selection_list_destroy(c->list);
        free(c->exceptions);
        free(c);
    }
}

/* --- Selections. --- */

struct selection_list *
control_selections(const struct control *c)
{
    return c->list;
}

int
control_load(struct control *c, const char *text, struct lh_error *error)
{
    struct selection_list *list;
    int retval = selection_list_parse(text, &list, error);

    if (!retval) {
        selection_list_swap(c->list, list);
        selection_list_destroy(list);
        keep_selections(c);
    }
    return retval;
}

int
control_add(struct control *c, const char *line, const char *before,
            struct lh_error *error)
{
    int retval = selection_list_add(c->list, line, before, error);

    if (!retval) {
        keep_selections(c);
    }
    return retval;
}

int
control_delete(struct control *c, const char *name, struct lh_error *error)
{
    int retval = selection_list_delete(c->list, name, error);

    if (!retval) {
        keep_selections(c);
    }
    return retval;
}

/* --- Pausing. --- */

void
control_pause(struct control *c, uint64_t dpid, bool is_paused)
{
    set_exception(c, dpid, is_paused);
    keep_paused(c);
}

void
control_pause_all(struct control *c, bool is_paused)
{
    c->is_all_paused = is_paused;
    c->n_exceptions = 0;
    keep_paused(c);
}

bool
control_is_paused(const struct control *c, uint64_t dpid)
{
    for (size_t i = 0; i < c->n_exceptions; i++) {
        if (c->exceptions[i].dpid == dpid) {
            return c->exceptions[i].is_paused;
        }
    }
    return c->is_all_paused;
}

bool
control_is_all_paused(const struct control *c)
{
    return c->is_all_paused;
}
