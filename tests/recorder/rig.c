/* SPDX-License-Identifier: Apache-2.0 */
/* rig - a controller, instr and a fake switch behind it. */
#include <config.h>
#include "tests/recorder/rig.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_monitor.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

static uint32_t
next_version(void *rig_)
{
    struct rig *rig = rig_;

    return ++rig->next_version;
}

static struct rule *
known_rule(void *rig_, uint32_t version)
{
    struct rig *rig = rig_;

    return !rig->forgets && version < RIG_MAX_RULES && rig->log[version]
               ? rule_ref(rig->log[version])
               : NULL;
}

static void
push(struct rig_message **box, size_t *n, size_t *allocated, uint8_t *msg,
     size_t len)
{
    *box = lh_alloc_grow(*box, *n, allocated, sizeof **box);
    (*box)[(*n)++] = (struct rig_message){msg, len};
}

/* Messages of the switch behind that instr has not seen yet. */
struct answers {
    struct rig_message *box;
    size_t n, allocated;
};

static void
take_answer(void *answers_, uint8_t *msg, size_t len)
{
    struct answers *a = answers_;

    push(&a->box, &a->n, &a->allocated, msg, len);
}

static void
log_rules(struct rig *rig, struct instr_out *out)
{
    for (size_t i = 0; i < out->n_made; i++) {
        struct rule *rule = out->made[i];

        ck_assert_uint_lt(rule->version, RIG_MAX_RULES);
        /* A version comes again only when what replaced it failed. */
        ck_assert(!rig->log[rule->version] ||
                  !strcmp(rule->command, "restored"));
        rule_describe(rule);
        rule_unref(rig->log[rule->version]);
        rig->log[rule->version] = rule;
        out->made[i] = NULL;
    }
    for (size_t i = 0; i < out->n_removed; i++) {
        ck_assert_ptr_nonnull(rig->log[out->removed[i].version]);
        rig->gone[out->removed[i].version] = out->removed[i].reason;
        rig->n_gone++;
    }
    out->n_made = 0;
}

static void run(struct rig *, struct instr_out *);

static void
count_monitors(struct rig *rig, const struct instr_msg *m)
{
    enum of_kind kind = of_msg_kind(m->data, m->len);
    struct of_monitor *parts;
    size_t n;

    if (kind == OF_MONITOR_CANCEL) {
        rig->n_cancels++;
    } else if (kind == OF_MONITOR_REQUEST) {
        ck_assert(of_monitor_decode(m->data, m->len, &parts, &n));
        ck_assert_uint_eq(n, 1);
        if (parts[0].command == OF_MONITOR_DELETE) {
            rig->n_cancels++;
        } else {
            rig->n_monitors++;
            rig->monitor_tag = m->tag;
        }
        of_monitor_uninit(&parts[0]);
        free(parts);
    }
}

/* Writes one message to the switch and hands its answers to instr. */
static void
exchange(struct rig *rig, const struct instr_msg *m)
{
    struct answers answers = {NULL, 0, 0};
    uint32_t xid = m->is_own ? 0 : of_wire_xid(m->original);

    count_monitors(rig, m);
    rig->n_flow_mods +=
        m->data[1] == OF_WIRE_FLOW_MOD || m->data[1] == OF_WIRE_EXPERIMENTER;
    of_wire_set_xid(m->data, m->len, 0x77);
    fake_switch_run(rig->behind, m->data, m->len, take_answer, &answers);
    for (size_t i = 0; i < answers.n; i++) {
        struct rig_message *a = &answers.box[i];
        struct instr_out out = INSTR_OUT_INIT;
        uint16_t type, code;

        ck_assert_uint_eq(of_wire_xid(a->data), 0x77);
        of_wire_set_xid(a->data, a->len, xid);
        if (of_wire_error(a->data, a->len, &type, &code)) {
            if (instr_error(rig->link, m->tag, type, code, rig->now_ns,
                            &out) &&
                !m->is_own) {
                uint8_t *msg = lh_alloc(12 + m->original_len);
                size_t len =
                    of_wire_put_error(msg, rig->version, xid, type, code,
                                      m->original, m->original_len);

                push(&rig->inbox, &rig->n_inbox, &rig->allocated_inbox, msg,
                     len);
            }
        } else {
            instr_from_switch(rig->link, a->data, a->len, m->tag, rig->now_ns,
                              &out);
        }
        free(a->data);
        run(rig, &out);
    }
    free(answers.box);
}

