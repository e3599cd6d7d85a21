/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_query - what the log knows: one rule, a state as it was.
 *
 * What the disk knows, and then the notes that wait to be written, in their
 * order (flow_log_view.c). */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

/* --- One rule. --- */

static int
rule_from_row(const struct flow_log_row *row, struct rule **rulep,
              struct lh_error *error)
{
    struct flow_log_item item = {
        .id = row->id,
        .change = row->change,
        .time_ns = row->time_ns,
    };
    struct byte_buf record = BYTE_BUF_INIT;
    int retval;

    flow_log_record_put(&record, row);
    retval = flow_log_record_get(record.data, record.len, row->dpid, &item,
                                 rulep, error);
    byte_buf_uninit(&record);
    if (!retval && row->kind == KIND_PACKET_OUT) {
        (*rulep)->removed_ns = row->time_ns;
    }
    return retval;
}

int
flow_log_query_row_rule(struct flow_log *log, const struct flow_log_row *row,
                        struct rule **rulep, struct lh_error *error)
{
    int retval = rule_from_row(row, rulep, error);

    if (retval) {
        lh_error_prefix(error, "flow log %s", log->path);
    }
    return retval;
}

static void
set_end(struct rule *rule, uint64_t removed_ns, const char *reason)
{
    free(rule->removed_reason);
    rule->removed_ns = removed_ns;
    rule->removed_reason = lh_strdup(reason);
}

/* Where a rule was made. */
struct origin {
    uint64_t change, time_ns;
    uint64_t seq; /* UINT64_MAX: it waits to be written. */
};

/* The rule that is on the disk; ENOENT without a reason. */
static int
find_written(struct flow_log *log, uint64_t dpid, uint32_t version,
             struct rule **rulep, struct origin *origin,
             struct lh_error *error)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_RULE_NOTES);
    int retval = ENOENT;

    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_int(s, 2, version);
    while (db_step(s)) {
        struct flow_log_row row;

        flow_log_store_row(s, &row);
        if (!*rulep && (row.kind == KIND_MADE || row.kind == KIND_REFUSED ||
                        row.kind == KIND_PACKET_OUT)) {
            retval = flow_log_query_row_rule(log, &row, rulep, error);
            *origin = (struct origin){row.change, row.time_ns, row.seq};
        } else if (*rulep && row.kind == KIND_AGAIN) {
            (*rulep)->is_instrumented =
                flow_log_record_is_instrumented(row.body, row.body_len);
        } else if (*rulep && row.kind == KIND_REMOVED) {
            set_end(*rulep, row.time_ns, row.text);
        }
    }
    if (!db_reset(s)) {
        retval = db_error(log->db, "cannot read", error);
        rule_unref(*rulep);
        *rulep = NULL;
    }
    return retval;
}

/* Inside a view. */
static int
find(struct flow_log *log, uint64_t dpid, uint32_t version,
     const struct flow_log_notes *waiting, struct rule **rulep,
     struct origin *origin, struct lh_error *error)
{
    int retval;

    *rulep = NULL;
    retval = find_written(log, dpid, version, rulep, origin, error);
    for (size_t i = waiting->first; i < waiting->n; i++) {
        const struct flow_log_note *note = &waiting->notes[i];

        if (note->version != version || note->type > NOTE_REMOVED) {
            continue;
        }
        if (note->type == NOTE_REMOVED && *rulep && !note->is_void) {
            set_end(*rulep, note->time_ns, note->text);
        } else if (note->type == NOTE_MADE && *rulep) {
            set_end(*rulep, 0, NULL);
            (*rulep)->is_instrumented = note->rule->is_instrumented;
        } else if (note->type == NOTE_MADE && retval == ENOENT) {
            *rulep = rule_clone(note->rule);
            if (note->rule->kind == RULE_PACKET_OUT) {
                (*rulep)->removed_ns = note->time_ns;
            }
            *origin = (struct origin){note->change, note->time_ns, UINT64_MAX};
            retval = 0;
        }
    }
    if (retval == ENOENT) {
        lh_error_set(error, "switch %016llx has no version %u",
                     (unsigned long long) dpid, (unsigned) version);
    }
    return retval;
}

