/* SPDX-License-Identifier: Apache-2.0 */
/* of_why - sends a packet through tables, once for every way it may take.
 *
 * A way is found by running the pipeline from the start; where something is
 * not known, why_run_choose() picks.  After each run the last pick that has
 * alternatives left is changed, so that all ways are run in turn, without any
 * state to be forked. */
#include <config.h>
#include "recorder/of_why.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/of_why_state.h"

/* Runs that may be made for one answer: many take the same way. */
#define MAX_RUNS 1024

const char *
of_why_verdict_name(enum of_why_verdict verdict)
{
    static const char *const names[] = {
        [OF_WHY_FORWARDED] = "forwarded",
        [OF_WHY_CONTROLLER] = "controller",
        [OF_WHY_DROPPED] = "dropped",
    };

    return names[verdict];
}

/* --- what a run notes ---------------------------------------------------- */

static void
add_text(struct of_why_texts *t, const char *format, va_list args)
{
    char text[480];

    vsnprintf(text, sizeof text, format, args);
    t->texts = lh_alloc_grow(t->texts, t->n, &t->allocated, sizeof *t->texts);
    t->texts[t->n++] = lh_strdup(text);
}

static bool
has_last(const struct of_why_texts *t)
{
    for (size_t i = 0; i + 1 < t->n; i++) {
        if (!strcmp(t->texts[i], t->texts[t->n - 1])) {
            return true;
        }
    }
    return false;
}

void
why_run_did(struct why_run *run, const char *format, ...)
{
    va_list args;

    if (run->step < run->path->n_steps) {
        va_start(args, format);
        add_text(&run->path->steps[run->step].did, format, args);
        va_end(args);
    }
}

void
why_run_uncertain(struct why_run *run, const char *format, ...)
{
    struct of_why_texts *t = &run->path->uncertain;
    va_list args;

    va_start(args, format);
    add_text(t, format, args);
    va_end(args);
    if (has_last(t)) {
        free(t->texts[--t->n]);
    }
}

void
why_run_assume(struct why_run *run, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_text(&run->path->assumed, format, args);
    va_end(args);
}

void
why_run_drop(struct why_run *run, const char *format, ...)
{
    char text[480];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    free(run->last_drop);
    run->last_drop = lh_strdup(text);
}

size_t
why_run_choose(struct why_run *run, size_t n)
{
    struct why_chooser *c = run->chooser;

    if (n < 2) {
        return 0;
    }
    c->is_full |= n > UINT8_MAX;
    if (c->at == WHY_MAX_CHOICES) {
        c->is_full = true;
        return 0;
    }
    if (c->at == c->n) {
        c->picks[c->n] = 0;
        c->counts[c->n++] = (uint8_t) (n < UINT8_MAX ? n : UINT8_MAX);
    }
    return c->picks[c->at++];
}

/* The next way; false when all were taken. */
static bool
choose_next(struct why_chooser *c)
{
    /* What a run did not come to does not count. */
    c->n = c->at;
    while (c->n && c->picks[c->n - 1] + 1 >= c->counts[c->n - 1]) {
        c->n--;
    }
    if (!c->n) {
        return false;
    }
    c->picks[c->n - 1]++;
    return true;
}

void
why_run_output(struct why_run *run, uint16_t port, bool is_known)
{
    struct of_why_path *path = run->path;

    path->outputs =
        lh_alloc_grow(path->outputs, path->n_outputs, &path->allocated_outputs,
                      sizeof *path->outputs);
    path->outputs[path->n_outputs++] = (struct of_why_output){
        .port = port,
        .is_known = is_known,
        .step = run->step,
        .header = why_packet_text(&run->packet),
    };
}

struct of_why_step *
why_run_step(struct why_run *run, enum of_why_kind kind)
{
    struct of_why_path *path = run->path;
    struct of_why_step *step;

    path->steps = lh_alloc_grow(path->steps, path->n_steps,
                                &path->allocated_steps, sizeof *path->steps);
    run->step = path->n_steps;
    step = &path->steps[path->n_steps++];
    *step = (struct of_why_step){
        .kind = kind,
        .depth = run->depth,
        .table_id = run->table_id,
        .before = why_packet_text(&run->packet),
    };
    return step;
}

/* --- executing ----------------------------------------------------------- */

bool
why_run_has_room(struct why_run *run)
{
    const char *what = NULL;

    if (run->chooser->work > WHY_MAX_WORK) {
        run->chooser->is_full = true;
        what = "given up: too many rules to compare";
    } else if (run->deep >= WHY_MAX_DEEP || run->depth >= WHY_MAX_DEPTH) {
        what = "the switch gives up: too many resubmits or groups inside one "
               "another";
    } else if (run->n_resubmits >= WHY_MAX_RESUBMITS ||
               run->path->n_steps >= OF_WHY_MAX_STEPS) {
        what = "the switch gives up: too many resubmits";
    }
    if (what) {
        why_run_drop(run, "%s", what);
        why_run_did(run, "%s", what);
        run->has_error = true;
    }
    return !run->has_error;
}