static void
run(struct rig *rig, struct instr_out *out)
{
    log_rules(rig, out);
    rig->is_detached |= out->became_detached;
    for (size_t i = 0; i < out->n_to_switch; i++) {
        exchange(rig, &out->to_switch[i]);
    }
    for (size_t i = 0; i < out->n_to_controller; i++) {
        struct instr_msg *m = &out->to_controller[i];

        ck_assert_int_eq(of_wire_frame(m->data, m->len), (int) m->len);
        push(&rig->inbox, &rig->n_inbox, &rig->allocated_inbox, m->data,
             m->len);
        m->data = NULL;
    }
    instr_out_uninit(out);
}

static void
start(struct rig *rig, uint32_t port)
{
    bool is_agent = port == RIG_AGENT;
    struct instr_config config = {
        .dpid = 0x1122,
        .ports = {{.is_wanted = !is_agent, .no = is_agent ? 0 : port},
                  [INSTR_AGENT].is_wanted = is_agent},
        .lldp_dst = {1, 0x23, 0x20, 0, 0, 1},
        .lldp_type = 0x88cc,
        .is_unwatched = rig->is_unwatched,
        .next_version = next_version,
        .known_rule = known_rule,
        .aux = rig};
    struct instr_out out = INSTR_OUT_INIT;

    rig->instr = instr_create(&config);
    rig->link = instr_link_create(rig->instr, rig->version, false, rig);
    instr_start(rig->link, rig->now_ns, &out);
    run(rig, &out);
    ck_assert(instr_is_ready(rig->instr));
    ck_assert_uint_eq(rig->n_inbox, 0);
    if (rig->version == OF_WIRE_10) {
        /* The controller uses the Nicira extension too. */
        uint8_t *msg = lh_alloc_zero(24);

        of_wire_put_header(msg, OF_WIRE_10, OF_WIRE_EXPERIMENTER, 24, 0);
        of_wire_put32(msg + 8, 0x2320);
        of_wire_put32(msg + 12, 15);
        msg[16] = 1;
        rig_send(rig, msg, 24);
    }
}

struct rig *
rig_create(uint8_t of_version, uint32_t port)
{
    struct rig *rig = lh_alloc_zero(sizeof *rig);

    rig->version = of_version;
    rig->now_ns = UINT64_C(1700000000000000000);
    rig->behind = fake_switch_create(of_version);
    rig->direct = fake_switch_create(of_version);
    rig->port = port;
    start(rig, port);
    return rig;
}

void
rig_restart(struct rig *rig)
{
    instr_destroy(rig->instr);
    rig_clear_inbox(rig);
    start(rig, rig->port ? rig->port : FAKE_POSTCARD_PORT);
}

void
rig_clear_inbox(struct rig *rig)
{
    for (size_t i = 0; i < rig->n_inbox; i++) {
        free(rig->inbox[i].data);
    }
    for (size_t i = 0; i < rig->n_direct; i++) {
        free(rig->direct_inbox[i].data);
    }
    rig->n_inbox = rig->n_direct = 0;
}

void
rig_destroy(struct rig *rig)
{
    rig_clear_inbox(rig);
    free(rig->inbox);
    free(rig->direct_inbox);
    for (size_t i = 0; i < rig->n_standing; i++) {
        free(rig->standing[i].data);
    }
    free(rig->standing);
    for (size_t i = 0; i < RIG_MAX_RULES; i++) {
        rule_unref(rig->log[i]);
    }
    instr_destroy(rig->instr);
    fake_switch_destroy(rig->behind);
    fake_switch_destroy(rig->direct);
    free(rig);
}

static void
take_direct(void *rig_, uint8_t *msg, size_t len)
{
    struct rig *rig = rig_;

    push(&rig->direct_inbox, &rig->n_direct, &rig->allocated_direct, msg, len);
}

void
rig_send(struct rig *rig, uint8_t *msg, size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;

    fake_switch_run(rig->direct, msg, len, take_direct, rig);
    instr_from_controller(rig->link, msg, len, rig->now_ns, "test", &out);
    run(rig, &out);
    free(msg);
}

void
rig_from_switch(struct rig *rig, uint8_t *msg, size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;

    instr_from_switch(rig->link, msg, len, 0, rig->now_ns, &out);
    run(rig, &out);
    free(msg);
}

