/* SPDX-License-Identifier: Apache-2.0 */
/* past_moment - a moment of a switch, and what stood then. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

#define ALL_TIME (INT64_MAX - 1)

bool
past_is_cancelled(const struct past_query *q)
{
    return q->is_cancelled && q->is_cancelled(q->aux);
}

int
past_moment_dpid(const struct past_query *q, uint64_t *dpid,
                 struct lh_error *error)
{
    struct jmember root = jmember_root(q->request);
    struct jmember member = jmember_get(&root, "dpid");

    return jmember_dpid(&member, dpid, error);
}

/* --- what is known at all ------------------------------------------------ */

/* The switches as "s1 (0000000000000001), ..". */
static void
list_switches(struct flow_log *log, char *buf, size_t size)
{
    struct flow_log_switch *switches;
    size_t n, len = 0;

    *buf = '\0';
    if (flow_log_switches(log, &switches, &n, NULL)) {
        return;
    }
    for (size_t i = 0; i < n && len + 80 < size; i++) {
        len += (size_t) snprintf(
            buf + len, size - len, "%s" DPID_FMT "%s%.24s%s", i ? ", " : "",
            switches[i].dpid, switches[i].name ? " (" : "",
            switches[i].name ? switches[i].name : "",
            switches[i].name ? ")" : "");
    }
    if (n && len + 80 >= size) {
        snprintf(buf + len, size - len, ", ..");
    }
    flow_log_switches_free(switches, n);
}

static int
check_switch(const struct past_query *q, uint64_t dpid, struct lh_error *error)
{
    struct flow_log_switch *switches;
    bool is_known = false;
    char list[360];
    size_t n;
    int retval = flow_log_switches(q->log, &switches, &n, error);

    if (retval) {
        return retval;
    }
    for (size_t i = 0; i < n; i++) {
        is_known |= switches[i].dpid == dpid;
    }
    flow_log_switches_free(switches, n);
    if (is_known) {
        return 0;
    }
    list_switches(q->log, list, sizeof list);
    lh_error_set(error, "no switch " DPID_FMT " was ever seen%s%s", dpid,
                 *list ? "; known: " : "; none was", list);
    return ENOENT;
}

/* The time at which the log begins. */
static int
first_time(struct flow_log *log, uint64_t *ns, struct lh_error *error)
{
    int64_t first;

    if (!db_get_int(log->db, "SELECT coalesce(min(time_ns), 0) FROM event",
                    &first)) {
        return db_error(log->db, "cannot read", error);
    }
    *ns = (uint64_t) first;
    return 0;
}

/* --- reading a moment ---------------------------------------------------- */

static int
read_version(const struct past_query *q, uint32_t version,
             struct past_moment *m, struct lh_error *error)
{
    struct db_statement *s =
        db_prepare(q->log->db, "SELECT made_change, installed_ns FROM rule"
                               " WHERE dpid = ?1 AND version = ?2");
    bool is_there;

    db_bind_int(s, 1, (int64_t) m->dpid);
    db_bind_int(s, 2, version);
    is_there = db_step(s);
    if (is_there) {
        m->by_change = true;
        m->version = version;
        m->change = (uint64_t) db_int(s, 0);
        m->at_ns = (uint64_t) db_int(s, 1);
    }
    if (!db_finish(s)) {
        return db_error(q->log->db, "cannot read", error);
    }
    if (!is_there) {
        lh_error_set(error,
                     "switch " DPID_FMT " has no version %u, or it is older "
                     "than what is kept",
                     m->dpid, (unsigned) version);
        return ENOENT;
    }
    return 0;
}

static int
check_time(const struct past_query *q, uint64_t at_ns, struct lh_error *error)
{
    char text[TIME_SPEC_BUFSIZE], begins[TIME_SPEC_BUFSIZE];
    uint64_t first_ns = 0;
    int retval = first_time(q->log, &first_ns, error);

    if (!retval && first_ns && at_ns < first_ns) {
        lh_error_set(error, "nothing is known of %s: the log begins at %s",
                     time_spec_format(at_ns, true, 3, text),
                     time_spec_format(first_ns, true, 3, begins));
        retval = ENOENT;
    }
    return retval;
}

int
past_moment_read(const struct past_query *q, uint64_t dpid,
                 const struct jmember *version, const struct jmember *at,
                 struct past_moment *m, struct lh_error *error)
{
    uint64_t number;
    int retval;

    *m = (struct past_moment){.dpid = dpid, .at_ns = q->now_ns};
    if (jmember_is_there(version) && jmember_is_there(at)) {
        return jmember_error(at, error, "version was given as well");
    }
    retval = check_switch(q, dpid, error);
    if (retval) {
        return retval;
    }
    if (jmember_is_there(version)) {
        retval = jmember_u64(version, UINT32_MAX, &number, error);
        return retval ? retval : read_version(q, (uint32_t) number, m, error);
    }
    if (!jmember_is_there(at)) {
        m->is_now = true;
        return 0;
    }
    retval = time_spec_member(at, q->now_ns, &m->at_ns, error);
    if (!retval && m->at_ns > ALL_TIME) {
        m->at_ns = ALL_TIME;
    }
    return retval ? retval : check_time(q, m->at_ns, error);
}

