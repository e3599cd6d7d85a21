/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_fixture - a flow log in a directory of its own, for tests. */
#include <config.h>

#include "tests/lib/flow_log_fixture.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

static char dir[] = "/tmp/test_flow_log.XXXXXX";
char flow_log_fixture_path[64];

void
flow_log_fixture_setup(void)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(flow_log_fixture_path, sizeof flow_log_fixture_path, "%s/flow.db",
             dir);
}

void
flow_log_fixture_teardown(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};

    for (size_t i = 0; i < 4; i++) {
        char *name = lh_asprintf("%s%s", flow_log_fixture_path, suffixes[i]);

        unlink(name);
        free(name);
    }
    rmdir(dir);
}

struct flow_log *
flow_log_fixture_open(void)
{
    struct flow_log *log;
    struct lh_error error = {.text = ""};
    int retval = flow_log_open(flow_log_fixture_path, &log, &error);

    ck_assert_msg(!retval, "%s", error.text);
    return log;
}

static void
set_text(char **member, const char *text)
{
    free(*member);
    *member = lh_strdup(text);
}

struct rule *
flow_log_fixture_rule(uint32_t version, enum rule_kind kind, uint64_t now_ns)
{
    struct rule *r = rule_create();

    r->dpid = DPID;
    r->version = version;
    r->kind = kind;
    r->table_id = version % 3;
    r->priority = (uint16_t) (version * 7919 % 1000);
    r->cookie = 0xffffffff00000000ULL + version;
    set_text(&r->match, "tcp,tp_dst=80");
    set_text(&r->actions, "output:2");
    set_text(&r->command, "add");
    set_text(&r->who, "tcp:127.0.0.1:6653");
    r->installed_ns = now_ns;
    return r;
}

void
flow_log_fixture_add(struct flow_log *log, uint32_t version,
                     enum rule_kind kind, uint64_t now_ns)
{
    struct rule *r = flow_log_fixture_rule(version, kind, now_ns);

    flow_log_made(log, r);
    rule_unref(r);
}

void
flow_log_fixture_flush(struct flow_log *log)
{
    struct lh_error error = {.text = ""};
    int retval = flow_log_flush(log, &error);

    ck_assert_msg(!retval, "%s", error.text);
}

void
flow_log_fixture_limit_file_size(rlim_t size)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