static uint8_t *
flow_mod(struct rig *rig, enum of_flow_command command, const char *text,
         size_t *len)
{
    struct of_flow flow;
    uint8_t *msg;
    char *error = of_flow_from_text(&flow, command, text);

    ck_assert_msg(!error, "%s: %s", text, error ? error : "");
    ck_assert(!of_flow_encode(&flow, rig->version, 0x1234, &msg, len));
    of_flow_uninit(&flow);
    return msg;
}

void
rig_flow(struct rig *rig, enum of_flow_command command, const char *text)
{
    size_t len;
    uint8_t *msg = flow_mod(rig, command, text, &len);

    rig_send(rig, msg, len);
}

static void
drop_answer(void *n_errors, uint8_t *msg, size_t len)
{
    *(size_t *) n_errors += msg[1] == OF_WIRE_ERROR;
    free(msg);
}

void
rig_by_hand(struct rig *rig, enum of_flow_command command, const char *text)
{
    size_t len, n_errors = 0;
    uint8_t *msg = flow_mod(rig, command, text, &len);

    fake_switch_run(rig->behind, msg, len, drop_answer, &n_errors);
    ck_assert_uint_eq(n_errors, 0);
    free(msg);
}

static void
take_standing(void *rig_, uint8_t *msg, size_t len)
{
    struct rig *rig = rig_;

    push(&rig->standing, &rig->n_standing, &rig->allocated_standing, msg, len);
}

