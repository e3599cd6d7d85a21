/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the command `select`: what is to be instrumented. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define MAX_FILE (1024 * 1024)

int
ctl_select_list(struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer, *item;
    size_t i;
    int status = ctl_ask(ctl, CTL_RECORDER, "select.list", NULL, &answer);

    if (status) {
        return status;
    }
    if (ctl->app->is_json) {
        ctl_print_json(answer);
    } else {
        json_array_foreach(json_object_get(answer, "selections"), i, item)
        {
            puts(ctl_text(item, "text"));
        }
    }
    json_decref(answer);
    return status;
}

int
ctl_select_add(struct ctl *ctl, int argc, char *argv[])
{
    json_t *members;
    char *line;

    /* One argument or several: a selection is words. */
    line = lh_strdup(argv[0]);
    for (int i = 1; i < argc; i++) {
        char *longer = lh_asprintf("%s %s", line, argv[i]);

        free(line);
        line = longer;
    }
    members = json_pack("{s:s}", "selection", line);
    free(line);
    if (!members) {
        return app_wrong_usage(ctl->app, "select add: not UTF-8");
    }
    if (ctl->before) {
        json_object_set_new(members, "before", json_string(ctl->before));
    }
    return ctl_change(ctl, "select.add", members);
}

int
ctl_select_delete(struct ctl *ctl, int argc, char *argv[])
{
    for (int i = 0; i < argc; i++) {
        int status = ctl_change(ctl, "select.delete",
                                json_pack("{s:s}", "name", argv[i]));

        if (status) {
            return status;
        }
    }
    return CTL_OK;
}

int
ctl_select_load(struct ctl *ctl, int argc, char *argv[])
{
    const char *path = argv[0];
    FILE *file;
    json_t *members;
    char *text;
    size_t len;
    bool has_failed;

    file = strcmp(path, "-") ? fopen(path, "r") : stdin;
    if (!file) {
        app_say(ctl->app, "%s: %s", path, strerror(errno));
        return CTL_FAILED;
    }
    text = lh_alloc(MAX_FILE + 1);
    len = fread(text, 1, MAX_FILE + 1, file);
    has_failed = ferror(file);
    if (file != stdin) {
        fclose(file);
    }
    members = !has_failed && len <= MAX_FILE
                  ? json_pack("{s:s%}", "text", text, len)
                  : NULL;
    free(text);
    if (!members) {
        app_say(ctl->app, "%s: %s", path,
                has_failed ? "cannot be read"
                           : "no list of selections: not UTF-8, or too long");
        return CTL_FAILED;
    }
    return ctl_change(ctl, "select.load", members);
}