int
flow_log_find(struct flow_log *log, uint64_t dpid, uint32_t version,
              struct rule **rulep, struct lh_error *error)
{
    struct flow_log_wanted wanted = {dpid, version};
    struct flow_log_notes waiting;
    struct origin origin;
    uint64_t seq;
    int retval;

    *rulep = NULL;
    if (!flow_log_view_begin(log, flow_log_view_wants, &wanted, &waiting,
                             &seq)) {
        retval = db_error(log->db, "cannot read", error);
    } else {
        flow_log_view_drop_refused(&waiting);
        retval = find(log, dpid, version, &waiting, rulep, &origin, error);
    }
    return flow_log_view_end(log, retval, &waiting);
}

/* --- A moment. --- */

/* Where it lies: after row 'seq', and notes[..end-1] of those that wait. */
struct place {
    uint64_t seq;
    size_t end;
    uint64_t change, time_ns;
};

static int
place_of_change(struct flow_log *log, const struct origin *origin,
                const struct flow_log_notes *waiting, struct place *place,
                struct lh_error *error)
{
    struct db_statement *s;

    place->change = origin->change;
    place->time_ns = origin->time_ns;
    while (place->end < waiting->n &&
           waiting->notes[place->end].change <= origin->change) {
        place->end++;
    }
    if (place->end > waiting->first) {
        return 0; /* All that is on the disk is in it. */
    }
    s = flow_log_db_statement(log, STATEMENT_END_OF_CHANGE);
    db_bind_int(s, 1, (int64_t) origin->seq);
    while (db_step(s) && (uint64_t) db_int(s, 1) == origin->change) {
        place->seq = (uint64_t) db_int(s, 0);
    }
    return db_reset(s) ? 0 : db_error(log->db, "cannot read", error);
}

static int
place_of_time(struct flow_log *log, uint64_t time_ns,
              const struct flow_log_notes *waiting, struct place *place,
              struct lh_error *error)
{
    place->time_ns = time_ns;
    for (size_t i = waiting->first; i < waiting->n; i++) {
        if (waiting->notes[i].time_ns <= time_ns) {
            place->end = i + 1;
            place->change = waiting->notes[i].change;
        }
    }
    if (place->end > waiting->first) {
        return 0;
    }
    return flow_log_clock_seek(log, time_ns, &place->seq)
               ? 0
               : db_error(log->db, "cannot read", error);
}

static int
find_place(struct flow_log *log, uint64_t dpid,
           const struct flow_log_moment *moment,
           const struct flow_log_notes *waiting, struct place *place,
           struct lh_error *error)
{
    struct rule *rule;
    struct origin origin;
    int retval = 0;

    switch (moment->when) {
    case FLOW_LOG_NOW:
        place->end = waiting->n;
        place->time_ns = time_spec_now();
        break;
    case FLOW_LOG_AT_VERSION:
        retval =
            find(log, dpid, moment->version, waiting, &rule, &origin, error);
        if (!retval) {
            rule_unref(rule);
            origin.seq = origin.seq == UINT64_MAX ? place->seq : origin.seq;
            retval = place_of_change(log, &origin, waiting, place, error);
        }
        break;
    case FLOW_LOG_AT_TIME:
        retval = place_of_time(log, moment->time_ns, waiting, place, error);
        break;
    }
    return retval;
}

static int
check_reach(struct flow_log *log, const struct place *place,
            struct lh_error *error)
{
    char since[TIME_SPEC_BUFSIZE];
    uint64_t kept_seq, kept_ns;

    if (!flow_log_db_get(log, "kept_seq", &kept_seq) ||
        !flow_log_db_get(log, "kept_ns", &kept_ns)) {
        return db_error(log->db, "cannot read", error);
    }
    if (place->seq < kept_seq) {
        lh_error_set(error, "the flow log reaches back to %s only",
                     time_spec_format(kept_ns, true, 3, since));
        return ERANGE;
    }
    return 0;
}

int
flow_log_reach(struct flow_log *log, uint64_t *since_ns,
               struct lh_error *error)
{
    int64_t first_ns = 0;

    if (!flow_log_db_get(log, "kept_ns", since_ns) ||
        (!*since_ns &&
         !db_get_int(log->db, "SELECT time_ns FROM note ORDER BY seq LIMIT 1",
                     &first_ns))) {
        return db_error(log->db, "cannot read", error);
    }
    *since_ns = *since_ns ? *since_ns : (uint64_t) first_ns;
    return 0;
}

