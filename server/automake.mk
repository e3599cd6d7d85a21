# SPDX-License-Identifier: Apache-2.0
# server/

# The pure part: from postcards to histories.
noinst_LIBRARIES += server/libassemble.a
server_libassemble_a_SOURCES = \
	server/assemble.c server/assemble.h \
	server/assemble_across.c \
	server/assemble_blind.c \
	server/assemble_double.c \
	server/assemble_gap.c \
	server/assemble_header.c \
	server/assemble_judge.c \
	server/assemble_link.c \
	server/assemble_scratch.h \
	server/assemble_outs.c \
	server/assemble_tree.c \
	server/assemble_visit.c \
	server/assemble_way.c \
	server/assemble_whole.c \
	server/loss_ledger.c server/loss_ledger.h \
	server/path_group.c server/path_group.h \
	server/card_kind.c server/card_kind.h \
	server/catch_up.c server/catch_up.h \
	server/path_kit.c server/path_kit.h \
	server/path_sum.c server/path_sum.h \
	server/path_closed.c server/path_closed.h \
	server/path_table.c server/path_table.h \
	server/path_table_add.c server/path_table_close.c \
	server/path_table_open.c server/path_table_soon.c \
	server/path_table_impl.h \
	server/plain_way.c server/plain_way.h \
	server/postcard_pool.c server/postcard_pool.h \
	server/sample_gate.c server/sample_gate.h \
	server/topology_past.c server/topology_past.h \
	server/trajectory_cache.c server/trajectory_cache.h \
	server/trajectory_cache_impl.h \
	server/trajectory_cache_learn.c \
	server/tunnel.c server/tunnel.h \
	server/visit_table.c server/visit_table.h
ASSEMBLE_LIBS = server/libassemble.a

