# SPDX-License-Identifier: Apache-2.0
# bench/: `make bench` builds and runs each program of BENCHES, in order.

EXTRA_PROGRAMS = $(BENCHES) $(BENCH_TOOLS)
CLEANFILES += $(BENCHES) $(BENCH_TOOLS)
BENCH_TOOLS = bench/ofload bench/ofpipe bench/ofsink

# What is printed is held against the form of a figure.
BENCH_LINES = /usr/bin/python3 $(srcdir)/bench/bench_lines.py
EXTRA_DIST += bench/bench_lines.py

bench: all $(BENCHES) $(BENCH_TOOLS)
	@set -e; for bench in $(BENCHES); do echo "== $$bench"; \
	    $(AM_TESTS_ENVIRONMENT) srcdir=$(srcdir) \
	    BENCH_FLOW_LOG_CHANGES=$${BENCH_FLOW_LOG_CHANGES:-100000} \
	    $(BENCH_LINES) ./$$bench; done
	@echo "== bench/bench_recorder.py"; LASTHOP_BUILD=$(abs_builddir) \
	    PYTHONDONTWRITEBYTECODE=1 $(BENCH_LINES) \
	    /usr/bin/python3 $(srcdir)/bench/bench_recorder.py --sink
.PHONY: bench

# Real networks, as root: ./quickstart bench runs it after the others.
EXTRA_DIST += bench/net_throughput.py bench/net_patched.py \
	bench/net_cluster.py bench/net_instructions.py

# The recorder: a load generator and switches that do nothing, both of real
# OpenFlow, and what runs them; with real switches it needs root.
EXTRA_DIST += bench/bench_recorder.py
bench_ofload_SOURCES = bench/ofload.c bench/of_peer.c bench/of_peer.h \
	bench/of_rules.c bench/of_rules.h
bench_ofload_LDADD = $(RECORDER_LIBS)
bench_ofpipe_SOURCES = bench/ofpipe.c bench/of_peer.c bench/of_peer.h
bench_ofpipe_LDADD = $(RECORDER_LIBS)
bench_ofsink_SOURCES = bench/ofsink.c bench/of_peer.c bench/of_peer.h
bench_ofsink_LDADD = $(RECORDER_LIBS)

# What they have in common.
FIGURE = bench/figure.c bench/figure.h

# phf: matching histories.
BENCHES += bench/bench_phf
bench_bench_phf_SOURCES = bench/bench_phf.c $(FIGURE)
bench_bench_phf_LDADD = $(PHF_LIBS)

# parse: headers, packet IDs and postcards.
BENCHES += bench/bench_parse
bench_bench_parse_SOURCES = bench/bench_parse.c $(FIGURE) \
	bench/bench_trace.c bench/bench_trace.h
bench_bench_parse_LDADD = $(LIB_LIBS) $(PCAP_LIBS) $(ZSTD_LIBS)

# assembly: from postcards to histories.
BENCHES += bench/bench_assembly
bench_bench_assembly_SOURCES = bench/bench_assembly.c $(FIGURE)
bench_bench_assembly_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS)

BENCHES += bench/bench_open
bench_bench_open_SOURCES = bench/bench_open.c $(FIGURE)
bench_bench_open_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS)

# gen: postcards made up.
BENCHES += bench/bench_gen
bench_bench_gen_SOURCES = bench/bench_gen.c $(FIGURE) \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_gen_LDADD = $(GEN_LIBS)

# pipeline: lasthop-server from a file of postcards to its archive.
BENCHES += bench/bench_pipeline
bench_bench_pipeline_SOURCES = bench/bench_pipeline.c $(FIGURE) \
	bench/query_storm.c bench/query_storm.h \
	bench/pipeline_gate.c bench/pipeline_gate.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_pipeline_LDADD = $(GEN_LIBS)

# flow_log: what a change costs, and how long a past table takes.
BENCHES += bench/bench_flow_log
bench_bench_flow_log_SOURCES = bench/bench_flow_log.c $(FIGURE)
bench_bench_flow_log_LDADD = $(LIB_LIBS)

# archive: how small histories become, and how fast.
BENCHES += bench/bench_archive
bench_bench_archive_SOURCES = bench/bench_archive.c $(FIGURE) \
	bench/bench_flows.c bench/bench_flows.h \
	bench/bench_trace.c bench/bench_trace.h
bench_bench_archive_LDADD = $(LIB_LIBS) $(PCAP_LIBS) $(ZSTD_LIBS)

# batch: histories on the way from server to server, of an archive.
BENCH_TOOLS += bench/bench_batch
bench_bench_batch_SOURCES = bench/bench_batch.c $(FIGURE)
bench_bench_batch_LDADD = $(LIB_LIBS)

# ingest: from a captured frame to the door of the path table.
BENCHES += bench/bench_ingest
bench_bench_ingest_SOURCES = bench/bench_ingest.c $(FIGURE) \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_ingest_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# receive: postcards from a veth, by UDP socket and by packet ring; root.
BENCHES += bench/bench_receive
RECEIVE = bench/receive_reader.c bench/receive_reader.h \
	bench/receive_sender.c bench/receive_sender.h \
	bench/bench_boost.c bench/bench_boost.h \
	bench/bench_pin.c bench/bench_pin.h