/* The time of the nearest event that begins or ends seeing: before or at the
 * moment, or after it. */
static bool
nearest(const struct past_query *q, const struct past_moment *m,
        const char *sql, int64_t *time_ns, bool *is_ready)
{
    struct db_statement *s = db_prepare(q->log->db, sql);
    bool is_there;

    db_bind_int(s, 1, (int64_t) m->at_ns);
    db_bind_int(s, 2, (int64_t) m->dpid);
    is_there = db_step(s);
    if (is_there) {
        *time_ns = db_int(s, 0);
        *is_ready = !strcmp(db_text(s, 1), "ready");
    }
    db_finish(s);
    return is_there;
}

json_t *
past_moment_blind(const struct past_query *q, const struct past_moment *m)
{
    static const char before[] =
        "SELECT time_ns, kind FROM event WHERE time_ns <= ?1"
        " AND dpid IN (0, ?2)"
        " AND kind IN ('ready', 'disconnect', 'start', 'stop')"
        " ORDER BY time_ns DESC, rowid DESC LIMIT 1";
    static const char after[] =
        "SELECT time_ns, kind FROM event WHERE time_ns > ?1 AND dpid = ?2"
        " AND kind = 'ready' ORDER BY time_ns, rowid LIMIT 1";
    int64_t since_ns = 0, until_ns = 0;
    bool is_ready = false;
    bool has_since = nearest(q, m, before, &since_ns, &is_ready);
    bool has_until;

    if (has_since && is_ready) {
        return NULL;
    }
    has_until = nearest(q, m, after, &until_ns, &is_ready);
    return json_pack("{s:o, s:o}", "since_ns",
                     has_since ? json_integer(since_ns) : json_null(),
                     "until_ns",
                     has_until ? json_integer(until_ns) : json_null());
}

/* --- what stood ---------------------------------------------------------- */

/* The versions of group buckets at the moment. */
static int
find_buckets(const struct past_query *q, const struct past_moment *m,
             struct flow_log_rules *rules, struct lh_error *error)
{
    struct db_statement *s = db_prepare(
        q->log->db, m->by_change ? "SELECT version FROM rule WHERE dpid = ?1"
                                   " AND kind = 2 AND made_change <= ?2"
                                   " AND removed_change > ?2 ORDER BY version"
                                 : "SELECT version FROM rule WHERE dpid = ?1"
                                   " AND kind = 2 AND installed_ns <= ?2"
                                   " AND removed_ns > ?2 ORDER BY version");
    int retval = 0;

    db_bind_int(s, 1, (int64_t) m->dpid);
    db_bind_int(s, 2, (int64_t) (m->by_change ? m->change : m->at_ns));
    while (!retval && db_step(s)) {
        struct rule *rule;

        retval = flow_log_find(q->log, m->dpid, (uint32_t) db_int(s, 0), &rule,
                               error);
        if (!retval) {
            rules->rules =
                lh_alloc_grow(rules->rules, rules->n, &rules->allocated,
                              sizeof *rules->rules);
            rules->rules[rules->n++] = rule;
        }
    }
    return db_finish(s) || retval ? retval
                                  : db_error(q->log->db, "cannot read", error);
}

int
past_moment_rules(const struct past_query *q, const struct past_moment *m,
                  bool groups, struct flow_log_rules *rules,
                  struct lh_error *error)
{
    uint64_t at_ns;

    if (past_is_cancelled(q)) {
        lh_error_set(error, "cancelled");
        return ECANCELED;
    }
    if (groups) {
        return find_buckets(q, m, rules, error);
    }
    if (m->is_now) {
        return flow_log_table_standing(q->log, m->dpid, rules, error);
    }
    if (!m->by_change) {
        return flow_log_table_at_time(q->log, m->dpid, m->at_ns, rules, error);
    }
    return flow_log_table_at_version(q->log, m->dpid, m->version, rules,
                                     &at_ns, error);
}

/* --- ports --------------------------------------------------------------- */

int
past_moment_ports(const struct past_query *q, const struct past_moment *m,
                  void (*each)(void *aux, uint16_t port, bool is_up),
                  void *aux, struct lh_error *error)
{
    /* Of each port the last event: its text ends in "up", "down", "gone". */
    struct db_statement *s = db_prepare(
        q->log->db, "SELECT port, text FROM event WHERE dpid = ?1"
                    " AND kind = 'port' AND time_ns <= ?2"
                    " AND port IS NOT NULL ORDER BY time_ns, rowid");

    db_bind_int(s, 1, (int64_t) m->dpid);
    db_bind_int(s, 2, (int64_t) m->at_ns);
    while (db_step(s)) {
        const char *text = db_text(s, 1);
        const char *last = text ? strrchr(text, ' ') : NULL;

        if (last) {
            each(aux, (uint16_t) db_int(s, 0), !strcmp(last, " up"));
        }
    }
    return db_finish(s) ? 0 : db_error(q->log->db, "cannot read", error);
}