# All of the server but main(), for its tests and benchmarks too.
noinst_LIBRARIES += server/libserver.a
server_libserver_a_SOURCES = \
	server/cluster.c server/cluster.h server/cluster_impl.h \
	server/cluster_api.c server/cluster_api.h \
	server/cluster_leg.c server/cluster_leg.h \
	server/cluster_merge_leg.c server/cluster_merge_leg.h \
	server/cluster_profile.c server/cluster_profile.h \
	server/cluster_profile_leg.c server/cluster_profile_leg.h \
	server/cluster_query.c server/cluster_query.h \
	server/cluster_fan.c server/cluster_fan.h \
	server/cluster_missing.c server/cluster_missing.h \
	server/cluster_rpc.c server/cluster_rpc.h \
	server/cluster_book.c server/cluster_book.h \
	server/cluster_book_clocks.c \
	server/cluster_book_impl.h server/cluster_book_tell.c \
	server/cluster_config.c server/cluster_config.h \
	server/cluster_copies.c \
	server/cluster_cover.c server/cluster_cover.h \
	server/cluster_holes.c server/cluster_holes.h \
	server/cluster_members.c server/cluster_members.h \
	server/cluster_options.c server/cluster_options.h \
	server/cluster_self.c \
	server/cluster_totals.c server/cluster_totals.h \
	server/cluster_version.c server/cluster_version.h \
	server/cluster_vouch.c \
	server/cluster_setup.c server/cluster_setup.h \
	server/cluster_events.c server/cluster_events.h \
	server/cluster_triggers.c server/cluster_triggers.h \
	server/cluster_share.c server/cluster_share.h \
	server/cluster_shards.c server/cluster_status.c \
	server/accept_list.c server/accept_list.h \
	server/agent_book.c server/agent_book.h \
	server/batch.c server/batch.h \
	server/bell.c server/bell.h \
	server/clock_offset.c server/clock_offset.h \
	server/cluster_checkpoint.c server/cluster_checkpoint.h \
	server/cluster_reach.c server/cluster_reach.h \
	server/cluster_receive.c \
	server/cluster_tally.c server/cluster_tally.h \
	server/cluster_merge.c server/cluster_merge.h \
	server/cluster_merge_clock.c server/cluster_merge_impl.h \
	server/cluster_merge_state.c server/cluster_merge_ahead.c \
	server/cluster_split_doors.c \
	server/cluster_lane_kept.c \
	server/cluster_turn.c server/cluster_turn.h \
	server/door_message.c server/door_message.h \
	server/cluster_codecs.c server/cluster_codecs.h \
	server/cluster_outbox.c server/cluster_outbox.h \
	server/cluster_posts.c server/cluster_posts.h \
	server/cluster_snapshot.c server/cluster_snapshot.h \
	server/cluster_split.c server/cluster_split.h \
	server/cluster_split_impl.h server/cluster_split_paths.c \
	server/cluster_door.c server/cluster_door.h \
	server/cluster_lane.c server/cluster_lane.h \
	server/door_marks.c server/door_marks.h \
	server/cluster_sent.c server/cluster_sent.h \
	server/cluster_wants.c server/cluster_wants.h \
	server/cluster_wire.c server/cluster_wire.h \
	server/counters.c server/counters.h \
	server/filter_right.c server/filter_right.h \
	server/health.c server/health.h \
	server/ingest.c server/ingest.h \
	server/json_lines.c server/json_lines.h \
	server/later.c server/later.h \
	server/loss_wait.c server/loss_wait.h \
	server/dispatch.c server/dispatch.h \
	server/mailbox.c server/mailbox.h \
	server/options.c server/options.h \
	server/pcap_file.c server/pcap_file.h \
	server/pipeline.c server/pipeline.h \
	server/pipeline_impl.h server/pipeline_workers.c \
	server/archive_open.c server/archive_open.h \
	server/retain.c server/retain.h \
	server/profiles.c server/profiles.h \
	server/queries.c server/queries.h \
	server/recorder_link.c server/recorder_link.h \
	server/cluster_accept.c server/cluster_accept.h \
	server/cluster_store.c server/cluster_store.h \
	server/cluster_store_copies.c server/cluster_store_fall.c \
	server/cluster_store_read.c \
	server/cluster_store_missing.c server/cluster_store_impl.h \
	server/store_disk.c server/store_disk.h \
	server/store_intake.c server/store_intake.h \
	server/store_note.c server/store_note.h \
	server/store_refill.c server/store_refill.h \
	server/store_copies.c server/store_copies.h \
	server/store_span.c server/store_span.h \
	server/store_vouch.c server/store_vouch.h \
	server/store_settle.c server/store_settle.h \
	server/store_message.c server/store_message.h \
	server/shard_commit.c server/shard_commit.h \
	server/shard_divide.c server/shard_divide.h \
	server/shard_lease.c server/shard_lease.h \
	server/shard_lease_impl.h server/shard_lease_session.c \
	server/replay.c server/replay.h \
	server/rule_cache.c server/rule_cache.h \
	server/server.c server/server.h \
	server/server_counters.c server/server_impl.h \
	server/server_clocks.c \
	server/server_knowledge.c \
	server/shard.c server/shard.h \
	server/sieve.c server/sieve.h \
	server/split_file.c server/split_file.h \
	server/trigger_share.c server/trigger_share.h \
	server/worker.c server/worker.h \
	server/server_api.c server/server_api.h \
	server/server_metrics.c server/server_metrics.h \
	server/server_status.c server/server_status.h \
	server/source_agent.c server/source_agent.h \
	server/source_agent_frames.c server/source_agent_impl.h \
	server/source_pcap.c server/source_pcap.h \
	server/source_udp.c server/source_udp.h \
	server/told_history.c server/told_history.h \
	server/told_servers.c server/told_servers.h \
	server/trigger_gate.c server/trigger_gate.h \
	server/trigger_keys.c server/trigger_keys.h \
	server/triggers.c server/triggers.h
SERVER_LIBS = server/libserver.a $(ASSEMBLE_LIBS) $(PHF_LIBS) $(BUS_LIBS) $(TLS_LIBS)

bin_PROGRAMS += bin/lasthop-server
bin_lasthop_server_SOURCES = server/main.c
bin_lasthop_server_LDADD = $(SERVER_LIBS)
bin_lasthop_server_LDFLAGS = $(LH_SANITIZE) $(LH_LDFLAGS) $(LH_LTO_LDFLAGS)
man8_MANS += docs/man/lasthop-server.8

# What /metrics says of each counter is what docs/counters.md does.
nodist_server_libserver_a_SOURCES = server/server_metric_list.c
server/server_metric_list.c: docs/counters.md build-aux/metric-list
	$(AM_V_GEN)$(MKDIR_P) $(@D) && LC_ALL=C $(AWK) -f \
		$(srcdir)/build-aux/metric-list $(srcdir)/docs/counters.md > $@.tmp
	$(AM_V_at)mv $@.tmp $@
CLEANFILES += server/server_metric_list.c
EXTRA_DIST += build-aux/metric-list