/* --- A state. --- */

static void
apply_note(struct flow_log_build *b, const struct flow_log_note *note)
{
    uint8_t class = note->type >= NOTE_SET ? (uint8_t) note->class : 0;

    if (note->type == NOTE_REMOVED || note->type == NOTE_GONE) {
        flow_log_build_remove(b, class, note->version);
    } else if (!note->rule || note->rule->kind != RULE_PACKET_OUT) {
        struct flow_log_item *item =
            flow_log_build_set(b, class, note->version);

        item->change = note->change;
        item->time_ns = note->time_ns;
        item->note = note;
    }
}

/* True when a note of later says that a rule which the disk has removed was
 * there at 'time_ns'. */
static bool
is_back(const struct flow_log_build *b, const struct flow_log_note *note,
        uint64_t time_ns)
{
    return note->type == NOTE_MADE && note->rule->kind != RULE_PACKET_OUT &&
           note->rule->installed_ns < note->time_ns &&
           note->rule->installed_ns <= time_ns &&
           !flow_log_build_find(b, 0, note->version);
}

static void
apply_waiting(struct flow_log_build *b, const struct flow_log_notes *waiting,
              size_t end, uint64_t time_ns)
{
    for (size_t i = waiting->first; i < waiting->n; i++) {
        const struct flow_log_note *note = &waiting->notes[i];

        if (flow_log_view_is_error(note)) {
            flow_log_build_remove(b, 0, note->version);
        } else if (!note->is_void && (i < end || is_back(b, note, time_ns))) {
            apply_note(b, note);
        }
    }
}

static void
add_object(struct flow_log_state *state, const struct flow_log_build *b,
           const struct flow_log_item *item)
{
    struct flow_log_object *object;

    state->objects =
        lh_alloc_grow(state->objects, state->n_objects,
                      &state->allocated_objects, sizeof *state->objects);
    object = &state->objects[state->n_objects++];
    *object = (struct flow_log_object){
        .class = item->class,
        .id = item->id,
        .change = item->change,
        .time_ns = item->time_ns,
    };
    if (item->note) {
        object->text = lh_strdup(item->note->text);
        object->how = lh_strdup(item->note->more);
        object->raw = lh_memdup(item->note->raw, item->note->raw_len);
        object->raw_len = item->note->raw_len;
    } else {
        flow_log_record_get_object(b->bytes.data + item->ofs, item->len,
                                   object);
    }
}

static int
add_rule(struct flow_log_state *state, const struct flow_log_build *b,
         const struct flow_log_item *item, struct lh_error *error)
{
    struct flow_log_rules *rules = &state->rules;
    struct rule *rule;
    int retval;

    if (item->note) {
        rule = rule_clone(item->note->rule);
    } else {
        retval = flow_log_record_get(b->bytes.data + item->ofs, item->len,
                                     b->dpid, item, &rule, error);
        if (retval) {
            rule_unref(rule);
            return retval;
        }
    }
    rules->rules = lh_alloc_grow(rules->rules, rules->n, &rules->allocated,
                                 sizeof *rules->rules);
    rules->rules[rules->n++] = rule;
    return 0;
}

static int
compare_rules(const void *a_, const void *b_)
{
    const struct rule *a = *(struct rule *const *) a_;
    const struct rule *b = *(struct rule *const *) b_;

    if ((a->kind == RULE_GROUP) != (b->kind == RULE_GROUP)) {
        return a->kind == RULE_GROUP ? 1 : -1;
    }
    if (a->table_id != b->table_id) {
        return a->table_id < b->table_id ? -1 : 1;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority ? -1 : 1;
    }
    return a->version < b->version ? -1 : a->version > b->version;
}

