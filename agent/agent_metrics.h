/* SPDX-License-Identifier: Apache-2.0 */
/* agent_metrics - an agent's counters as Prometheus text, and in a few lines.
 *
 * Threads: that of the event loop. */
#ifndef AGENT_AGENT_METRICS_H
#define AGENT_AGENT_METRICS_H 1

struct evbuffer;

/* 'agent' is a struct agent. */
void agent_metrics_write(void *agent, struct evbuffer *);

#endif /* agent/agent_metrics.h */
