# SPDX-License-Identifier: Apache-2.0
# tests/agent/

# fake_ring: a ring of a switch that is none.
FAKE_RING = tests/agent/fake_ring.c tests/agent/fake_ring.h

check_PROGRAMS += tests/agent/test_ring_reader
TESTS += tests/agent/test_ring_reader
tests_agent_test_ring_reader_SOURCES = tests/agent/test_ring_reader.c \
	$(FAKE_RING)
tests_agent_test_ring_reader_LDADD = $(AGENT_LIBS) $(TEST_LIBS)

# agent: all of it, between such rings and a server that is none.
check_PROGRAMS += tests/agent/test_agent
TESTS += tests/agent/test_agent
tests_agent_test_agent_SOURCES = tests/agent/test_agent.c $(FAKE_RING) \
	tests/agent/fake_server.c tests/agent/fake_server.h
tests_agent_test_agent_LDADD = $(AGENT_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/agent/test_budget tests/agent/test_spool
TESTS += tests/agent/test_budget tests/agent/test_spool
tests_agent_test_budget_SOURCES = tests/agent/test_budget.c
tests_agent_test_budget_LDADD = $(AGENT_LIBS) $(TEST_LIBS)
tests_agent_test_spool_SOURCES = tests/agent/test_spool.c
tests_agent_test_spool_LDADD = $(AGENT_LIBS) $(TEST_LIBS)