static int
compare_objects(const void *a_, const void *b_)
{
    const struct flow_log_object *a = a_, *b = b_;

    if (a->class != b->class) {
        return a->class < b->class ? -1 : 1;
    }
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Makes the state of what was put together. */
static int
finish_state(const struct flow_log_build *b, const struct place *place,
             struct flow_log_state *state, struct lh_error *error)
{
    int retval = 0;

    for (size_t i = 0; !retval && i < b->n_items; i++) {
        const struct flow_log_item *item = &b->items[i];

        if (item->is_there && item->class) {
            add_object(state, b, item);
        } else if (item->is_there) {
            retval = add_rule(state, b, item, error);
        }
    }
    if (state->rules.n) {
        qsort(state->rules.rules, state->rules.n, sizeof *state->rules.rules,
              compare_rules);
    }
    if (state->n_objects) {
        qsort(state->objects, state->n_objects, sizeof *state->objects,
              compare_objects);
    }
    state->change = place->change;
    state->at_ns = place->time_ns;
    state->seq = place->seq;
    return retval;
}

/* The ends of rules that wait to be written and are after the moment. */
static void
set_ends(const struct flow_log_build *b, const struct flow_log_notes *waiting,
         size_t end, struct flow_log_state *state)
{
    for (size_t i = end; i < waiting->n; i++) {
        const struct flow_log_note *note = &waiting->notes[i];

        if (note->type != NOTE_REMOVED || note->is_void ||
            !flow_log_build_find(b, 0, note->version)) {
            continue;
        }
        for (size_t j = 0; j < state->rules.n; j++) {
            struct rule *rule = state->rules.rules[j];

            if (rule->version == note->version) {
                set_end(rule, note->time_ns, note->text);
                break;
            }
        }
    }
}

static int
read_state(struct flow_log *log, uint64_t dpid,
           const struct flow_log_moment *moment,
           struct flow_log_notes *waiting, uint64_t seq,
           struct flow_log_state *state, struct lh_error *error)
{
    struct place place = {.seq = seq, .end = waiting->first};
    struct flow_log_build build;
    int retval;

    flow_log_view_drop_refused(waiting);
    if (!flow_log_db_get(log, "change", &place.change)) {
        return db_error(log->db, "cannot read", error);
    }
    retval = find_place(log, dpid, moment, waiting, &place, error);
    if (!retval) {
        retval = check_reach(log, &place, error);
    }
    if (retval) {
        return retval;
    }
    flow_log_build_init(&build, dpid);
    retval = flow_log_build_read(log, place.seq, &build, error);
    if (!retval) {
        apply_waiting(&build, waiting, place.end, place.time_ns);
        retval = finish_state(&build, &place, state, error);
        set_ends(&build, waiting, place.end, state);
    }
    flow_log_build_uninit(&build);
    return retval;
}

int
flow_log_state_at(struct flow_log *log, uint64_t dpid,
                  const struct flow_log_moment *moment,
                  struct flow_log_state *state, struct lh_error *error)
{
    struct flow_log_wanted wanted = {dpid, 0};
    struct flow_log_notes waiting;
    uint64_t seq;
    int retval;

    *state = (struct flow_log_state){.change = 0};
    if (flow_log_view_begin(log, flow_log_view_wants, &wanted, &waiting,
                            &seq)) {
        retval = read_state(log, dpid, moment, &waiting, seq, state, error);
    } else {
        retval = db_error(log->db, "cannot read", error);
    }
    if (retval) {
        flow_log_state_uninit(state);
    }
    return flow_log_view_end(log, retval, &waiting);
}

/* What became later of a rule that stood: only of use where later rows
 * are. */
static int
read_end(struct flow_log *log, struct rule *rule, uint64_t seq,
         struct lh_error *error)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_END);

    db_bind_int(s, 1, (int64_t) rule->dpid);
    db_bind_int(s, 2, rule->version);
    db_bind_int(s, 3, (int64_t) seq);
    if (db_step(s)) {
        set_end(rule, (uint64_t) db_int(s, 0), db_text(s, 1));
    }
    return db_reset(s) ? 0 : db_error(log->db, "cannot read", error);
}

int
flow_log_state_ends(struct flow_log *log, struct flow_log_state *state,
                    struct lh_error *error)
{
    int retval = 0;

    if (!log->n_views++ && !db_run(log->db, "BEGIN")) {
        retval = db_error(log->db, "cannot read", error);
    }
    for (size_t i = 0; !retval && i < state->rules.n; i++) {
        if (!state->rules.rules[i]->removed_ns) {
            retval = read_end(log, state->rules.rules[i], state->seq, error);
        }
    }
    if (!--log->n_views) {
        db_run(log->db, "ROLLBACK");
    }
    return retval;
}
