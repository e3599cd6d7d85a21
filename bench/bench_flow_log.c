/* SPDX-License-Identifier: Apache-2.0 */
/* bench_flow_log - what a change costs, and how long a past table takes.
 *
 * 10,000 rules stand in one switch (and in each of 10), and are replaced by
 * others until 1,000,000 changes are logged: one rule removed, one made.  The
 * time of the caller and that of the writer's thread are told apart by their
 * CPU clocks.  Then tables at random moments are asked for. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/figure.h"
#include "lib/flow_log.h"
#include "lib/lh_alloc.h"

#define N_STANDING 10000
#define N_CHANGES  1000000
#define N_TABLES   200
#define T0         UINT64_C(1790000000000000000)
#define STEP_NS    UINT64_C(1000000)

static void
set_text(char **member, char *text)
{
    free(*member);
    *member = text;
}

/* A rule of usual size: 130 bytes of OpenFlow, two steps. */
static struct rule *
make_rule(uint64_t dpid, uint32_t version, uint64_t change, uint64_t now_ns)
{
    static const uint8_t raw[130] = {4, 14, 0, 130};
    struct rule *r = rule_create();
    uint8_t mac[6] = {0, 1, 2, 3, 4, (uint8_t) version};

    r->dpid = dpid;
    r->version = version;
    r->priority = (uint16_t) (version % 1000);
    r->cookie = version;
    r->idle_timeout = 60;
    r->change = change;
    r->installed_ns = now_ns;
    r->is_instrumented = true;
    set_text(&r->match,
             lh_asprintf("tcp,in_port=1,nw_src=10.%u.%u.%u,tp_dst=80",
                         version >> 16 & 0xff, version >> 8 & 0xff,
                         version & 0xff));
    set_text(&r->actions, lh_strdup("mod_dl_dst:00:01:02:03:04:05,output:2"));
    set_text(&r->who, lh_strdup("tcp:127.0.0.1:6653"));
    rule_add_set(r, FIELD_ETH_DST, mac, NULL);
    rule_add_output(r, 2);
    r->raw = lh_memdup(raw, sizeof raw);
    r->raw_len = sizeof raw;
    return r;
}

struct load {
    struct flow_log *log;
    unsigned n_switches;
    uint64_t now_ns;
    uint64_t caller_ns; /* In the log's functions. */
    uint32_t *standing; /* Versions, N_STANDING of each switch. */
};

static void
make_one(struct load *l, unsigned i, unsigned place)
{
    uint64_t dpid = i + 1, began_ns;
    uint32_t old = l->standing[i * N_STANDING + place], version;
    struct rule *r;

    l->now_ns += STEP_NS;
    began_ns = figure_ns(CLOCK_THREAD_CPUTIME_ID);

    uint64_t change = flow_log_begin_change(l->log);

    version = flow_log_next_version(l->log, dpid);
    l->caller_ns += figure_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
    r = make_rule(dpid, version, change, l->now_ns);
    began_ns = figure_ns(CLOCK_THREAD_CPUTIME_ID);
    flow_log_made(l->log, r);
    if (old) {
        flow_log_removed(l->log, dpid, old, l->now_ns, "delete");
    }
    flow_log_hand_over(l->log);
    l->caller_ns += figure_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
    rule_unref(r);
    l->standing[i * N_STANDING + place] = version;
}

