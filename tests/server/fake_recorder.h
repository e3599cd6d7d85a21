/* SPDX-License-Identifier: Apache-2.0 */
/* fake_recorder - a process that answers on recorder.sock as a recorder of the
 * scene would.
 *
 * It tells the topology, rules 10 + i of the switches, and `synced`.  Rules
 * 90 + i it tells only when asked one by one, so that a server has to ask.
 *
 * Threads: one. */
#ifndef TESTS_SERVER_FAKE_RECORDER_H
#define TESTS_SERVER_FAKE_RECORDER_H 1

#include <sys/types.h>

/* Where it says its flow log is. */
#define FAKE_RECORDER_LOG "/var/lib/lasthop/flow.db"

/* Starts it at 'path'; the caller ends it with a signal. */
pid_t fake_recorder_start(const char *path);

#endif /* tests/server/fake_recorder.h */
