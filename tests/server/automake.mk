# SPDX-License-Identifier: Apache-2.0
# tests/server/

# oracle: packets whose true histories are known.
ORACLE = \
	tests/server/oracle.c tests/server/oracle.h \
	tests/server/oracle_check.c tests/server/oracle_check.h \
	tests/server/oracle_dump.c \
	$(FRAME)

check_PROGRAMS += tests/server/test_assemble_oracle
TESTS += tests/server/test_assemble_oracle
tests_server_test_assemble_oracle_SOURCES = \
	tests/server/test_assemble_oracle.c $(ORACLE)
tests_server_test_assemble_oracle_LDADD = \
	$(ASSEMBLE_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_stream_oracle
TESTS += tests/server/test_stream_oracle
tests_server_test_stream_oracle_SOURCES = \
	tests/server/test_stream_oracle.c $(ORACLE)
tests_server_test_stream_oracle_LDADD = \
	$(ASSEMBLE_LIBS) $(GEN_LIBS) $(TEST_LIBS)

# sketch: postcards written down by hand.
SKETCH = tests/server/sketch.c tests/server/sketch.h $(FRAME)

check_PROGRAMS += tests/server/test_assemble
TESTS += tests/server/test_assemble
tests_server_test_assemble_SOURCES = tests/server/test_assemble.c $(SKETCH)
tests_server_test_assemble_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_assemble_paths
TESTS += tests/server/test_assemble_paths
tests_server_test_assemble_paths_SOURCES = \
	tests/server/test_assemble_paths.c $(SKETCH)
tests_server_test_assemble_paths_LDADD = \
	$(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_path_closed
TESTS += tests/server/test_path_closed
tests_server_test_path_closed_SOURCES = tests/server/test_path_closed.c
tests_server_test_path_closed_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_loss_ledger
TESTS += tests/server/test_loss_ledger
tests_server_test_loss_ledger_SOURCES = tests/server/test_loss_ledger.c
tests_server_test_loss_ledger_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

# split_lab: a stage-1 shard of a cluster in a laboratory.
SPLIT_LAB = tests/server/split_lab.c tests/server/split_lab.h \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h

check_PROGRAMS += tests/server/test_cluster_split
TESTS += tests/server/test_cluster_split
tests_server_test_cluster_split_SOURCES = \
	tests/server/test_cluster_split.c $(SPLIT_LAB)
tests_server_test_cluster_split_LDADD = \
	$(SERVER_LIBS) $(BUS_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_mend
TESTS += tests/server/test_cluster_mend
tests_server_test_cluster_mend_SOURCES = \
	tests/server/test_cluster_mend.c $(SPLIT_LAB)
tests_server_test_cluster_mend_LDADD = \
	$(SERVER_LIBS) $(BUS_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_doubles
TESTS += tests/server/test_cluster_doubles
tests_server_test_cluster_doubles_SOURCES = \
	tests/server/test_cluster_doubles.c
tests_server_test_cluster_doubles_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_tally
TESTS += tests/server/test_cluster_tally
tests_server_test_cluster_tally_SOURCES = tests/server/test_cluster_tally.c
tests_server_test_cluster_tally_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_book
TESTS += tests/server/test_cluster_book
tests_server_test_cluster_book_SOURCES = tests/server/test_cluster_book.c
tests_server_test_cluster_book_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_wants
TESTS += tests/server/test_cluster_wants
tests_server_test_cluster_wants_SOURCES = tests/server/test_cluster_wants.c
tests_server_test_cluster_wants_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_merge
TESTS += tests/server/test_cluster_merge
tests_server_test_cluster_merge_SOURCES = tests/server/test_cluster_merge.c
tests_server_test_cluster_merge_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_ahead
TESTS += tests/server/test_cluster_ahead
tests_server_test_cluster_ahead_SOURCES = tests/server/test_cluster_ahead.c
tests_server_test_cluster_ahead_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_path_table_open
TESTS += tests/server/test_path_table_open
tests_server_test_path_table_open_SOURCES = \
	tests/server/test_path_table_open.c
tests_server_test_path_table_open_LDADD = \
	$(ASSEMBLE_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_path_moments
TESTS += tests/server/test_path_moments
tests_server_test_path_moments_SOURCES = \
	tests/server/test_path_moments.c \
	tests/server/sketch.c tests/server/sketch.h $(FRAME)
tests_server_test_path_moments_LDADD = \
	$(ASSEMBLE_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_path_table
TESTS += tests/server/test_path_table
tests_server_test_path_table_SOURCES = \
	tests/server/test_path_table.c \
	tests/server/sketch.c tests/server/sketch.h $(ORACLE)
tests_server_test_path_table_LDADD = $(ASSEMBLE_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_links_change
TESTS += tests/server/test_links_change
tests_server_test_links_change_SOURCES = \
	tests/server/test_links_change.c $(SKETCH)
tests_server_test_links_change_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_assemble_whole
TESTS += tests/server/test_assemble_whole
tests_server_test_assemble_whole_SOURCES = \
	tests/server/test_assemble_whole.c $(SKETCH)
tests_server_test_assemble_whole_LDADD = \
	$(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_clock_offset
TESTS += tests/server/test_clock_offset
tests_server_test_clock_offset_SOURCES = tests/server/test_clock_offset.c
tests_server_test_clock_offset_LDADD = \
	$(SERVER_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_hostile
TESTS += tests/server/test_hostile
tests_server_test_hostile_SOURCES = tests/server/test_hostile.c $(SKETCH)
tests_server_test_hostile_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_trajectory_cache
TESTS += tests/server/test_trajectory_cache
tests_server_test_trajectory_cache_SOURCES = \
	tests/server/test_trajectory_cache.c $(ORACLE) $(RANDOM_HISTORY)
tests_server_test_trajectory_cache_LDADD = \
	$(ASSEMBLE_LIBS) $(GEN_LIBS) $(TEST_LIBS)

# random_filter: filters by chance.
RANDOM_FILTER = tests/server/random_filter.c tests/server/random_filter.h

check_PROGRAMS += tests/server/test_live_filters
TESTS += tests/server/test_live_filters
tests_server_test_live_filters_SOURCES = \
	tests/server/test_live_filters.c $(ORACLE) $(RANDOM_FILTER)
tests_server_test_live_filters_LDADD = \
	$(ASSEMBLE_LIBS) phf/libphf.a $(GEN_LIBS) $(PCAP_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_stored_filters
TESTS += tests/server/test_stored_filters
tests_server_test_stored_filters_SOURCES = \
	tests/server/test_stored_filters.c $(RANDOM_FILTER) $(ARCHIVE_FIXTURE)
tests_server_test_stored_filters_LDADD = \
	$(SERVER_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_pipeline_threads
TESTS += tests/server/test_pipeline_threads
tests_server_test_pipeline_threads_SOURCES = \
	tests/server/test_pipeline_threads.c $(ARCHIVE_FIXTURE)
tests_server_test_pipeline_threads_LDADD = \
	$(SERVER_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_assemble_mac
TESTS += tests/server/test_assemble_mac
tests_server_test_assemble_mac_SOURCES = \
	tests/server/test_assemble_mac.c $(FRAME)
tests_server_test_assemble_mac_LDADD = \
	$(ASSEMBLE_LIBS) $(LIB_LIBS) $(TEST_LIBS)

# scene: a small network and its postcards.
SCENE = tests/server/scene.c tests/server/scene.h $(FRAME)

check_PROGRAMS += tests/server/test_server_read
TESTS += tests/server/test_server_read
tests_server_test_server_read_SOURCES = tests/server/test_server_read.c \
	$(SCENE) $(ARCHIVE_FIXTURE)
tests_server_test_server_read_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_server_read_DEPENDENCIES = bin/lasthop-server

# live: a running server.
LIVE = tests/server/live.c tests/server/live.h $(SCENE) $(ARCHIVE_FIXTURE)

check_PROGRAMS += tests/server/test_server_live
TESTS += tests/server/test_server_live
tests_server_test_server_live_SOURCES = tests/server/test_server_live.c $(LIVE)
tests_server_test_server_live_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_server_live_DEPENDENCIES = bin/lasthop-server

AGENT_TALK = tests/server/agent_talk.c tests/server/agent_talk.h

check_PROGRAMS += tests/server/test_agent_notes
TESTS += tests/server/test_agent_notes
tests_server_test_agent_notes_SOURCES = \
	tests/server/test_agent_notes.c $(AGENT_TALK) $(LIVE)
tests_server_test_agent_notes_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_agent_notes_DEPENDENCIES = bin/lasthop-server

check_PROGRAMS += tests/server/test_source_agent
TESTS += tests/server/test_source_agent
tests_server_test_source_agent_SOURCES = \
	tests/server/test_source_agent.c $(AGENT_TALK) $(LIVE)
tests_server_test_source_agent_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_source_agent_DEPENDENCIES = bin/lasthop-server

check_PROGRAMS += tests/server/test_agents_safe
TESTS += tests/server/test_agents_safe
tests_server_test_agents_safe_SOURCES = \
	tests/server/test_agents_safe.c $(AGENT_TALK) $(LIVE)
tests_server_test_agents_safe_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_agents_cluster
TESTS += tests/server/test_agents_cluster
tests_server_test_agents_cluster_SOURCES = \
	tests/server/test_agents_cluster.c $(AGENT_TALK) $(LIVE) \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_agents_cluster_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_agents_cluster_DEPENDENCIES = bin/lasthop-server

# The same verdicts as of one server.
check_PROGRAMS += tests/server/test_agents_verdicts
TESTS += tests/server/test_agents_verdicts
tests_server_test_agents_verdicts_SOURCES = \
	tests/server/test_agents_verdicts.c $(AGENT_TALK) $(LIVE) \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_agents_verdicts_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_agents_verdicts_DEPENDENCIES = bin/lasthop-server

check_PROGRAMS += tests/server/test_server_clients
TESTS += tests/server/test_server_clients
tests_server_test_server_clients_SOURCES = \
	tests/server/test_server_clients.c $(LIVE)
tests_server_test_server_clients_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_server_clients_DEPENDENCIES = bin/lasthop-server

# shard_lease: several processes, a nats-server of the test's own.
check_PROGRAMS += tests/server/test_shard_lease
TESTS += tests/server/test_shard_lease
tests_server_test_shard_lease_SOURCES = tests/server/test_shard_lease.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_shard_lease_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

# cluster_accept: which histories of a cluster are archived.
check_PROGRAMS += tests/server/test_cluster_accept
TESTS += tests/server/test_cluster_accept
tests_server_test_cluster_accept_SOURCES = \
	tests/server/test_cluster_accept.c \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_accept_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_store_span
TESTS += tests/server/test_store_span
tests_server_test_store_span_SOURCES = tests/server/test_store_span.c \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_store_span_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_shard_divide
TESTS += tests/server/test_shard_divide
tests_server_test_shard_divide_SOURCES = tests/server/test_shard_divide.c
tests_server_test_shard_divide_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_store_vouch
TESTS += tests/server/test_store_vouch
tests_server_test_store_vouch_SOURCES = tests/server/test_store_vouch.c \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_store_vouch_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_sent
TESTS += tests/server/test_cluster_sent
tests_server_test_cluster_sent_SOURCES = \
	tests/server/test_cluster_sent.c \
	tests/server/store_fixture.c tests/server/store_fixture.h \
	tests/server/store_owner.c tests/server/store_owner.h \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_sent_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_store
TESTS += tests/server/test_cluster_store
tests_server_test_cluster_store_SOURCES = \
	tests/server/test_cluster_store.c \
	tests/server/store_fixture.c tests/server/store_fixture.h \
	tests/server/store_owner.c tests/server/store_owner.h \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_store_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_store_stream
TESTS += tests/server/test_cluster_store_stream
tests_server_test_cluster_store_stream_SOURCES = \
	tests/server/test_cluster_store_stream.c \
	tests/server/store_fixture.c tests/server/store_fixture.h \
	tests/server/store_owner.c tests/server/store_owner.h \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_store_stream_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_door_message
TESTS += tests/server/test_door_message
tests_server_test_door_message_SOURCES = tests/server/test_door_message.c
tests_server_test_door_message_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_gaps
TESTS += tests/server/test_cluster_gaps
tests_server_test_cluster_gaps_SOURCES = tests/server/test_cluster_gaps.c
tests_server_test_cluster_gaps_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_store_copies
TESTS += tests/server/test_cluster_store_copies
tests_server_test_cluster_store_copies_SOURCES = \
	tests/server/test_cluster_store_copies.c \
	tests/server/store_fixture.c tests/server/store_fixture.h \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_store_copies_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_snapshot
TESTS += tests/server/test_cluster_snapshot
tests_server_test_cluster_snapshot_SOURCES = \
	tests/server/test_cluster_snapshot.c \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_snapshot_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_shard_commit
TESTS += tests/server/test_shard_commit
tests_server_test_shard_commit_SOURCES = tests/server/test_shard_commit.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_shard_commit_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_three_nodes
TESTS += tests/server/test_three_nodes
tests_server_test_three_nodes_SOURCES = tests/server/test_three_nodes.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_three_nodes_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

# cluster_door: postcards on the bus.
DOOR_FIXTURE = tests/server/door_fixture.c tests/server/door_fixture.h \
	$(FRAME) tests/lib/nats_fixture.c tests/lib/nats_fixture.h
check_PROGRAMS += tests/server/test_cluster_door
TESTS += tests/server/test_cluster_door
tests_server_test_cluster_door_SOURCES = tests/server/test_cluster_door.c \
	$(DOOR_FIXTURE)
tests_server_test_cluster_door_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_door_trouble
TESTS += tests/server/test_cluster_door_trouble
tests_server_test_cluster_door_trouble_SOURCES = \
	tests/server/test_cluster_door_trouble.c $(DOOR_FIXTURE)
tests_server_test_cluster_door_trouble_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)


check_PROGRAMS += tests/server/test_server_killed
TESTS += tests/server/test_server_killed
tests_server_test_server_killed_SOURCES = \
	tests/server/test_server_killed.c $(LIVE)
tests_server_test_server_killed_LDADD = \
	$(SERVER_LIBS) $(GEN_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_server_killed_DEPENDENCIES = bin/lasthop-server \
	bin/lasthopctl

check_PROGRAMS += tests/server/test_server_recorder
TESTS += tests/server/test_server_recorder
tests_server_test_server_recorder_SOURCES = \
	tests/server/test_server_recorder.c \
	tests/server/fake_recorder.c tests/server/fake_recorder.h $(LIVE)
tests_server_test_server_recorder_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_server_recorder_DEPENDENCIES = bin/lasthop-server

TESTS += tests/server/test_server_threads.sh
EXTRA_DIST += tests/server/test_server_threads.sh

check_PROGRAMS += tests/server/test_rule_cache
TESTS += tests/server/test_rule_cache
tests_server_test_rule_cache_SOURCES = tests/server/test_rule_cache.c
tests_server_test_rule_cache_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_ingest
TESTS += tests/server/test_ingest
tests_server_test_ingest_SOURCES = tests/server/test_ingest.c $(SCENE)
tests_server_test_ingest_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_pcap_file
TESTS += tests/server/test_pcap_file
tests_server_test_pcap_file_SOURCES = tests/server/test_pcap_file.c
tests_server_test_pcap_file_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_source_udp
TESTS += tests/server/test_source_udp
tests_server_test_source_udp_SOURCES = tests/server/test_source_udp.c
tests_server_test_source_udp_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_shares
TESTS += tests/server/test_shares
tests_server_test_shares_SOURCES = tests/server/test_shares.c
tests_server_test_shares_LDADD = $(SERVER_LIBS) $(GEN_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_live_threads
TESTS += tests/server/test_live_threads
tests_server_test_live_threads_SOURCES = \
	tests/server/test_live_threads.c $(LIVE)
tests_server_test_live_threads_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
EXTRA_tests_server_test_live_threads_DEPENDENCIES = bin/lasthop-server

check_PROGRAMS += tests/server/test_store_disk
TESTS += tests/server/test_store_disk
tests_server_test_store_disk_SOURCES = tests/server/test_store_disk.c \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_store_disk_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_cover
TESTS += tests/server/test_cluster_cover
tests_server_test_cluster_cover_SOURCES = tests/server/test_cluster_cover.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_cluster_cover_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_store_copies
TESTS += tests/server/test_store_copies
tests_server_test_store_copies_SOURCES = tests/server/test_store_copies.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_store_copies_LDADD = $(SERVER_LIBS) $(NATS_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_holes
TESTS += tests/server/test_cluster_holes
tests_server_test_cluster_holes_SOURCES = \
	tests/server/test_cluster_holes.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_cluster_holes_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_trigger_keys
TESTS += tests/server/test_trigger_keys
tests_server_test_trigger_keys_SOURCES = \
	tests/server/test_trigger_keys.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_trigger_keys_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_fan
TESTS += tests/server/test_cluster_fan
tests_server_test_cluster_fan_SOURCES = \
	tests/server/test_cluster_fan.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_fan_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_events
TESTS += tests/server/test_cluster_events
tests_server_test_cluster_events_SOURCES = \
	tests/server/test_cluster_events.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	tests/lib/random_history.c tests/lib/random_history.h
tests_server_test_cluster_events_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_members
TESTS += tests/server/test_cluster_members
tests_server_test_cluster_members_SOURCES = \
	tests/server/test_cluster_members.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_cluster_members_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_version
TESTS += tests/server/test_cluster_version
tests_server_test_cluster_version_SOURCES = \
	tests/server/test_cluster_version.c \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h
tests_server_test_cluster_version_LDADD = $(SERVER_LIBS) $(NATS_LIBS) \
	$(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_outbox
TESTS += tests/server/test_cluster_outbox
tests_server_test_cluster_outbox_SOURCES = \
	tests/server/test_cluster_outbox.c \
	tests/lib/archive_fixture.c tests/lib/archive_fixture.h $(FLOW_FIXTURE)
tests_server_test_cluster_outbox_LDADD = $(SERVER_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/server/test_cluster_totals
TESTS += tests/server/test_cluster_totals
tests_server_test_cluster_totals_SOURCES = tests/server/test_cluster_totals.c
tests_server_test_cluster_totals_LDADD = $(SERVER_LIBS) $(TEST_LIBS)