static void
flush(struct flow_log *log)
{
    struct lh_error error;

    if (flow_log_flush(log, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
}

static uint64_t
file_bytes(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (uint64_t) st.st_size;
}

/* Prints a figure of one run. */
static void
print(const struct load *l, const char *metric, const char *unit, double value)
{
    figure_print_one(value, unit, metric, "flow_log %u switches of %d rules",
                     l->n_switches, N_STANDING);
}

/* Prints the median and the 99th percentile of N_TABLES times, sorted. */
static void
print_times(const struct load *l, const char *what, const uint64_t *ns)
{
    static const unsigned int percents[] = {50, 99};

    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        printf("{\"bench\":\"flow_log %u switches of %d rules\","
               "\"metric\":\"table_at_%sp%u\",\"value\":%.1f,"
               "\"unit\":\"ms\",\"runs\":%d,\"min\":%.1f,\"max\":%.1f}\n",
               l->n_switches, N_STANDING, what, percents[i],
               (double) ns[N_TABLES * percents[i] / 100] / 1e6, N_TABLES,
               (double) ns[0] / 1e6, (double) ns[N_TABLES - 1] / 1e6);
    }
}

static void
write_changes(struct load *l, const char *path, uint64_t n)
{
    uint64_t began_ns = figure_ns(CLOCK_MONOTONIC);
    uint64_t all_ns = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t mine_ns = figure_ns(CLOCK_THREAD_CPUTIME_ID);
    unsigned seed = 1;
    size_t most = 0;

    l->caller_ns = 0;
    for (uint64_t i = 0; i < n; i++) {
        unsigned place = (unsigned) rand_r(&seed) % N_STANDING;

        make_one(l, (unsigned) (i % l->n_switches), place);
        if (i % 1024 == 0) {
            size_t waiting = flow_log_n_queued(l->log);

            most = waiting > most ? waiting : most;
            if (waiting > 200000) {
                flush(l->log); /* The writer is slower than this loop. */
            }
        }
    }
    flush(l->log);
    all_ns = figure_ns(CLOCK_PROCESS_CPUTIME_ID) - all_ns;
    mine_ns = figure_ns(CLOCK_THREAD_CPUTIME_ID) - mine_ns;
    print(l, "writer_us_per_rule", "us CPU",
          (double) (all_ns - mine_ns) / 1e3 / (double) n);
    print(l, "caller_ns_per_rule", "ns", (double) l->caller_ns / (double) n);
    print(l, "rules_per_s", "1/s",
          (double) n * 1e9 / (double) (figure_ns(CLOCK_MONOTONIC) - began_ns));
    print(l, "most_waiting", "changes", (double) most);
    print(l, "file_bytes_per_rule", "bytes",
          (double) file_bytes(path) / (double) n);
    fflush(stdout);
}

static int
compare_numbers(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

/* Tables at random times, asked for by a reader without the owner. */
static void
ask(const char *path, const struct load *l)
{
    static uint64_t took_ns[N_TABLES], cpu_ns[N_TABLES];
    struct flow_log *log;
    struct lh_error error;
    unsigned seed = 2;
    uint64_t span_ns = l->now_ns - T0, began_ns, find_ns;
    size_t n_rules = 0;

    if (flow_log_open_readonly(path, &log, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    for (size_t i = 0; i < N_TABLES; i++) {
        struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
        uint64_t at_ns =
            T0 + span_ns / N_TABLES * i + (uint64_t) rand_r(&seed) % 1000;

        began_ns = figure_ns(CLOCK_MONOTONIC);
        cpu_ns[i] = figure_ns(CLOCK_THREAD_CPUTIME_ID);
        if (flow_log_table_at_time(log, 1, at_ns, &rules, &error)) {
            fprintf(stderr, "%s\n", error.text);
            exit(1);
        }
        took_ns[i] = figure_ns(CLOCK_MONOTONIC) - began_ns;
        cpu_ns[i] = figure_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns[i];
        n_rules = rules.n;
        flow_log_rules_uninit(&rules);
    }
    began_ns = figure_ns(CLOCK_MONOTONIC);
    for (uint32_t i = 1; i <= 10000; i++) {
        struct rule *r;

        if (!flow_log_find(log, 1, i, &r, NULL)) {
            rule_unref(r);
        }
    }
    find_ns = (figure_ns(CLOCK_MONOTONIC) - began_ns) / 10000;
    flow_log_close(log);
    qsort(took_ns, N_TABLES, sizeof *took_ns, compare_numbers);
    qsort(cpu_ns, N_TABLES, sizeof *cpu_ns, compare_numbers);
    print_times(l, "", took_ns);
    print_times(l, "cpu_", cpu_ns);
    print(l, "rules_in_table", "rules", (double) n_rules);
    print(l, "find_rule", "us", (double) find_ns / 1e3);
    fflush(stdout);
}

static void
run(unsigned n_switches, uint64_t n_changes)
{
    char dir[] = "/tmp/bench_flow_log.XXXXXX";
    char *path, *command;
    struct load l = {.n_switches = n_switches, .now_ns = T0};
    struct lh_error error;

    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
    path = lh_asprintf("%s/flow.db", dir);
    if (flow_log_open(path, &l.log, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    l.standing = lh_alloc_zero(n_switches * N_STANDING * sizeof *l.standing);
    for (unsigned i = 0; i < n_switches * N_STANDING; i++) {
        make_one(&l, i / N_STANDING, i % N_STANDING);
    }
    flush(l.log);
    write_changes(&l, path, n_changes);
    ask(path, &l);
    flow_log_close(l.log);
    free(l.standing);
    command = lh_asprintf("rm -r %s", dir);
    if (system(command)) {
        perror(command);
    }
    free(command);
    free(path);
}

int
main(void)
{
    const char *text = getenv("BENCH_FLOW_LOG_CHANGES");
    uint64_t n = text ? strtoull(text, NULL, 10) : N_CHANGES;

    run(1, n);
    run(10, n);
    return 0;
}
