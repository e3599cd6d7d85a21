# SPDX-License-Identifier: Apache-2.0
# tests/recorder/

check_PROGRAMS += tests/recorder/test_discovery
TESTS += tests/recorder/test_discovery
tests_recorder_test_discovery_SOURCES = tests/recorder/test_discovery.c
tests_recorder_test_discovery_LDADD = recorder/librecorder.a $(LIB_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_tree
TESTS += tests/recorder/test_tree
tests_recorder_test_tree_SOURCES = tests/recorder/test_tree.c
tests_recorder_test_tree_LDADD = recorder/librecorder.a $(LIB_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_port_choice
TESTS += tests/recorder/test_port_choice
tests_recorder_test_port_choice_SOURCES = tests/recorder/test_port_choice.c
tests_recorder_test_port_choice_LDADD = recorder/librecorder.a $(LIB_LIBS) \
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

check_PROGRAMS += tests/recorder/test_postcard_rate
TESTS += tests/recorder/test_postcard_rate
tests_recorder_test_postcard_rate_SOURCES = \
	tests/recorder/test_postcard_rate.c
tests_recorder_test_postcard_rate_LDADD = recorder/librecorder.a \
	$(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_postcard_ports
TESTS += tests/recorder/test_postcard_ports
tests_recorder_test_postcard_ports_SOURCES = \
	tests/recorder/test_postcard_ports.c
tests_recorder_test_postcard_ports_LDADD = recorder/librecorder.a \
	$(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_selection
TESTS += tests/recorder/test_selection
tests_recorder_test_selection_SOURCES = tests/recorder/test_selection.c
tests_recorder_test_selection_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_why
TESTS += tests/recorder/test_of_why
tests_recorder_test_of_why_SOURCES = tests/recorder/test_of_why.c \
	tests/lib/frame.c tests/lib/frame.h
tests_recorder_test_of_why_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_past_worker
TESTS += tests/recorder/test_past_worker
tests_recorder_test_past_worker_SOURCES = tests/recorder/test_past_worker.c \
	tests/lib/flow_log_fixture.c tests/lib/flow_log_fixture.h \
	tests/lib/pump.c tests/lib/pump.h
tests_recorder_test_past_worker_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

# For a test that compares it with a switch.
check_PROGRAMS += tests/recorder/why_tool
tests_recorder_why_tool_SOURCES = tests/recorder/why_tool.c
tests_recorder_why_tool_LDADD = $(RECORDER_LIBS)

# A bridge, instr and a controller, for tests on a real switch.
check_PROGRAMS += tests/recorder/relay
tests_recorder_relay_SOURCES = tests/recorder/relay.c
tests_recorder_relay_LDADD = $(RECORDER_LIBS)

check_PROGRAMS += tests/recorder/test_of_inject
TESTS += tests/recorder/test_of_inject
tests_recorder_test_of_inject_SOURCES = tests/recorder/test_of_inject.c
tests_recorder_test_of_inject_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_conn
TESTS += tests/recorder/test_of_conn
tests_recorder_test_of_conn_SOURCES = tests/recorder/test_of_conn.c
tests_recorder_test_of_conn_LDADD = recorder/librecorder.a $(LIB_LIBS) \
	$(TLS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_flow_bytes
TESTS += tests/recorder/test_of_flow_bytes
tests_recorder_test_of_flow_bytes_SOURCES = \
	tests/recorder/test_of_flow_bytes.c
tests_recorder_test_of_flow_bytes_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_flow_like
TESTS += tests/recorder/test_of_flow_like
tests_recorder_test_of_flow_like_SOURCES = tests/recorder/test_of_flow_like.c
tests_recorder_test_of_flow_like_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_match_text
TESTS += tests/recorder/test_of_match_text
tests_recorder_test_of_match_text_SOURCES = tests/recorder/test_of_match_text.c
tests_recorder_test_of_match_text_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

# Names of libopenvswitch stay behind the door.
TESTS += tests/recorder/check_door.sh
EXTRA_DIST += tests/recorder/check_door.sh

check_PROGRAMS += tests/recorder/test_instr
TESTS += tests/recorder/test_instr
tests_recorder_test_instr_SOURCES = tests/recorder/test_instr.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_versions
TESTS += tests/recorder/test_instr_versions
tests_recorder_test_instr_versions_SOURCES = \
	tests/recorder/test_instr_versions.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_versions_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_burst
TESTS += tests/recorder/test_instr_burst
tests_recorder_test_instr_burst_SOURCES = tests/recorder/test_instr_burst.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_burst_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_counts
TESTS += tests/recorder/test_instr_counts
tests_recorder_test_instr_counts_SOURCES = \
	tests/recorder/test_instr_counts.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_counts_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_action
TESTS += tests/recorder/test_instr_action
tests_recorder_test_instr_action_SOURCES = \
	tests/recorder/test_instr_action.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_action_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_sets
TESTS += tests/recorder/test_instr_sets
tests_recorder_test_instr_sets_SOURCES = \
	tests/recorder/test_instr_sets.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_sets_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_expiry
TESTS += tests/recorder/test_instr_expiry
tests_recorder_test_instr_expiry_SOURCES = \
	tests/recorder/test_instr_expiry.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_expiry_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_order
TESTS += tests/recorder/test_instr_order
tests_recorder_test_instr_order_SOURCES = tests/recorder/test_instr_order.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_order_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_shadow
TESTS += tests/recorder/test_instr_shadow
tests_recorder_test_instr_shadow_SOURCES = tests/recorder/test_instr_shadow.c
tests_recorder_test_instr_shadow_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_steps
TESTS += tests/recorder/test_of_steps
tests_recorder_test_of_steps_SOURCES = tests/recorder/test_of_steps.c
tests_recorder_test_of_steps_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_monitor
TESTS += tests/recorder/test_of_monitor
tests_recorder_test_of_monitor_SOURCES = tests/recorder/test_of_monitor.c
tests_recorder_test_of_monitor_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_of_codec
TESTS += tests/recorder/test_of_codec
tests_recorder_test_of_codec_SOURCES = tests/recorder/test_of_codec.c
tests_recorder_test_of_codec_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

# Messages through instr, one by one.
check_PROGRAMS += tests/recorder/pass_messages
tests_recorder_pass_messages_SOURCES = tests/recorder/pass_messages.c
tests_recorder_pass_messages_LDADD = $(RECORDER_LIBS)
TESTS += tests/recorder/test_ofp_print.py
EXTRA_DIST += tests/recorder/test_ofp_print.py

check_PROGRAMS += tests/recorder/test_instr_objects
TESTS += tests/recorder/test_instr_objects
tests_recorder_test_instr_objects_SOURCES = \
	tests/recorder/test_instr_objects.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_objects_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_due
TESTS += tests/recorder/test_instr_due
tests_recorder_test_instr_due_SOURCES = \
	tests/recorder/test_instr_due.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_due_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_miss
TESTS += tests/recorder/test_instr_miss
tests_recorder_test_instr_miss_SOURCES = \
	tests/recorder/test_instr_miss.c \
	tests/recorder/fake_switch.c tests/recorder/fake_switch.h \
	tests/recorder/rig.c tests/recorder/rig.h
tests_recorder_test_instr_miss_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_instr_links
TESTS += tests/recorder/test_instr_links
tests_recorder_test_instr_links_SOURCES = tests/recorder/test_instr_links.c
tests_recorder_test_instr_links_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/recorder/test_collectors
TESTS += tests/recorder/test_collectors
tests_recorder_test_collectors_SOURCES = tests/recorder/test_collectors.c
tests_recorder_test_collectors_LDADD = $(RECORDER_LIBS) $(TEST_LIBS)
