# SPDX-License-Identifier: Apache-2.0
# tests/fuzz/: a fuzz target NAME is a file tests/fuzz/fuzz_NAME.c that
# includes "tests/fuzz/fuzz.h" and defines LLVMFuzzerTestOneInput(), a folder
# tests/corpus/NAME/ with at least one small input, and these three lines:
#
#     fuzz_targets += tests/fuzz/fuzz_NAME
#     tests_fuzz_fuzz_NAME_SOURCES = tests/fuzz/fuzz_NAME.c $(FUZZ_MAIN)
#     tests_fuzz_fuzz_NAME_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)
#
# `make check` runs every target over its corpus.  To look for new inputs:
#
#     ./configure CC=clang --enable-fuzzers --enable-asan --enable-ubsan
#     make tests/fuzz/fuzz_NAME
#     tests/fuzz/fuzz_NAME -max_total_time=60 /tmp/found tests/corpus/NAME

if FUZZERS
FUZZ_MAIN =
else
FUZZ_MAIN = tests/fuzz/fuzz_main.c
endif
fuzz-targets: $(fuzz_targets)
.PHONY: fuzz-targets
FUZZ_LIBS = $(LH_FUZZ_LDFLAGS)
EXTRA_DIST += tests/fuzz/fuzz.h tests/fuzz/fuzz_main.c

TESTS += tests/fuzz/run_corpora.sh
EXTRA_DIST += tests/fuzz/run_corpora.sh tests/corpus

# of_port: names and numbers of ports.
fuzz_targets += tests/fuzz/fuzz_of_port
tests_fuzz_fuzz_of_port_SOURCES = tests/fuzz/fuzz_of_port.c $(FUZZ_MAIN)
tests_fuzz_fuzz_of_port_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# archive: segment files.
fuzz_targets += tests/fuzz/fuzz_archive
tests_fuzz_fuzz_archive_SOURCES = tests/fuzz/fuzz_archive.c $(FUZZ_MAIN)
tests_fuzz_fuzz_archive_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# history_codec: payloads of blocks of histories.
fuzz_targets += tests/fuzz/fuzz_history_codec
tests_fuzz_fuzz_history_codec_SOURCES = tests/fuzz/fuzz_history_codec.c \
	$(RANDOM_HISTORY) $(FUZZ_MAIN)
tests_fuzz_fuzz_history_codec_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# history_columns: payloads of blocks of columns.
fuzz_targets += tests/fuzz/fuzz_history_columns
tests_fuzz_fuzz_history_columns_SOURCES = \
	tests/fuzz/fuzz_history_columns.c $(FUZZ_MAIN)
