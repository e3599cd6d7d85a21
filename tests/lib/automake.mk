# SPDX-License-Identifier: Apache-2.0
# tests/lib/

# frame: packets for tests.
FRAME = tests/lib/frame.c tests/lib/frame.h

# agent_batch: postcards packed.
check_PROGRAMS += tests/lib/test_agent_batch
TESTS += tests/lib/test_agent_batch
tests_lib_test_agent_batch_SOURCES = tests/lib/test_agent_batch.c
tests_lib_test_agent_batch_LDADD = $(LIB_LIBS) $(TEST_LIBS)

# agent_frame: frames between agent and server.
check_PROGRAMS += tests/lib/test_agent_frame
TESTS += tests/lib/test_agent_frame
tests_lib_test_agent_frame_SOURCES = tests/lib/test_agent_frame.c \
	tests/lib/golden.c tests/lib/golden.h
tests_lib_test_agent_frame_LDADD = $(LIB_LIBS) $(TEST_LIBS)

# bus: NATS, with a server of the test's own.
NATS_FIXTURE = tests/lib/nats_fixture.c tests/lib/nats_fixture.h
check_PROGRAMS += tests/lib/test_bus
TESTS += tests/lib/test_bus
tests_lib_test_bus_SOURCES = tests/lib/test_bus.c $(NATS_FIXTURE)
tests_lib_test_bus_LDADD = $(BUS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_bus_kv
TESTS += tests/lib/test_bus_kv
tests_lib_test_bus_kv_SOURCES = tests/lib/test_bus_kv.c $(NATS_FIXTURE)
tests_lib_test_bus_kv_LDADD = $(BUS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_bus_pull
TESTS += tests/lib/test_bus_pull
tests_lib_test_bus_pull_SOURCES = tests/lib/test_bus_pull.c $(NATS_FIXTURE)
tests_lib_test_bus_pull_LDADD = $(BUS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_bus_sweep
TESTS += tests/lib/test_bus_sweep
tests_lib_test_bus_sweep_SOURCES = tests/lib/test_bus_sweep.c $(NATS_FIXTURE)
tests_lib_test_bus_sweep_LDADD = $(BUS_LIBS) $(TEST_LIBS)

# card_batch: postcards packed for a cluster.
check_PROGRAMS += tests/lib/test_card_batch
TESTS += tests/lib/test_card_batch
tests_lib_test_card_batch_SOURCES = tests/lib/test_card_batch.c \
	tests/lib/card_sample.c tests/lib/card_sample.h
tests_lib_test_card_batch_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_card_flows
TESTS += tests/lib/test_card_flows
tests_lib_test_card_flows_SOURCES = tests/lib/test_card_flows.c
tests_lib_test_card_flows_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_bus_tls
TESTS += tests/lib/test_bus_tls
tests_lib_test_bus_tls_SOURCES = tests/lib/test_bus_tls.c $(NATS_FIXTURE)
tests_lib_test_bus_tls_LDADD = $(BUS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_bus_urls
TESTS += tests/lib/test_bus_urls
tests_lib_test_bus_urls_SOURCES = tests/lib/test_bus_urls.c
tests_lib_test_bus_urls_LDADD = $(BUS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_bytes
TESTS += tests/lib/test_bytes
tests_lib_test_bytes_SOURCES = tests/lib/test_bytes.c
tests_lib_test_bytes_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_block_index
TESTS += tests/lib/test_block_index
tests_lib_test_block_index_SOURCES = tests/lib/test_block_index.c
tests_lib_test_block_index_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_hop_template
TESTS += tests/lib/test_hop_template
tests_lib_test_hop_template_SOURCES = tests/lib/test_hop_template.c
tests_lib_test_hop_template_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_nearest
TESTS += tests/lib/test_nearest
tests_lib_test_nearest_SOURCES = tests/lib/test_nearest.c
tests_lib_test_nearest_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_pcapng
TESTS += tests/lib/test_pcapng
tests_lib_test_pcapng_SOURCES = tests/lib/test_pcapng.c \
	tests/lib/golden.c tests/lib/golden.h
tests_lib_test_pcapng_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_hdr
TESTS += tests/lib/test_hdr
tests_lib_test_hdr_SOURCES = tests/lib/test_hdr.c $(FRAME)
tests_lib_test_hdr_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_packet_id
TESTS += tests/lib/test_packet_id
tests_lib_test_packet_id_SOURCES = tests/lib/test_packet_id.c $(FRAME)
tests_lib_test_packet_id_LDADD = $(LIB_LIBS) $(TEST_LIBS)
EXTRA_DIST += tests/lib/vectors/packet-id.txt

check_PROGRAMS += tests/lib/test_rule
TESTS += tests/lib/test_rule
tests_lib_test_rule_SOURCES = tests/lib/test_rule.c
tests_lib_test_rule_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_postcard_geneve
TESTS += tests/lib/test_postcard_geneve
tests_lib_test_postcard_geneve_SOURCES = tests/lib/test_postcard_geneve.c \
	$(FRAME)
tests_lib_test_postcard_geneve_LDADD = $(LIB_LIBS) $(TEST_LIBS)
EXTRA_DIST += tests/lib/vectors/postcard-geneve.txt

check_PROGRAMS += tests/lib/test_postcard_mac
TESTS += tests/lib/test_postcard_mac
tests_lib_test_postcard_mac_SOURCES = tests/lib/test_postcard_mac.c $(FRAME)
tests_lib_test_postcard_mac_LDADD = $(LIB_LIBS) $(TEST_LIBS)
EXTRA_DIST += tests/lib/vectors/postcard-mac.txt
check_PROGRAMS += tests/lib/test_flow_log tests/lib/test_flow_log_disk
TESTS += tests/lib/test_flow_log tests/lib/test_flow_log_disk
tests_lib_test_flow_log_SOURCES = tests/lib/test_flow_log.c \
	tests/lib/flow_log_fixture.c tests/lib/flow_log_fixture.h
tests_lib_test_flow_log_LDADD = $(LIB_LIBS) $(TEST_LIBS)
tests_lib_test_flow_log_disk_SOURCES = tests/lib/test_flow_log_disk.c \
	tests/lib/flow_log_fixture.c tests/lib/flow_log_fixture.h
tests_lib_test_flow_log_disk_LDADD = $(LIB_LIBS) $(TEST_LIBS)
check_PROGRAMS += tests/lib/test_flow_log_states
TESTS += tests/lib/test_flow_log_states
tests_lib_test_flow_log_states_SOURCES = tests/lib/test_flow_log_states.c \
	tests/lib/flow_log_fixture.c tests/lib/flow_log_fixture.h
tests_lib_test_flow_log_states_LDADD = $(LIB_LIBS) $(TEST_LIBS)
check_PROGRAMS += tests/lib/test_flow_log_migrate
TESTS += tests/lib/test_flow_log_migrate
tests_lib_test_flow_log_migrate_SOURCES = tests/lib/test_flow_log_migrate.c \
	tests/lib/golden.c tests/lib/golden.h \
	tests/lib/flow_log_fixture.c tests/lib/flow_log_fixture.h
tests_lib_test_flow_log_migrate_LDADD = $(LIB_LIBS) $(TEST_LIBS)
# random_history: histories for tests.
RANDOM_HISTORY = tests/lib/random_history.c tests/lib/random_history.h

check_PROGRAMS += tests/lib/test_byte_buf
TESTS += tests/lib/test_byte_buf
tests_lib_test_byte_buf_SOURCES = tests/lib/test_byte_buf.c
tests_lib_test_byte_buf_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_history_codec
TESTS += tests/lib/test_history_codec
tests_lib_test_history_codec_SOURCES = tests/lib/test_history_codec.c \
	$(RANDOM_HISTORY)
tests_lib_test_history_codec_LDADD = $(LIB_LIBS) $(TEST_LIBS)

# way: packets on one way, and their histories.
WAY = tests/lib/way.c tests/lib/way.h $(FRAME) $(RANDOM_HISTORY)

check_PROGRAMS += tests/lib/test_trajectory
TESTS += tests/lib/test_trajectory
tests_lib_test_trajectory_SOURCES = tests/lib/test_trajectory.c $(WAY)
tests_lib_test_trajectory_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_trajectory_path_brief
TESTS += tests/lib/test_trajectory_path_brief
tests_lib_test_trajectory_path_brief_SOURCES = \
	tests/lib/test_trajectory_path_brief.c $(WAY)
tests_lib_test_trajectory_path_brief_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_trajectory_columns
TESTS += tests/lib/test_trajectory_columns
tests_lib_test_trajectory_columns_SOURCES = \
	tests/lib/test_trajectory_columns.c $(WAY)
tests_lib_test_trajectory_columns_LDADD = $(LIB_LIBS) $(TEST_LIBS)

# archive_fixture: directories with archives in them.
ARCHIVE_FIXTURE = tests/lib/archive_fixture.c tests/lib/archive_fixture.h \
	$(RANDOM_HISTORY)

check_PROGRAMS += tests/lib/test_archive
TESTS += tests/lib/test_archive
tests_lib_test_archive_SOURCES = tests/lib/test_archive.c $(ARCHIVE_FIXTURE)
tests_lib_test_archive_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_part
TESTS += tests/lib/test_archive_part
tests_lib_test_archive_part_SOURCES = tests/lib/test_archive_part.c \
	$(ARCHIVE_FIXTURE)
tests_lib_test_archive_part_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_damage
TESTS += tests/lib/test_archive_damage
tests_lib_test_archive_damage_SOURCES = tests/lib/test_archive_damage.c \
	$(ARCHIVE_FIXTURE)
tests_lib_test_archive_damage_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_bad_files
TESTS += tests/lib/test_archive_bad_files
tests_lib_test_archive_bad_files_SOURCES = \
	tests/lib/test_archive_bad_files.c $(ARCHIVE_FIXTURE)
tests_lib_test_archive_bad_files_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_merge
TESTS += tests/lib/test_archive_merge
tests_lib_test_archive_merge_SOURCES = tests/lib/test_archive_merge.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_lib_test_archive_merge_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_sample_tally
TESTS += tests/lib/test_sample_tally
tests_lib_test_sample_tally_SOURCES = tests/lib/test_sample_tally.c
tests_lib_test_sample_tally_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_sums
TESTS += tests/lib/test_archive_sums
tests_lib_test_archive_sums_SOURCES = tests/lib/test_archive_sums.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_lib_test_archive_sums_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_block_sums
TESTS += tests/lib/test_block_sums
tests_lib_test_block_sums_SOURCES = tests/lib/test_block_sums.c \
	$(FLOW_FIXTURE)
tests_lib_test_block_sums_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_golden
TESTS += tests/lib/test_archive_golden
tests_lib_test_archive_golden_SOURCES = tests/lib/test_archive_golden.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_lib_test_archive_golden_LDADD = $(LIB_LIBS) $(TEST_LIBS)
EXTRA_DIST += tests/lib/golden
# pump: an event loop and a raw client in one thread.
PUMP = tests/lib/pump.c tests/lib/pump.h

check_PROGRAMS += tests/lib/test_api_server
TESTS += tests/lib/test_api_server
tests_lib_test_api_server_SOURCES = tests/lib/test_api_server.c $(PUMP)
tests_lib_test_api_server_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_api_client
TESTS += tests/lib/test_api_client
tests_lib_test_api_client_SOURCES = tests/lib/test_api_client.c
tests_lib_test_api_client_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_api_link
TESTS += tests/lib/test_api_link
tests_lib_test_api_link_SOURCES = tests/lib/test_api_link.c $(PUMP)
tests_lib_test_api_link_LDADD = $(LIB_LIBS) $(TEST_LIBS)

# golden: known output; its files are in tests/lib/golden/.
GOLDEN = tests/lib/golden.c tests/lib/golden.h
EXTRA_DIST += tests/lib/golden

check_PROGRAMS += tests/lib/test_crew
TESTS += tests/lib/test_crew
tests_lib_test_crew_SOURCES = tests/lib/test_crew.c
tests_lib_test_crew_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_file_map
TESTS += tests/lib/test_file_map
tests_lib_test_file_map_SOURCES = tests/lib/test_file_map.c
tests_lib_test_file_map_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_dpid
TESTS += tests/lib/test_dpid
tests_lib_test_dpid_SOURCES = tests/lib/test_dpid.c
tests_lib_test_dpid_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_topology
TESTS += tests/lib/test_topology
tests_lib_test_topology_SOURCES = tests/lib/test_topology.c $(GOLDEN)
tests_lib_test_topology_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_line_reader
TESTS += tests/lib/test_line_reader
tests_lib_test_line_reader_SOURCES = tests/lib/test_line_reader.c
tests_lib_test_line_reader_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_time_spec
TESTS += tests/lib/test_time_spec
tests_lib_test_time_spec_SOURCES = tests/lib/test_time_spec.c
tests_lib_test_time_spec_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_say
TESTS += tests/lib/test_say
tests_lib_test_say_SOURCES = tests/lib/test_say.c
tests_lib_test_say_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_rule_apply
TESTS += tests/lib/test_rule_apply
tests_lib_test_rule_apply_SOURCES = tests/lib/test_rule_apply.c $(FRAME)
tests_lib_test_rule_apply_LDADD = $(LIB_LIBS) $(TEST_LIBS)
# sample_history: histories of a small network.
SAMPLE_HISTORY = tests/lib/sample_history.c tests/lib/sample_history.h $(FRAME)

check_PROGRAMS += tests/lib/test_history
TESTS += tests/lib/test_history
tests_lib_test_history_SOURCES = tests/lib/test_history.c $(GOLDEN) \
	$(SAMPLE_HISTORY)
tests_lib_test_history_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_hdr_text
TESTS += tests/lib/test_hdr_text
tests_lib_test_hdr_text_SOURCES = tests/lib/test_hdr_text.c $(FRAME)
tests_lib_test_hdr_text_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_history_text
TESTS += tests/lib/test_history_text
tests_lib_test_history_text_SOURCES = tests/lib/test_history_text.c \
	$(GOLDEN) $(SAMPLE_HISTORY)
tests_lib_test_history_text_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_hdr_traces
TESTS += tests/lib/test_hdr_traces
tests_lib_test_hdr_traces_SOURCES = tests/lib/test_hdr_traces.c
tests_lib_test_hdr_traces_LDADD = $(LIB_LIBS) $(TEST_LIBS) $(PCAP_LIBS)

# For tests/net/test_rule_apply.py.
check_PROGRAMS += tests/lib/rule_apply_tool
tests_lib_rule_apply_tool_SOURCES = tests/lib/rule_apply_tool.c
tests_lib_rule_apply_tool_LDADD = $(LIB_LIBS)

# flow_fixture: packets of flows on their ways.
FLOW_FIXTURE = tests/lib/flow_fixture.c tests/lib/flow_fixture.h \
	$(FRAME) $(RANDOM_HISTORY)

# history_batch: histories packed for the bus.
check_PROGRAMS += tests/lib/test_history_batch
TESTS += tests/lib/test_history_batch
tests_lib_test_history_batch_SOURCES = tests/lib/test_history_batch.c \
	$(FLOW_FIXTURE)
tests_lib_test_history_batch_LDADD = $(LIB_LIBS) $(TEST_LIBS)

# flow_block: a block of columns of such packets.
FLOW_BLOCK = tests/lib/flow_block.c tests/lib/flow_block.h $(FLOW_FIXTURE)

check_PROGRAMS += tests/lib/test_trajectory_skim
TESTS += tests/lib/test_trajectory_skim
tests_lib_test_trajectory_skim_SOURCES = tests/lib/test_trajectory_skim.c \
	$(FLOW_BLOCK)
tests_lib_test_trajectory_skim_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_cut
TESTS += tests/lib/test_archive_cut
tests_lib_test_archive_cut_SOURCES = tests/lib/test_archive_cut.c \
	$(ARCHIVE_FIXTURE)
tests_lib_test_archive_cut_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_archive_fetch
TESTS += tests/lib/test_archive_fetch
tests_lib_test_archive_fetch_SOURCES = tests/lib/test_archive_fetch.c \
	$(ARCHIVE_FIXTURE)
tests_lib_test_archive_fetch_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_flow_words
TESTS += tests/lib/test_flow_words
tests_lib_test_flow_words_SOURCES = tests/lib/test_flow_words.c $(WAY)
tests_lib_test_flow_words_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_shape_memo
TESTS += tests/lib/test_shape_memo
tests_lib_test_shape_memo_SOURCES = tests/lib/test_shape_memo.c
tests_lib_test_shape_memo_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_history_columns
TESTS += tests/lib/test_history_columns
tests_lib_test_history_columns_SOURCES = tests/lib/test_history_columns.c \
	$(FLOW_FIXTURE)
tests_lib_test_history_columns_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_copy_gate
TESTS += tests/lib/test_copy_gate
tests_lib_test_copy_gate_SOURCES = tests/lib/test_copy_gate.c \
	tests/lib/random_history.c tests/lib/random_history.h
tests_lib_test_copy_gate_LDADD = $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/lib/test_rendezvous
TESTS += tests/lib/test_rendezvous
tests_lib_test_rendezvous_SOURCES = tests/lib/test_rendezvous.c
tests_lib_test_rendezvous_LDADD = $(LIB_LIBS) $(TEST_LIBS)
