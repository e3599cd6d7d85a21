/* SPDX-License-Identifier: Apache-2.0 */
/* past_moment - a moment of a switch, and what stood then. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
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

/* --- reading a moment ---------------------------------------------------- */

static int
read_version(const struct past_query *q, uint32_t version,
             struct past_moment *m, struct lh_error *error)
{
    struct rule *rule;
    int retval = flow_log_find(q->log, m->dpid, version, &rule, error);

    if (retval == ENOENT) {
        lh_error_set(error,
                     "switch " DPID_FMT " has no version %u, or it is older "
                     "than what is kept",
                     m->dpid, (unsigned) version);
    }
    if (!retval) {
        m->by_change = true;
        m->version = version;
        m->at_ns = rule->installed_ns;
        rule_unref(rule);
    }
    return retval;
}

static int
check_time(const struct past_query *q, uint64_t at_ns, struct lh_error *error)
{
    char text[TIME_SPEC_BUFSIZE], begins[TIME_SPEC_BUFSIZE];
    uint64_t first_ns = 0;
    int retval = flow_log_reach(q->log, &first_ns, error);

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

/* The nearest event that begins or ends seeing. */
struct nearest {
    uint64_t dpid;
    bool only_ready;
    bool is_there, is_ready;
    uint64_t time_ns;
};

static bool
take_nearest(void *nearest_, const struct flow_log_entry *e)
{
    struct nearest *nearest = nearest_;
    bool is_ready = e->event == FLOW_LOG_READY && e->dpid == nearest->dpid;

    if ((e->dpid && e->dpid != nearest->dpid) ||
        !(is_ready ||
          (!nearest->only_ready &&
           (e->event == FLOW_LOG_DISCONNECT || e->event == FLOW_LOG_START ||
            e->event == FLOW_LOG_STOP)))) {
        return true;
    }
    nearest->is_there = true;
    nearest->is_ready = is_ready;
    nearest->time_ns = e->time_ns;
    return false;
}

json_t *
past_moment_blind(const struct past_query *q, const struct past_moment *m)
{
    struct nearest since = {.dpid = m->dpid};
    struct nearest until = {.dpid = m->dpid, .only_ready = true};
    struct flow_log_span before = {
        .until_ns = m->at_ns + 1,
        .newest_first = true,
        .only_events = true,
    };
    struct flow_log_span after = {
        .dpid = m->dpid,
        .since_ns = m->at_ns + 1,
        .until_ns = ALL_TIME,
        .only_events = true,
    };

    flow_log_changes(q->log, &before, take_nearest, &since, NULL);
    if (since.is_there && since.is_ready) {
        return NULL;
    }
    flow_log_changes(q->log, &after, take_nearest, &until, NULL);
    return json_pack("{s:o, s:o}", "since_ns",
                     since.is_there ? json_integer((json_int_t) since.time_ns)
                                    : json_null(),
                     "until_ns",
                     until.is_there ? json_integer((json_int_t) until.time_ns)
                                    : json_null());
}

/* --- ports --------------------------------------------------------------- */

struct ports {
    void (*each)(void *aux, uint16_t port, bool is_up);
    void *aux;
};

/* The text of such an event ends in "up", "down", "gone". */
static bool
take_port(void *ports_, const struct flow_log_entry *e)
{
    struct ports *ports = ports_;
    const char *last = e->text ? strrchr(e->text, ' ') : NULL;

    if (e->event == FLOW_LOG_PORT && last) {
        ports->each(ports->aux, (uint16_t) e->port, !strcmp(last, " up"));
    }
    return true;
}

int
past_moment_ports(const struct past_query *q, const struct past_moment *m,
                  void (*each)(void *aux, uint16_t port, bool is_up),
                  void *aux, struct lh_error *error)
{
    struct ports ports = {each, aux};

    return flow_log_events(q->log, m->dpid, 0, m->at_ns + 1, take_port, &ports,
                           error);
}
