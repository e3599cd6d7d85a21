/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the commands that change what switches send: `pause`, `resume`,
 * `attach`, `detach`, and what those of selections have in common. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/dpid.h"
#include "lib/monotonic.h"

#define POLL_MS 20

/* --- What became of the switches. ---------------------------------------- */

/* How many of 'switches' have `switch` as 'answer'. */
static size_t
count_answers(const json_t *switches, const char *answer)
{
    size_t i, n = 0;
    json_t *item;

    json_array_foreach(switches, i, item)
    {
        n += !strcmp(ctl_text(item, "switch"), answer);
    }
    return n;
}

/* Asks for the status until no switch has still to take what it was told.
 * '*status' is for json_decref(). */
static int
wait_for_switches(struct ctl *ctl, json_t **status)
{
    int64_t until_ms = monotonic_ms() + (int64_t) ctl->app->timeout_s * 1000;

    for (;;) {
        struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        int result = ctl_ask(ctl, CTL_RECORDER, "status", NULL, status);
        const json_t *switches =
            json_object_get(json_object_get(*status, "status"), "switches");

        if (result || !count_answers(switches, "waiting")) {
            return result;
        }
        if (monotonic_ms() >= until_ms) {
            app_say(ctl->app,
                    "a switch has not answered for %" PRIu64
                    " s; see lasthopctl status",
                    ctl->app->timeout_s);
            return CTL_FAILED;
        }
        json_decref(*status);
        nanosleep(&pause, NULL);
    }
}

static void
print_change(const json_t *sw)
{
    const char *why = ctl_text(sw, "why");
    long long n_rules = ctl_number(sw, "rules");

    printf("%s: %s%s%s%s, %lld of ", ctl_name(sw), ctl_text(sw, "state"),
           *why ? " (" : "", why, *why ? ")" : "", ctl_number(sw, "carded"));
    ctl_print_count(n_rules, "rule", "rules");
    printf(" send postcards, %lld rewritten\n", ctl_number(sw, "rewritten"));
}

/* Leaves those of 'switches' that are called as one of 'names' (NULL:
 * all). */
static json_t *
pick_switches(const json_t *switches, const json_t *names)
{
    json_t *sorted = ctl_sort_switches(switches);

    for (size_t i = json_array_size(sorted); names && i-- > 0;) {
        const json_t *sw = json_array_get(sorted, i);
        bool is_named = false;
        json_t *name;
        size_t j;

        json_array_foreach(names, j, name)
        {
            uint64_t dpid, wanted;

            is_named |= !strcmp(json_string_value(name), ctl_name(sw)) ||
                        (dpid_from_string(ctl_text(sw, "dpid"), &dpid) &&
                         dpid_from_string(json_string_value(name), &wanted) &&
                         dpid == wanted);
        }
        if (!is_named) {
            json_array_remove(sorted, i);
        }
    }
    return sorted;
}

int
ctl_change(struct ctl *ctl, const char *op, json_t *members)
{
    json_t *names = json_incref(json_object_get(members, "switches"));
    json_t *answer, *status_answer = NULL, *item, *switches;
    int status = ctl_ask(ctl, CTL_RECORDER, op, members, &answer);
    size_t i, n_refused = 0;

    switches = pick_switches(json_object_get(answer, "switches"), names);
    if (!status && count_answers(switches, "waiting")) {
        status = wait_for_switches(ctl, &status_answer);
        n_refused = count_answers(
            json_object_get(json_object_get(status_answer, "status"),
                            "switches"),
            "refused");
    }
    if (!status && ctl->app->is_json) {
        json_object_set(answer, "switches", switches);
        ctl_print_json(answer);
    } else if (!status) {
        json_array_foreach(switches, i, item)
        {
            print_change(item);
        }
    }
    if (n_refused) {
        app_say(ctl->app,
                "%zu %s refused it; the log of the recorder says why",
                n_refused, app_noun(n_refused, "switch", "switches"));
        status = CTL_FAILED;
    }
    json_decref(switches);
    json_decref(names);
    json_decref(status_answer);
    json_decref(answer);
    return status;
}

static int
pause_or_resume(struct ctl *ctl, const char *op, int argc, char *argv[])
{
    json_t *members = NULL;

    if (argc) {
        json_t *switches = json_array();

        for (int i = 0; i < argc; i++) {
            json_array_append_new(switches, json_string(argv[i]));
        }
        members = json_pack("{s:o}", "switches", switches);
    }
    return ctl_change(ctl, op, members);
}

int
ctl_pause(struct ctl *ctl, int argc, char *argv[])
{
    return pause_or_resume(ctl, "pause", argc, argv);
}

int
ctl_resume(struct ctl *ctl, int argc, char *argv[])
{
    return pause_or_resume(ctl, "resume", argc, argv);
}

/* --- Bridges without a controller. --------------------------------------- */

static int
attach_or_detach(struct ctl *ctl, const char *op, const char *bridge)
{
    json_t *answer, *members = json_pack("{s:s}", "bridge", bridge);
    int status;

    if (ctl->has_force) {
        json_object_set_new(members, "force", json_true());
    }
    status = ctl_ask(ctl, CTL_RECORDER, op, members, &answer);
    if (!status && ctl->app->is_json) {
        ctl_print_json(answer);
    } else if (!status) {
        printf("%s: %sed\n", bridge, op);
    }
    json_decref(answer);
    return status;
}

int
ctl_attach(struct ctl *ctl, int argc, char *argv[])
{
    return attach_or_detach(ctl, "attach", argv[0]);
}

int
ctl_detach(struct ctl *ctl, int argc, char *argv[])
{
    return attach_or_detach(ctl, "detach", argv[0]);
}
