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
	tests/agent/fake_server.c tests/agent/fake_server.h \
	tests/agent/run_until.h
tests_agent_test_agent_LDADD = $(AGENT_LIBS) $(TEST_LIBS)

# The same with several servers; which of them.
check_PROGRAMS += tests/agent/test_servers tests/agent/test_server_choice
TESTS += tests/agent/test_servers tests/agent/test_server_choice
tests_agent_test_servers_SOURCES = tests/agent/test_servers.c $(FAKE_RING) \
	tests/agent/fake_server.c tests/agent/fake_server.h \
	tests/agent/run_until.h
tests_agent_test_servers_LDADD = $(AGENT_LIBS) $(TEST_LIBS)
tests_agent_test_server_choice_SOURCES = tests/agent/test_server_choice.c
tests_agent_test_server_choice_LDADD = $(AGENT_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/agent/test_budget tests/agent/test_spool
TESTS += tests/agent/test_budget tests/agent/test_spool
tests_agent_test_budget_SOURCES = tests/agent/test_budget.c
tests_agent_test_budget_LDADD = $(AGENT_LIBS) $(TEST_LIBS)
tests_agent_test_spool_SOURCES = tests/agent/test_spool.c
tests_agent_test_spool_LDADD = $(AGENT_LIBS) $(TEST_LIBS)

# What the switch's own header says of rings, out of the patches.
EXTRA_DIST += tests/agent/ovs_layout.awk
CLEANFILES += tests/agent/ovs_layout.h
check_PROGRAMS += tests/agent/test_ring_layout
TESTS += tests/agent/test_ring_layout
tests_agent_test_ring_layout_SOURCES = tests/agent/test_ring_layout.c
nodist_tests_agent_test_ring_layout_SOURCES = tests/agent/ovs_layout.h
tests_agent_test_ring_layout_LDADD = $(AGENT_LIBS) $(TEST_LIBS)
tests/agent/test_ring_layout.$(OBJEXT): tests/agent/ovs_layout.h
tests/agent/ovs_layout.h: tests/agent/ovs_layout.awk ovs-patches/series
	$(AM_V_GEN)$(MKDIR_P) $(@D) && awk -f $(srcdir)/tests/agent/ovs_layout.awk \
	    $(srcdir)/ovs-patches/*.patch > $@.tmp && mv $@.tmp $@