void
why_run_list(struct why_run *run, const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;
    bool stops = false;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (stops || run->has_exit || run->has_error) {
            break;
        }
        run->scratch = run->packet;
        switch (why_edit(run, a)) {
        case WHY_EDIT_NONE:
            why_act(run, a, &stops);
            break;
        case WHY_EDIT_DONE:
            why_packet_diff(&run->scratch, &run->packet,
                            &run->path->steps[run->step]);
            break;
        case WHY_EDIT_STOP:
            stops = true;
            break;
        case WHY_EDIT_ERROR:
            run->has_error = true;
            break;
        }
    }
}

/* Nothing in the table matched. */
static void
miss(struct why_run *run, bool miss_ends)
{
    const struct why_miss *miss = &run->table->miss[run->table_id];
    struct of_why_step *step = why_run_step(run, OF_WHY_TABLE);

    step->is_miss = true;
    step->miss_version = miss->version;
    if (!miss_ends) {
        why_run_did(run, "no rule matches: the resubmit does nothing");
    } else if (miss->to_controller) {
        why_run_did(run, "no rule matches: to the controller");
        why_run_output(run, OF_PORT_CONTROLLER, true);
        return;
    } else {
        why_run_did(run, "no rule matches");
    }
    why_run_drop(run, "no rule of table %u matches", run->table_id);
}

void
why_run_table(struct why_run *run, uint8_t table_id, ofp_port_t in_port,
              bool miss_ends)
{
    ofp_port_t old_in_port = run->packet.flow.in_port.ofp_port;
    uint8_t old_table = run->table_id;
    size_t old_step = run->step;
    const struct why_rule *rule, *next;
    struct of_why_step *step;

    unsigned int deepens = run->path->n_steps && table_id <= old_table;

    if (!why_run_has_room(run)) {
        return;
    }
    run->table_id = table_id;
    run->depth++;
    run->packet.flow.in_port.ofp_port = in_port;
    rule = why_lookup(run, table_id, &next);
    run->packet.flow.in_port.ofp_port = old_in_port;
    if (rule) {
        step = why_run_step(run, OF_WHY_TABLE);
        step->version = rule->r.version;
        step->priority = rule->r.priority;
        step->match = lh_strdup(rule->r.match);
        step->actions = lh_strdup(rule->r.actions);
        if (next) {
            step->next_version = next->r.version;
            step->next_priority = next->r.priority;
            step->next_match = lh_strdup(next->r.match);
            step->next_actions = lh_strdup(next->r.actions);
        }
        if (!rule->acts.len) {
            why_run_drop(run, "v%u in table %u has no actions",
                         (unsigned) rule->r.version, table_id);
        }
        run->n_resubmits++;
        run->deep += deepens;
        why_run_list(run, of_acts_ovs(&rule->acts), rule->acts.len);
        run->deep -= deepens;
    } else {
        miss(run, miss_ends);
    }
    run->depth--;
    run->table_id = old_table;
    run->step = old_step;
}

void
why_run_set(struct why_run *run)
{
    struct ofpbuf list;
    size_t old_step = run->step;

    ofpbuf_init(&list, 128);
    ofpacts_execute_action_set(&list, &run->set);
    ofpbuf_clear(&run->set);
    if (list.size && !run->has_exit && !run->has_error) {
        struct of_acts acts = {list.data, list.size};
        struct of_why_step *step = why_run_step(run, OF_WHY_ACTION_SET);

        step->actions = of_acts_to_text(&acts);
        why_run_list(run, list.data, list.size);
    }
    ofpbuf_uninit(&list);
    run->step = old_step;
}

/* --- one run ------------------------------------------------------------- */

/* What ct(table=..) sent on. */
static void
run_later(struct why_run *run, size_t i)
{
    struct why_later later = run->later[i];

    run->packet = later.packet;
    run->n_stack = 0;
    for (size_t j = 0; j < later.n_stack; j++) {
        run->stack = lh_alloc_grow(run->stack, run->n_stack,
                                   &run->allocated_stack, sizeof *run->stack);
        run->stack[run->n_stack++] = later.stack[j];
    }
    ofpbuf_clear(&run->set);
    ofpbuf_put(&run->set, later.set.data, later.set.len);
    run->set_has_group = later.set_has_group;
    run->has_exit = false;
    run->n_resubmits = 0;
    run->table_id = later.table_id;
    run->step = SIZE_MAX;
    why_run_table(run, later.table_id, run->packet.flow.in_port.ofp_port,
                  true);
    why_run_set(run);
}

static void
judge(struct why_run *run)
{
    struct of_why_path *path = run->path;

    if (run->has_error) {
        for (size_t i = 0; i < path->n_outputs; i++) {
            free(path->outputs[i].header);
        }
        path->n_outputs = 0;
    }
    path->verdict = OF_WHY_DROPPED;
    for (size_t i = 0; i < path->n_outputs; i++) {
        if (path->outputs[i].port != OF_PORT_CONTROLLER) {
            path->verdict = OF_WHY_FORWARDED;
        } else if (path->verdict == OF_WHY_DROPPED) {
            path->verdict = OF_WHY_CONTROLLER;
        }
    }
    if (path->verdict == OF_WHY_DROPPED) {
        path->reason = lh_strdup(run->last_drop ? run->last_drop
                                                : "no rule sends it anywhere");
    }
}

