# SPDX-License-Identifier: Apache-2.0
# agent/

# All of the agent but main(), for its tests and benchmarks too.
noinst_LIBRARIES += agent/libagent.a
agent_libagent_a_SOURCES = \
	agent/agent.c agent/agent.h agent/agent_impl.h \
	agent/agent_metrics.c agent/agent_metrics.h \
	agent/budget.c agent/budget.h \
	agent/edge.c agent/edge.h \
	agent/losses.c agent/losses.h \
	agent/options.c agent/options.h \
	agent/outbox.c agent/outbox.h \
	agent/ring_layout.h \
	agent/ring_reader.c agent/ring_reader.h \
	agent/ring_set.c agent/ring_set.h \
	agent/server_choice.c agent/server_choice.h \
	agent/server_conn.c agent/server_conn.h \
	agent/server_link.c agent/server_link.h \
	agent/server_list.c agent/server_list.h \
	agent/spool.c agent/spool.h \
	agent/template_log.c agent/template_log.h \
	agent/threshold_log.c agent/threshold_log.h
AGENT_LIBS = agent/libagent.a $(LIB_LIBS) $(TLS_LIBS) $(PCAP_LIBS)

bin_PROGRAMS += bin/lasthop-agent
bin_lasthop_agent_SOURCES = agent/main.c
bin_lasthop_agent_LDADD = $(AGENT_LIBS)
man8_MANS += docs/man/lasthop-agent.8