tests_fuzz_fuzz_history_columns_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# block_index: what a block may have.
fuzz_targets += tests/fuzz/fuzz_block_index
tests_fuzz_fuzz_block_index_SOURCES = tests/fuzz/fuzz_block_index.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_block_index_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# flow_sums: the sums beside a file of an archive.
fuzz_targets += tests/fuzz/fuzz_flow_sums
tests_fuzz_fuzz_flow_sums_SOURCES = tests/fuzz/fuzz_flow_sums.c $(FUZZ_MAIN)
tests_fuzz_fuzz_flow_sums_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# topology: the JSON of topologies.
fuzz_targets += tests/fuzz/fuzz_topology
tests_fuzz_fuzz_topology_SOURCES = tests/fuzz/fuzz_topology.c $(FUZZ_MAIN)
tests_fuzz_fuzz_topology_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# history: the JSON of histories.
fuzz_targets += tests/fuzz/fuzz_history
tests_fuzz_fuzz_history_SOURCES = tests/fuzz/fuzz_history.c $(FUZZ_MAIN)
tests_fuzz_fuzz_history_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# api: requests to an API server.
fuzz_targets += tests/fuzz/fuzz_api
tests_fuzz_fuzz_api_SOURCES = tests/fuzz/fuzz_api.c $(FUZZ_MAIN)
tests_fuzz_fuzz_api_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# time_spec: times.
fuzz_targets += tests/fuzz/fuzz_time_spec
tests_fuzz_fuzz_time_spec_SOURCES = tests/fuzz/fuzz_time_spec.c $(FUZZ_MAIN)
tests_fuzz_fuzz_time_spec_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# hdr: packets; postcard_geneve, postcard_mac: postcards; rule: a rule's JSON
# and a packet.
fuzz_targets += tests/fuzz/fuzz_hdr
tests_fuzz_fuzz_hdr_SOURCES = tests/fuzz/fuzz_hdr.c $(FUZZ_MAIN)
tests_fuzz_fuzz_hdr_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# hop_template: both forms.
fuzz_targets += tests/fuzz/fuzz_hop_template
tests_fuzz_fuzz_hop_template_SOURCES = tests/fuzz/fuzz_hop_template.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_hop_template_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/fuzz_postcard_geneve
tests_fuzz_fuzz_postcard_geneve_SOURCES = tests/fuzz/fuzz_postcard_geneve.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_postcard_geneve_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/fuzz_postcard_mac
tests_fuzz_fuzz_postcard_mac_SOURCES = tests/fuzz/fuzz_postcard_mac.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_postcard_mac_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/fuzz_rule
tests_fuzz_fuzz_rule_SOURCES = tests/fuzz/fuzz_rule.c $(FUZZ_MAIN)
tests_fuzz_fuzz_rule_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# phf: what is a filter, and what it matches.
fuzz_targets += tests/fuzz/fuzz_phf_compile
tests_fuzz_fuzz_phf_compile_SOURCES = tests/fuzz/fuzz_phf_compile.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_phf_compile_LDADD = $(PHF_LIBS) $(FUZZ_LIBS)
fuzz_targets += tests/fuzz/fuzz_phf_match
tests_fuzz_fuzz_phf_match_SOURCES = tests/fuzz/fuzz_phf_match.c \
	tests/phf/naive.c tests/phf/naive.h $(FUZZ_MAIN)
tests_fuzz_fuzz_phf_match_LDADD = $(PHF_LIBS) $(FUZZ_LIBS)

# invariant: files of invariants.
fuzz_targets += tests/fuzz/fuzz_invariant
tests_fuzz_fuzz_invariant_SOURCES = tests/fuzz/fuzz_invariant.c $(FUZZ_MAIN)
tests_fuzz_fuzz_invariant_LDADD = $(NETWATCH_LIBS) $(FUZZ_LIBS)

# bpf_machine: BPF programs and packets.
fuzz_targets += tests/fuzz/fuzz_bpf_machine
tests_fuzz_fuzz_bpf_machine_SOURCES = tests/fuzz/fuzz_bpf_machine.c \
	tests/phf/random_bpf.c tests/phf/random_bpf.h $(FUZZ_MAIN)
tests_fuzz_fuzz_bpf_machine_LDADD = $(PHF_LIBS) $(FUZZ_LIBS)

# of_framing: OpenFlow streams, HELLOs, errors and LLDP frames.
fuzz_targets += tests/fuzz/fuzz_of_framing
tests_fuzz_fuzz_of_framing_SOURCES = tests/fuzz/fuzz_of_framing.c $(FUZZ_MAIN)
tests_fuzz_fuzz_of_framing_LDADD = recorder/librecorder.a $(LIB_LIBS) \
	$(FUZZ_LIBS)

# assemble: any postcards, to histories.
fuzz_targets += tests/fuzz/fuzz_assemble
tests_fuzz_fuzz_assemble_SOURCES = tests/fuzz/fuzz_assemble.c $(FUZZ_MAIN)
tests_fuzz_fuzz_assemble_LDADD = $(ASSEMBLE_LIBS) $(LIB_LIBS) $(FUZZ_LIBS)

# of_why: packets through rules.
fuzz_targets += tests/fuzz/fuzz_of_why
tests_fuzz_fuzz_of_why_SOURCES = tests/fuzz/fuzz_of_why.c $(FUZZ_MAIN)
tests_fuzz_fuzz_of_why_LDADD = $(RECORDER_LIBS) $(FUZZ_LIBS)