/* Takes one way.  False: it cannot be. */
static bool
run_once(const struct of_why_table *t, const struct why_packet *packet,
         struct why_chooser *chooser, uint32_t not_version,
         struct of_why_not * not, struct of_why_path *path)
{
    struct why_run run = {
        .table = t,
        .chooser = chooser,
        .packet = *packet,
        .path = path,
        .step = SIZE_MAX,
        .not_version = not_version,
        .not = not,
    };

    chooser->at = 0;
    ofpbuf_init(&run.set, 128);
    why_run_table(&run, 0, packet->flow.in_port.ofp_port, true);
    why_run_set(&run);
    for (size_t i = 0; i < run.n_later; i++) {
        run_later(&run, i);
    }
    judge(&run);
    for (size_t i = 0; i < run.n_later; i++) {
        of_acts_uninit(&run.later[i].set);
        free(run.later[i].stack);
    }
    free(run.later);
    free(run.stack);
    free(run.last_drop);
    ofpbuf_uninit(&run.set);
    return !run.is_infeasible;
}

/* --- all ways ------------------------------------------------------------ */

static void
texts_uninit(struct of_why_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->texts[i]);
    }
    free(t->texts);
}

static void
edits_uninit(struct of_why_edit *edits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(edits[i].before);
        free(edits[i].after);
    }
    free(edits);
}

static void
path_uninit(struct of_why_path *path)
{
    for (size_t i = 0; i < path->n_steps; i++) {
        struct of_why_step *step = &path->steps[i];

        free(step->match);
        free(step->actions);
        free(step->next_match);
        free(step->next_actions);
        free(step->before);
        edits_uninit(step->edits, step->n_edits);
        texts_uninit(&step->did);
    }
    for (size_t i = 0; i < path->n_outputs; i++) {
        free(path->outputs[i].header);
    }
    free(path->steps);
    free(path->outputs);
    free(path->reason);
    texts_uninit(&path->assumed);
    texts_uninit(&path->uncertain);
}

/* The same rules, buckets and outputs. */
static bool
is_same_way(const struct of_why_path *a, const struct of_why_path *b)
{
    if (a->n_steps != b->n_steps || a->n_outputs != b->n_outputs) {
        return false;
    }
    for (size_t i = 0; i < a->n_steps; i++) {
        const struct of_why_step *x = &a->steps[i], *y = &b->steps[i];

        if (x->kind != y->kind || x->table_id != y->table_id ||
            x->version != y->version || x->group_id != y->group_id ||
            x->bucket != y->bucket) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_outputs; i++) {
        if (a->outputs[i].port != b->outputs[i].port ||
            a->outputs[i].is_known != b->outputs[i].is_known) {
            return false;
        }
    }
    return true;
}

/* Adds a way, or nothing if it is known. */
static void
add_path(struct of_why_answer *answer, struct of_why_path *path)
{
    for (size_t i = 0; i < answer->n_paths; i++) {
        if (is_same_way(&answer->paths[i], path)) {
            path_uninit(path);
            return;
        }
    }
    if (answer->n_paths == OF_WHY_MAX_PATHS) {
        answer->is_truncated = true;
        path_uninit(path);
        return;
    }
    answer->paths[answer->n_paths++] = *path;
}

void
of_why_run(const struct of_why_table *table, const struct of_why_packet *p,
           uint32_t not_version, struct of_why_answer *answer)
{
    struct why_chooser chooser = {.n = 0};
    size_t n_runs = 0;

    memset(answer, 0, sizeof *answer);
    answer->paths =
        lh_alloc_array(NULL, OF_WHY_MAX_PATHS, sizeof *answer->paths);
    answer->not .version = not_version;
    for (size_t i = 0; i < table->n_rules; i++) {
        answer->not .is_found |=
            not_version && table->rules[i].r.version == not_version;
    }
    why_table_sort((struct of_why_table *) table);
    do {
        struct of_why_path path = {.n_steps = 0};

        if (run_once(table, &p->p, &chooser, not_version,
                     !n_runs && not_version ? &answer->not : NULL, &path)) {
            add_path(answer, &path);
        } else {
            path_uninit(&path);
        }
        answer->is_truncated |= chooser.is_full;
        n_runs++;
    } while (choose_next(&chooser) && n_runs < MAX_RUNS &&
             !answer->is_truncated);
    answer->is_truncated |= n_runs == MAX_RUNS;
}

void
of_why_answer_uninit(struct of_why_answer *answer)
{
    for (size_t i = 0; i < answer->n_paths; i++) {
        path_uninit(&answer->paths[i]);
    }
    free(answer->paths);
    edits_uninit(answer->not .fields, answer->not .n_fields);
    memset(answer, 0, sizeof *answer);
}