/* The switch's answer to a request for all flow statistics. */
static void
ask_behind(struct rig *rig, struct answers *answers)
{
    struct of_flow_request request = {.match = of_match_create_all(),
                                      .table_id = OF_FLOW_ALL_TABLES,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    uint8_t *msg;
    size_t len;

    of_flow_request_encode(&request, rig->version, true, 1, &msg, &len);
    of_flow_request_uninit(&request);
    fake_switch_run(rig->behind, msg, len, take_answer, answers);
    free(msg);
}

void
rig_stand(struct rig *rig)
{
    struct of_update_writer *writer = of_update_writer_open(rig->version);
    struct answers answers = {NULL, 0, 0};

    ck_assert_uint_eq(rig->n_standing, 0);
    ask_behind(rig, &answers);
    for (size_t i = 0; i < answers.n; i++) {
        struct of_flow_reader *reader =
            of_flow_reader_open(answers.box[i].data, answers.box[i].len);
        struct of_flow_record r;

        while (of_flow_reader_next(reader, &r) > 0) {
            struct of_update u = {.event = OF_UPDATE_INITIAL,
                                  .table_id = r.table_id,
                                  .priority = r.priority,
                                  .idle_timeout = r.idle_timeout,
                                  .hard_timeout = r.hard_timeout,
                                  .cookie = r.cookie,
                                  .match = r.match,
                                  .acts = r.acts};

            of_update_writer_add(writer, &u);
            of_flow_record_uninit(&r);
        }
        of_flow_reader_close(reader);
        free(answers.box[i].data);
    }
    free(answers.box);
    of_update_writer_close(writer, 0, true, false, take_standing, rig);
    rig->standing_tag = rig->monitor_tag;
}

void
rig_tell(struct rig *rig)
{
    for (size_t i = 0; i < rig->n_standing; i++) {
        struct rig_message *m = &rig->standing[i];
        struct instr_out out = INSTR_OUT_INIT;

        instr_from_switch(rig->link, m->data, m->len, rig->standing_tag,
                          rig->now_ns, &out);
        free(m->data);
        run(rig, &out);
    }
    rig->n_standing = 0;
}

static void
take_one(void *taken, uint8_t *msg, size_t len)
{
    *(struct rig_message *) taken = (struct rig_message){msg, len};
}

struct rig_message
rig_update(const struct rig *rig, enum of_update_event event, const char *text)
{
    struct rig_message msg;
    struct of_update_writer *writer = of_update_writer_open(rig->version);
    struct of_flow flow;
    char *error = of_flow_from_text(&flow, OF_FLOW_ADD, text);
    struct of_update u = {.event = event, .reason = OF_FLOW_DELETED};

    ck_assert_ptr_null(error);
    u.priority = flow.priority;
    u.cookie = flow.new_cookie;
    u.match = flow.match;
    u.acts = flow.acts;
    u.idle_timeout = flow.idle_timeout;
    u.hard_timeout = flow.hard_timeout;
    of_update_writer_add(writer, &u);
    of_update_writer_close(writer, 0, false, false, take_one, &msg);
    of_flow_uninit(&flow);
    return msg;
}

void
rig_say(struct rig *rig, enum of_update_event event, const char *text)
{
    struct rig_message msg = rig_update(rig, event, text);

    rig_from_switch(rig, msg.data, msg.len);
}

void
rig_detach(struct rig *rig, uint8_t *msg, size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;

    instr_detach(rig->instr, rig->now_ns, &out);
    instr_from_switch(rig->link, msg, len, 0, rig->now_ns, &out);
    run(rig, &out);
    free(msg);
}

bool
rig_is_detached(const struct rig *rig)
{
    return rig->is_detached;
}

void
rig_run_due(struct rig *rig)
{
    struct instr_out out = INSTR_OUT_INIT;

    if (instr_due_ns(rig->instr) <= rig->now_ns) {
        instr_run(rig->instr, rig->now_ns, &out);
        run(rig, &out);
    }
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The records in the messages as sorted lines. */
static char *
records_text(const struct rig_message *box, size_t n)
{
    char *text = lh_strdup("");
    char **lines = NULL;
    size_t n_lines = 0, allocated = 0;

    for (size_t i = 0; i < n; i++) {
        struct of_flow_reader *reader =
            of_flow_reader_open(box[i].data, box[i].len);
        struct of_flow_record r;
        int result;

        ck_assert(of_wire_is_last_reply(box[i].data, box[i].len) ==
                  (i == n - 1));
        while ((result = of_flow_reader_next(reader, &r)) > 0) {
            char *match = of_match_to_text(r.match);
            char *acts = of_acts_to_text(&r.acts);

            lines = lh_alloc_grow(lines, n_lines, &allocated, sizeof *lines);
            lines[n_lines++] = lh_asprintf(
                "table=%d,priority=%d,%s cookie=0x%llx,flags=%x,idle=%d,"
                "hard=%d,n=%llu actions=%s\n",
                r.table_id, r.priority, match, (unsigned long long) r.cookie,
                r.flags, r.idle_timeout, r.hard_timeout,
                (unsigned long long) r.n_packets, acts);
            free(match);
            free(acts);
            of_flow_record_uninit(&r);
        }
        ck_assert_int_eq(result, 0);
        of_flow_reader_close(reader);
    }
    if (n_lines) {
        qsort(lines, n_lines, sizeof *lines, compare_lines);
    }
    for (size_t i = 0; i < n_lines; i++) {
        char *joined = lh_asprintf("%s%s", text, lines[i]);

        free(text);
        free(lines[i]);
        text = joined;
    }
    free(lines);
    return text;
}

static void
ask_flows(struct rig *rig)
{
    struct of_flow_request request = {.match = of_match_create_all(),
                                      .table_id = OF_FLOW_ALL_TABLES,
                                      .out_port = OF_ACTS_ANY,
                                      .out_group = OF_ACTS_ANY};
    uint8_t *msg;
    size_t len;

    rig_clear_inbox(rig);
    of_flow_request_encode(&request, rig->version, true, 0x4321, &msg, &len);
    of_flow_request_uninit(&request);
    rig_send(rig, msg, len);
}

char *
rig_flows(struct rig *rig)
{
    ask_flows(rig);
    for (size_t i = 0; i < rig->n_inbox; i++) {
        ck_assert_uint_eq(of_wire_xid(rig->inbox[i].data), 0x4321);
    }
    return records_text(rig->inbox, rig->n_inbox);
}

char *
rig_flows_direct(struct rig *rig)
{
    ask_flows(rig);
    return records_text(rig->direct_inbox, rig->n_direct);
}

void
rig_check_same(struct rig *rig)
{
    char *want = rig_flows_direct(rig);
    char *got = rig_flows(rig);

    ck_assert_str_eq(got, want);
    free(got);
    free(want);
}

size_t
rig_n_errors(const struct rig_message *box, size_t n)
{
    size_t n_errors = 0;

    for (size_t i = 0; i < n; i++) {
        n_errors += box[i].data[1] == OF_WIRE_ERROR;
    }
    return n_errors;
}

struct rig *
rig_create_watching(uint8_t of_version, uint32_t port)
{
    struct rig *rig = rig_create(of_version, port);

    rig_stand(rig);
    rig_tell(rig);
    return rig;
}
