# SPDX-License-Identifier: Apache-2.0
# tests/api/: the API as programs of others use it, with real servers.

# What links the shared library as others do.
CLIENT_SO = lib/liblasthop.so
CLIENT_RPATH = $(AM_LDFLAGS) -Wl,-rpath,$(abs_top_builddir)/lib

check_PROGRAMS += tests/api/test_client
TESTS += tests/api/test_client
tests_api_test_client_SOURCES = tests/api/test_client.c $(LIVE)
tests_api_test_client_LDADD = $(CLIENT_SO) $(SERVER_LIBS) $(TEST_LIBS)
tests_api_test_client_LDFLAGS = $(CLIENT_RPATH)
EXTRA_tests_api_test_client_DEPENDENCIES = bin/lasthop-server \
	lib/liblasthop.so.$(LASTHOP_SO) $(examples)

check_PROGRAMS += tests/api/test_client_missed
TESTS += tests/api/test_client_missed
tests_api_test_client_missed_SOURCES = tests/api/test_client_missed.c
tests_api_test_client_missed_LDADD = $(CLIENT_SO) $(LIB_LIBS) $(TEST_LIBS)
tests_api_test_client_missed_LDFLAGS = $(CLIENT_RPATH)
EXTRA_tests_api_test_client_missed_DEPENDENCIES = \
	lib/liblasthop.so.$(LASTHOP_SO)

check_PROGRAMS += tests/api/test_many_clients
TESTS += tests/api/test_many_clients
tests_api_test_many_clients_SOURCES = tests/api/test_many_clients.c $(LIVE)
tests_api_test_many_clients_LDADD = $(CLIENT_SO) $(SERVER_LIBS) $(TEST_LIBS)
tests_api_test_many_clients_LDFLAGS = $(CLIENT_RPATH)
EXTRA_tests_api_test_many_clients_DEPENDENCIES = bin/lasthop-server \
	lib/liblasthop.so.$(LASTHOP_SO)

check_PROGRAMS += tests/api/test_access
TESTS += tests/api/test_access
tests_api_test_access_SOURCES = tests/api/test_access.c $(LIVE)
tests_api_test_access_LDADD = $(CLIENT_SO) $(SERVER_LIBS) $(TEST_LIBS)
tests_api_test_access_LDFLAGS = $(CLIENT_RPATH)
EXTRA_tests_api_test_access_DEPENDENCIES = bin/lasthop-server \
	lib/liblasthop.so.$(LASTHOP_SO)

check_PROGRAMS += tests/api/test_clocks
TESTS += tests/api/test_clocks
tests_api_test_clocks_SOURCES = tests/api/test_clocks.c $(AGENT_TALK) $(LIVE)
tests_api_test_clocks_LDADD = $(CLIENT_SO) $(SERVER_LIBS) $(TEST_LIBS)
tests_api_test_clocks_LDFLAGS = $(CLIENT_RPATH)
EXTRA_tests_api_test_clocks_DEPENDENCIES = bin/lasthop-server bin/netshark \
	lib/liblasthop.so.$(LASTHOP_SO)

# The examples of liblasthop(3) see its header and nothing else of ours.
examples = docs/examples/drops docs/examples/follow docs/examples/rates
check_PROGRAMS += $(examples)
docs_examples_drops_SOURCES = docs/examples/drops.c
docs_examples_drops_LDADD = $(CLIENT_SO)
docs_examples_drops_LDFLAGS = $(CLIENT_RPATH)
docs_examples_follow_SOURCES = docs/examples/follow.c
docs_examples_follow_LDADD = $(CLIENT_SO) $(EVENT_LIBS)
docs_examples_follow_LDFLAGS = $(CLIENT_RPATH)
docs_examples_rates_SOURCES = docs/examples/rates.c
docs_examples_rates_LDADD = $(CLIENT_SO)
docs_examples_rates_LDFLAGS = $(CLIENT_RPATH)

TESTS += tests/api/check_library.sh
EXTRA_DIST += tests/api/check_library.sh

TESTS += tests/api/test_metrics.py
EXTRA_DIST += tests/api/test_metrics.py
TESTS += tests/api/test_apps_tls.py
EXTRA_DIST += tests/api/test_apps_tls.py
TESTS += tests/api/test_ctl.sh
EXTRA_DIST += tests/api/test_ctl.sh
TESTS += tests/api/test_schema.py
EXTRA_DIST += tests/api/test_schema.py docs/api.schema.json
TESTS += tests/api/test_socket_group.py
EXTRA_DIST += tests/api/test_socket_group.py