bench_bench_receive_SOURCES = bench/bench_receive.c $(FIGURE) $(RECEIVE) \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_receive_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# filters: what live filters cost.
BENCHES += bench/bench_filters
bench_bench_filters_SOURCES = bench/bench_filters.c $(FIGURE) \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_filters_LDADD = \
	$(ASSEMBLE_LIBS) phf/libphf.a $(GEN_LIBS) $(PCAP_LIBS)

# query: many stored histories; trigger: how soon a client hears of a packet.
BENCHES += bench/bench_query bench/bench_trigger
bench_bench_query_SOURCES = bench/bench_query.c $(FIGURE) \
	bench/bench_maker.c bench/bench_maker.h
bench_bench_query_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# profile: who fills which link.
BENCHES += bench/bench_profile
bench_bench_profile_SOURCES = bench/bench_profile.c $(FIGURE) \
	bench/bench_maker.c bench/bench_maker.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_profile_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

bench_bench_trigger_SOURCES = bench/bench_trigger.c $(FIGURE) \
	bench/bench_boost.c bench/bench_boost.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_trigger_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# machine: what this machine can do at best; roofline.py: how far we are.
BENCHES += bench/bench_machine
bench_bench_machine_SOURCES = bench/bench_machine.c $(FIGURE)
bench_bench_machine_LDADD = $(LIB_LIBS)
EXTRA_DIST += bench/roofline.py

# stream: a history on a socket, as JSON and as bytes.
BENCHES += bench/bench_stream
bench_bench_stream_SOURCES = bench/bench_stream.c $(SAMPLE_HISTORY)
bench_bench_stream_LDADD = $(LIB_LIBS)

# cards: postcards packed for a cluster, and read.
BENCHES += bench/bench_cards
bench_bench_cards_SOURCES = bench/bench_cards.c $(FIGURE) \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_cards_LDADD = server/libserver.a $(GEN_LIBS)

BENCHES += bench/bench_split
bench_bench_split_SOURCES = bench/bench_split.c $(FIGURE) \
	bench/bench_out.c bench/bench_out.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_split_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# stages: from the owners of packets to those of flows, without the bus.
BENCHES += bench/bench_stages
bench_bench_stages_SOURCES = bench/bench_stages.c $(FIGURE) \
	bench/bench_out.c bench/bench_out.h \
	bench/bench_frames.c bench/bench_frames.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_stages_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# paths: from postcards to histories, in one table and in many.
BENCHES += bench/bench_paths
bench_bench_paths_SOURCES = bench/bench_paths.c $(FIGURE) \
	bench/bench_out.c bench/bench_out.h \
	bench/bench_frames.c bench/bench_frames.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_paths_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# agent: from a ring to batches, and to a socket.
BENCHES += bench/bench_agent
bench_bench_agent_SOURCES = bench/bench_agent.c $(FIGURE) $(FAKE_RING) \
	bench/agent_cards.c bench/agent_cards.h \
	tests/agent/fake_server.c tests/agent/fake_server.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_agent_LDADD = agent/libagent.a $(GEN_LIBS) $(TLS_LIBS)

# cluster: the way of a postcard through servers and NATS, beside one process.
BENCHES += bench/bench_cluster
bench_bench_cluster_SOURCES = bench/bench_cluster.c $(FIGURE) $(RECEIVE) \
	bench/bench_alone.c bench/bench_alone.h \
	bench/bench_wire.c bench/bench_wire.h \
	bench/door_map.c bench/door_map.h \
	bench/frame_pipe.c bench/frame_pipe.h \
	bench/lone_server.c bench/lone_server.h \
	bench/bench_census.c bench/bench_census.h \
	bench/cluster_rig.c bench/cluster_rig.h \
	bench/bench_done.c bench/bench_done.h \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	bench/bench_frames.c bench/bench_frames.h \
	bench/slow_clock.c bench/slow_clock.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_cluster_LDADD = \
	$(SERVER_LIBS) $(GEN_LIBS) $(NATS_LIBS) $(TEST_LIBS)

# doors: what is before and behind the bus of a cluster, without it.
BENCHES += bench/bench_doors
bench_bench_doors_SOURCES = bench/bench_doors.c $(FIGURE) \
	bench/bench_frames.c bench/bench_frames.h \
	bench/slow_clock.c bench/slow_clock.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_doors_LDADD = $(SERVER_LIBS) $(GEN_LIBS)

# bus: messages of a cluster by their length.
BENCHES += bench/bench_bus
bench_bench_bus_SOURCES = bench/bench_bus.c \
	bench/bench_done.c bench/bench_done.h \
	tests/lib/nats_fixture.c tests/lib/nats_fixture.h \
	bench/bench_frames.c bench/bench_frames.h \
	bench/bench_preset.c bench/bench_preset.h
bench_bench_bus_LDADD = \
	$(SERVER_LIBS) $(GEN_LIBS) $(NATS_LIBS) $(TEST_LIBS)
