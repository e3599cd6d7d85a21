/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_fixture - a flow log in a directory of its own, for tests. */
#ifndef TESTS_LIB_FLOW_LOG_FIXTURE_H
#define TESTS_LIB_FLOW_LOG_FIXTURE_H 1

#include <sys/resource.h>

#include "lib/flow_log.h"

#define DPID 0xfedcba9876543210ULL

/* Where the log is, after flow_log_fixture_setup(). */
extern char flow_log_fixture_path[64];

void flow_log_fixture_setup(void);
void flow_log_fixture_teardown(void);

/* Opens for writing, or the test fails. */
struct flow_log *flow_log_fixture_open(void);
/* Flushes, or the test fails. */
void flow_log_fixture_flush(struct flow_log *);
/* From now on no file may grow beyond 'size': a full disk. */
void flow_log_fixture_limit_file_size(rlim_t size);
struct rule *flow_log_fixture_rule(uint32_t version, enum rule_kind,
                                   uint64_t now_ns);
void flow_log_fixture_add(struct flow_log *, uint32_t version, enum rule_kind,
                          uint64_t now_ns);

#endif /* tests/lib/flow_log_fixture.h */