# instr: messages of switch and controller.
fuzz_targets += tests/fuzz/fuzz_instr
tests_fuzz_fuzz_instr_SOURCES = tests/fuzz/fuzz_instr.c $(FUZZ_MAIN)
tests_fuzz_fuzz_instr_LDADD = $(RECORDER_LIBS) $(FUZZ_LIBS)

# pcap_file: capture files, against libpcap.
fuzz_targets += tests/fuzz/fuzz_pcap_file
tests_fuzz_fuzz_pcap_file_SOURCES = tests/fuzz/fuzz_pcap_file.c $(FUZZ_MAIN)
tests_fuzz_fuzz_pcap_file_LDADD = $(SERVER_LIBS) $(FUZZ_LIBS)

# history_frame: histories on a socket.
fuzz_targets += tests/fuzz/fuzz_history_frame
tests_fuzz_fuzz_history_frame_SOURCES = tests/fuzz/fuzz_history_frame.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_history_frame_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# agent_frame: frames between agent and server.
fuzz_targets += tests/fuzz/fuzz_agent_frame
tests_fuzz_fuzz_agent_frame_SOURCES = tests/fuzz/fuzz_agent_frame.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_agent_frame_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# history_batch: histories packed.
fuzz_targets += tests/fuzz/fuzz_history_batch
tests_fuzz_fuzz_history_batch_SOURCES = tests/fuzz/fuzz_history_batch.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_history_batch_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# agent_batch: postcards packed.
fuzz_targets += tests/fuzz/fuzz_agent_batch
tests_fuzz_fuzz_agent_batch_SOURCES = tests/fuzz/fuzz_agent_batch.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_agent_batch_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# card_batch: postcards packed for a cluster.
fuzz_targets += tests/fuzz/fuzz_card_batch
tests_fuzz_fuzz_card_batch_SOURCES = tests/fuzz/fuzz_card_batch.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_card_batch_LDADD = $(LIB_LIBS) $(FUZZ_LIBS)

# agent_ring: rings of switches.
fuzz_targets += tests/fuzz/fuzz_agent_ring
tests_fuzz_fuzz_agent_ring_SOURCES = tests/fuzz/fuzz_agent_ring.c \
	$(FAKE_RING) $(FUZZ_MAIN)
tests_fuzz_fuzz_agent_ring_LDADD = $(AGENT_LIBS) $(FUZZ_LIBS)

# cluster_snapshot: what is open in a shard of a cluster.
fuzz_targets += tests/fuzz/fuzz_cluster_snapshot
tests_fuzz_fuzz_cluster_snapshot_SOURCES = \
	tests/fuzz/fuzz_cluster_snapshot.c $(FUZZ_MAIN)
tests_fuzz_fuzz_cluster_snapshot_LDADD = $(SERVER_LIBS) $(FUZZ_LIBS)

# cluster_wire, cluster_tally: what doors tell of postcards.
fuzz_targets += tests/fuzz/fuzz_cluster_wire tests/fuzz/fuzz_cluster_tally
tests_fuzz_fuzz_cluster_wire_SOURCES = tests/fuzz/fuzz_cluster_wire.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_cluster_wire_LDADD = $(SERVER_LIBS) $(FUZZ_LIBS)
tests_fuzz_fuzz_cluster_tally_SOURCES = tests/fuzz/fuzz_cluster_tally.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_cluster_tally_LDADD = $(SERVER_LIBS) $(FUZZ_LIBS)

# profile_rows: rows of profiles that servers of a cluster send.
fuzz_targets += tests/fuzz/fuzz_profile_rows
tests_fuzz_fuzz_profile_rows_SOURCES = tests/fuzz/fuzz_profile_rows.c $(FUZZ_MAIN)
tests_fuzz_fuzz_profile_rows_LDADD = $(PHF_LIBS) $(FUZZ_LIBS)

# store_note: the record of a stage-2 shard.
fuzz_targets += tests/fuzz/fuzz_store_note
tests_fuzz_fuzz_store_note_SOURCES = tests/fuzz/fuzz_store_note.c $(FUZZ_MAIN)
tests_fuzz_fuzz_store_note_LDADD = $(SERVER_LIBS) $(FUZZ_LIBS)
