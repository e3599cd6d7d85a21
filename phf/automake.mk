# SPDX-License-Identifier: Apache-2.0
# phf/: the packet history filter language.

noinst_LIBRARIES += phf/libphf.a
phf_libphf_a_SOURCES = \
	phf/automaton.c phf/automaton.h \
	phf/backref.c phf/backref.h \
	phf/block_sieve.c phf/block_sieve.h \
	phf/bpf.c phf/bpf.h \
	phf/bpf_code.h \
	phf/bpf_demands.c phf/bpf_demands.h \
	phf/bpf_keys.c phf/bpf_keys.h \
	phf/bpf_machine.c phf/bpf_machine.h \
	phf/bpf_words.c phf/bpf_words.h \
	phf/filter_keys.c phf/filter_keys.h \
	phf/flow_sieve.c phf/flow_sieve.h \
	phf/flow_sieves.c phf/flow_sieves.h \
	phf/hop_tests.c phf/hop_tests.h \
	phf/key_map.c phf/key_map.h \
	phf/pf_parse.c phf/pf_parse.h \
	phf/phf.c phf/phf.h phf/phf_impl.h \
	phf/phf_explain.c phf/phf_explain.h \
	phf/phf_parse.c phf/phf_parse.h \
	phf/phf_set.c phf/phf_set.h phf/phf_set_impl.h \
	phf/phf_set_packet.c phf/phf_set_path.c \
	phf/phf_underline.c \
	phf/predicates.c phf/predicates.h \
	phf/profile.c phf/profile.h \
	phf/profile_block.c phf/profile_block.h \
	phf/profile_file.c phf/profile_file.h \
	phf/profile_copied.c phf/profile_copied.h \
	phf/profile_parts.c phf/profile_parts.h \
	phf/profile_request.c phf/profile_request.h \
	phf/profile_rows.c phf/profile_rows.h \
	phf/profile_shapes.c phf/profile_shapes.h \
	phf/profile_who.c phf/profile_who.h \
	phf/profile_crossing.c phf/profile_crossing.h \
	phf/profile_label.c phf/profile_label.h \
	phf/profile_links.c phf/profile_links.h \
	phf/profile_table.c phf/profile_table.h \
	phf/profile_tree.c phf/profile_tree.h \
	phf/program.c phf/program.h \
	phf/query.c phf/query.h \
	phf/query_job.c phf/query_job.h \
	phf/query_block.c phf/query_block.h \
	phf/query_copies.c phf/query_copies.h \
	phf/scan.c phf/scan.h \
	phf/set_answers.c phf/set_answers.h \
	phf/set_index.c phf/set_index.h \
	phf/set_paths.c phf/set_paths.h \
	phf/set_verdicts.c phf/set_verdicts.h \
	phf/term.c phf/term.h

# What a program that uses filters links; it includes $(LIB_LIBS).
PHF_LIBS = phf/libphf.a $(LIB_LIBS) $(PCAP_LIBS)

man7_MANS += docs/man/phf.7
