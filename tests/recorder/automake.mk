# SPDX-License-Identifier: Apache-2.0
# tests/recorder/

check_PROGRAMS += tests/recorder/test_discovery
TESTS += tests/recorder/test_discovery
tests_recorder_test_discovery_SOURCES = tests/recorder/test_discovery.c
tests_recorder_test_discovery_LDADD = recorder/librecorder.a $(LIB_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_framing
TESTS += tests/recorder/test_of_framing
tests_recorder_test_of_framing_SOURCES = tests/recorder/test_of_framing.c
tests_recorder_test_of_framing_LDADD = recorder/librecorder.a $(LIB_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_xid_map
TESTS += tests/recorder/test_xid_map
tests_recorder_test_xid_map_SOURCES = tests/recorder/test_xid_map.c
tests_recorder_test_xid_map_LDADD = recorder/librecorder.a $(LIB_LIBS) \
	$(TEST_LIBS)

# A bridge, instr and a controller, for tests on a real switch.
check_PROGRAMS += tests/recorder/relay
tests_recorder_relay_SOURCES = tests/recorder/relay.c
tests_recorder_relay_LDADD = $(RECORDER_LIBS)
